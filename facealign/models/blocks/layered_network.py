"""What every ResNet has in common: a stem of stride 4, four layers, a classifier nobody calls.

Source: He et al., CVPR 2016 (Deep residual learning), table 1. Attribute names are those of the
    published checkpoints.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

__all__ = ["LAYER_NAMES", "LayeredNetwork", "is_classifier"]

LAYER_NAMES = ("layer1", "layer2", "layer3", "layer4")
_CLASSIFIER = "fc"


class LayeredNetwork(nn.Module):
    """Stem of stride 4, then four layers of which all but the first halve the map."""

    def __init__(self, stem: nn.Module, layers: Sequence[nn.Module], *, stem_channels: int) -> None:
        """Build a network from its parts.

        Args:
            stem: First convolution, of stride 2.
            layers: The four.
            stem_channels: That the stem gives.
        """
        super().__init__()
        self.conv1 = stem
        self.bn1 = nn.BatchNorm2d(stem_channels)
        self.relu = nn.ReLU()
        self.maxpool: nn.Module = nn.MaxPool2d(3, stride=2, padding=1)
        for name, layer in zip(LAYER_NAMES, layers, strict=True):
            self.add_module(name, layer)

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """Return the output of each layer.

        Args:
            image: ``(B, 3, H, W)`` float, normalised; H and W are multiples of 32.

        Returns:
            Map ``i`` is ``(B, channels[i], H / 2**(i + 2), W / 2**(i + 2))``.
        """
        maps = self.maxpool(self.relu(self.bn1(self.conv1(image))))
        outputs = []
        for name in LAYER_NAMES:
            maps = self.get_submodule(name)(maps)
            outputs.append(maps)
        return tuple(outputs)


def is_classifier(key: str, _shape: Sequence[int]) -> bool:
    """Return whether the key is of the classifier, which inference leaves out."""
    return key.startswith(f"{_CLASSIFIER}.")
