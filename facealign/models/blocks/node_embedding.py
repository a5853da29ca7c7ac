"""From the last map of a backbone to one feature vector per landmark.

Source: Lin et al., IEEE TIP 2021 (SDFL), and SPEC 4.5; attribute names are the checkpoints'.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from torch import Tensor, nn

from facealign.errors import StateDictError
from facealign.models.backbone import Shapes
from facealign.spec import WFLW98, scheme_by_count

__all__ = ["NodeEmbedding", "NodeSizes", "conv_norm_relu", "node_sizes_from_shapes"]

_MAP_SIZE = 8  # of the authors' crop of 256 px at stride 32
_LARGEST_MAP_SIZE = 16


@dataclass(frozen=True, slots=True)
class NodeSizes:
    """How a map becomes nodes: landmark l owns consecutive channels of a square map.

    Attributes:
        landmark_count: N.
        channels_per_landmark: Channels of the map that belong to one landmark.
        map_size: Side of the map, in cells.
        hidden_channels: Of the convolution before the last.
    """

    landmark_count: int
    channels_per_landmark: int
    map_size: int
    hidden_channels: int

    @property
    def feature_count(self) -> int:
        """Features of one landmark."""
        return self.channels_per_landmark * self.map_size**2

    @property
    def channel_count(self) -> int:
        """Channels of the map of all landmarks."""
        return self.landmark_count * self.channels_per_landmark


def node_sizes_from_shapes(shapes: Shapes, *, last_conv: str, graph_weight: str) -> NodeSizes:
    """Return the sizes that two tensors show.

    Only the channels of all landmarks and the features of one are in the shapes. Their shares are
    told by the authors' 8x8 map; for other sizes, by the number of landmarks of a known scheme.

    Args:
        shapes: State-dict key to tensor shape.
        last_conv: Key of the convolution that gives the map of all landmarks.
        graph_weight: Key of the first graph convolution's weight, ``(..., features, width)``.

    Raises:
        KeyError: If one of the two is missing; the key is the argument.
        StateDictError: If no map size fits both.
    """
    channels, hidden = shapes[last_conv][:2]
    features = shapes[graph_weight][-2]
    candidates = list(_splits(channels, features, hidden))
    known = [sizes for sizes in candidates if scheme_by_count(sizes.landmark_count).contours]
    if not candidates:
        raise StateDictError(
            f"`{last_conv}` gives {channels} channels and `{graph_weight}` takes {features} "
            f"features per landmark (expected a whole number of channels of an {_MAP_SIZE}x"
            f"{_MAP_SIZE} map per landmark, as for {WFLW98.landmark_count} landmarks 392 and 256); "
            "check that the checkpoint is whole"
        )
    return (known or candidates)[0]


def _splits(channels: int, features: int, hidden: int) -> Iterator[NodeSizes]:
    """Yield every way to share channels and features; the authors' map size first."""
    others = (size for size in range(1, _LARGEST_MAP_SIZE + 1) if size != _MAP_SIZE)
    for map_size in (_MAP_SIZE, *others):
        own, rest = divmod(features, map_size**2)
        if own and not rest and channels % own == 0:
            yield NodeSizes(channels // own, own, map_size, hidden)


class NodeEmbedding(nn.Module):
    """Two 3x3 convolutions (the authors' BaseMapToNode)."""

    def __init__(self, in_channels: int, sizes: NodeSizes) -> None:
        super().__init__()
        self.sizes = sizes
        self.conv_out = conv_norm_relu(in_channels, sizes.hidden_channels, 3, bias=True)
        self.conv_to_node = conv_norm_relu(sizes.hidden_channels, sizes.channel_count, 3, bias=True)

    def forward(self, maps: Tensor) -> Tensor:
        """Return ``(B, N, F)`` features from ``(B, C, H, W)``, cells row by row in each channel."""
        node_maps: Tensor = self.conv_to_node(self.conv_out(maps))
        return node_maps.reshape(-1, self.sizes.landmark_count, self.sizes.feature_count)


def conv_norm_relu(
    in_channels: int, out_channels: int, kernel: int, *, bias: bool, stride: int = 1
) -> nn.Sequential:
    """Return convolution, BatchNorm and ReLU; the map keeps its size but for the stride."""
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, kernel, stride, padding=kernel // 2, bias=bias),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(),
    )
