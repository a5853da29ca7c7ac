"""VGG-16 with batch normalisation: 3x3 convolutions, halved five times by pooling.

Source: Simonyan and Zisserman, ICLR 2015, table 1, column D; attribute names are those of the
    published checkpoints.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from facealign.models.backbone import Backbone, Shapes

__all__ = ["BACKBONE", "Vgg", "VggHyperparameters"]

_POOL_COUNT = 5


@dataclass(frozen=True, slots=True)
class VggHyperparameters:
    """Channels of every convolution, one tuple for those before each of the five poolings."""

    channels: tuple[tuple[int, ...], ...]


class Vgg(nn.Module):
    """Convolution, norm and ReLU over and over, in one `Sequential` that the names count through.

    The convolutions have a bias though a norm follows, as in the published checkpoints.
    """

    def __init__(self, sizes: VggHyperparameters) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        in_channels = 3
        for group in sizes.channels:
            for channels in group:
                conv = nn.Conv2d(in_channels, channels, 3, padding=1)
                layers += [conv, nn.BatchNorm2d(channels), nn.ReLU()]
                in_channels = channels
            layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*layers)

    def forward(self, image: Tensor) -> tuple[Tensor]:
        """Return one map, ``(B, C, H / 32, W / 32)``, from ``(B, 3, H, W)`` normalised images."""
        return (self.features(image),)


def _matches(shapes: Shapes) -> bool:
    return "features.0.weight" in shapes and "features.0.bias" in shapes


def _read_hyperparameters(shapes: Shapes) -> VggHyperparameters:
    """Return the channels; a gap in the numbers of the layers is where a pooling stands."""
    groups: list[tuple[int, ...]] = []
    group: tuple[int, ...] = ()
    index = 0
    while len(groups) < _POOL_COUNT:
        key = f"features.{index}.weight"
        if key in shapes:
            group = (*group, shapes[key][0])
            index += 3  # convolution, norm, ReLU
        elif group:
            groups.append(group)
            group = ()
            index += 1
        else:
            raise KeyError(key)
    return VggHyperparameters(tuple(groups))


def _describe(sizes: VggHyperparameters) -> str:
    fully_connected_count = 3  # the name counts the classifier's layers too
    return f"VGG-{sum(map(len, sizes.channels)) + fully_connected_count} BN"


def _channels(sizes: VggHyperparameters) -> tuple[int, ...]:
    return (sizes.channels[-1][-1],)


def _tiny() -> dict[str, VggHyperparameters]:
    return {"bn": VggHyperparameters(((3, 4), (4,), (5,), (6,), (6, 8)))}


BACKBONE = Backbone(
    name="vgg",
    matches=_matches,
    read_hyperparameters=_read_hyperparameters,
    describe=_describe,
    build=Vgg,
    channels=_channels,
    tiny=_tiny,
)
