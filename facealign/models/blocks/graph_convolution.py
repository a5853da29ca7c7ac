"""Graph convolutions as the authors of SDFL and SCC define them, plain and slow.

Source: Lin et al., IEEE TIP 2021 (SDFL), eq. 4; Zhao et al., CVPR 2019 (Semantic GCN), sec. 3, for
    the two weights; SPEC 4.4, 4.5 and 4.8. Attribute names are those of the checkpoints.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from facealign.models.backbone import Shapes

__all__ = [
    "GraphConv",
    "GraphNetwork",
    "GraphSizes",
    "NormedGraphConv",
    "SemanticGraphConv",
    "SemanticGraphNetwork",
    "adjacency_from_values",
    "graph_sizes_from_shapes",
    "norm_over_features",
]

_ABSENT = -9e15  # logit of an edge that is not there (SPEC 4.5)
_SELF_AND_NEIGHBOURS = 2  # weights of one convolution


def adjacency_from_values(values: Tensor, pattern: Tensor) -> Tensor:
    """Return ``(B, N, N)`` of which every row is a softmax over the edges of `pattern`.

    Args:
        values: ``(B, E)`` logits, in row-major order of the edges.
        pattern: ``(N, N)``, not 0 where there is an edge.
    """
    is_edge = pattern > 0
    number = is_edge.flatten().cumsum(0).reshape(pattern.shape) - 1  # of the edge in each cell
    logits = torch.where(is_edge, values[:, number.clamp(min=0)], _ABSENT)
    return torch.softmax(logits, dim=2)


def norm_over_features(norm: nn.BatchNorm1d, nodes: Tensor) -> Tensor:
    """Return ``(B, N, F)`` nodes through a BatchNorm of F channels."""
    normed: Tensor = norm(nodes.transpose(1, 2))
    return normed.transpose(1, 2)


class GraphConv(nn.Module):
    """``A_self X W[0] + A_others X W[1] + bias``, A being the adjacency by and off its diagonal.

    With one weight it is ``A X W + bias``, as the papers write it.
    """

    def __init__(self, in_width: int, out_width: int, *, weight_count: int | None) -> None:
        """Build an untrained layer.

        Args:
            in_width: Features of a node before.
            out_width: And behind.
            weight_count: 2 for one weight for the node itself and one for its neighbours; None for
                one weight ``(in_width, out_width)`` for both.
        """
        super().__init__()
        one = (in_width, out_width)
        self.W = nn.Parameter(torch.zeros(one if weight_count is None else (weight_count, *one)))
        self.bias = nn.Parameter(torch.zeros(out_width))

    def forward(self, nodes: Tensor, adjacency: Tensor) -> Tensor:
        """Return ``(B, N, out)`` from ``(B, N, in)`` nodes and ``(B, N, N)`` or ``(1, N, N)``."""
        if self.W.dim() == 2:
            return adjacency @ (nodes @ self.W) + self.bias
        by_itself = torch.eye(adjacency.shape[-1])
        own = (adjacency * by_itself) @ (nodes @ self.W[0])
        others = (adjacency * (1 - by_itself)) @ (nodes @ self.W[1])
        return own + others + self.bias


class SemanticGraphConv(GraphConv):
    """A graph convolution whose adjacency is learned, and the same for every image."""

    pattern: Tensor

    def __init__(self, in_width: int, out_width: int, pattern: Tensor) -> None:
        super().__init__(in_width, out_width, weight_count=_SELF_AND_NEIGHBOURS)
        self.e = nn.Parameter(torch.zeros(1, int((pattern > 0).sum())))
        self.register_buffer("pattern", pattern, persistent=False)

    @property
    def adjacency(self) -> Tensor:
        """``(1, N, N)``; every row sums to 1."""
        return adjacency_from_values(self.e, self.pattern)

    def forward(self, nodes: Tensor, _: Tensor | None = None) -> Tensor:
        """Return ``(B, N, out)`` nodes."""
        return super().forward(nodes, self.adjacency)


class NormedGraphConv(nn.Module):
    """Graph convolution, BatchNorm over the features, ReLU."""

    def __init__(self, conv: GraphConv, *, conv_name: str = "gconv") -> None:
        super().__init__()
        self.add_module(conv_name, conv)
        self.bn = nn.BatchNorm1d(conv.bias.shape[0])
        self._conv_name = conv_name

    @property
    def conv(self) -> GraphConv:
        """The convolution, whatever the checkpoint calls it."""
        return cast("GraphConv", self.get_submodule(self._conv_name))

    def forward(self, nodes: Tensor, adjacency: Tensor | None) -> Tensor:
        """Return ``(B, N, out)`` nodes."""
        return torch.relu(norm_over_features(self.bn, self.conv(nodes, adjacency)))


@dataclass(frozen=True, slots=True)
class GraphSizes:
    """Sizes of a stack of graph convolutions.

    Attributes:
        in_width: Features of a node before the first.
        width: Features of a node between them.
        block_count: Residual blocks of two convolutions each.
        edge_count: Edges of the graph, those from a landmark to itself included.
    """

    in_width: int
    width: int
    block_count: int
    edge_count: int


def graph_sizes_from_shapes(shapes: Shapes, *, first: str, block: str, edges: str) -> GraphSizes:
    """Return the sizes of a stack.

    Args:
        shapes: State-dict key to tensor shape.
        first: Key of the first convolution's weight.
        block: Key of a tensor of block ``{}``.
        edges: Key of a tensor with one entry per edge in its last axis.

    Raises:
        KeyError: If a key is missing; it is the argument.
    """
    in_width, width = shapes[first][-2:]
    count = 0
    while block.format(count) in shapes:
        count += 1
    return GraphSizes(in_width, width, count, shapes[edges][-1])


class GraphNetwork(nn.Module):
    """An input convolution, residual blocks of two, an output convolution to x and y.

    Subclasses own the layers, under their checkpoint's names; this class computes with them.
    """

    def first(self) -> NormedGraphConv:
        """Return the input convolution."""
        raise NotImplementedError

    def blocks(self) -> Iterator[tuple[NormedGraphConv, NormedGraphConv]]:
        """Yield the convolutions of every residual block."""
        raise NotImplementedError

    def last(self) -> GraphConv:
        """Return the output convolution."""
        raise NotImplementedError

    def forward(self, nodes: Tensor, adjacency: Tensor | None = None) -> dict[str, Tensor]:
        """Return the points of the graph.

        Args:
            nodes: ``(B, N, F)``.
            adjacency: ``(B, N, N)``; None where every convolution has learned its own.

        Returns:
            ``graph.input`` and ``graph``, both ``(B, N, D)``, behind the first convolution and
            before the last, and ``landmarks_px`` ``(B, N, 2)``.
        """
        hidden = self.first()(nodes, adjacency)
        points = {"graph.input": hidden}
        for one, two in self.blocks():
            hidden = two(one(hidden, adjacency), adjacency) + hidden
        return {**points, "graph": hidden, "landmarks_px": self.last()(hidden, adjacency)}


class SemanticGraphNetwork(GraphNetwork):
    """The stack under the names that the authors' learned graphs have."""

    def __init__(self, sizes: GraphSizes, conv: Callable[[int, int], GraphConv]) -> None:
        """Build an untrained network.

        Args:
            sizes: Of the stack.
            conv: Makes a convolution from its widths.
        """
        super().__init__()
        width = sizes.width
        self.gconv_input = nn.Sequential(NormedGraphConv(conv(sizes.in_width, width)))
        self.gconv_layers = nn.ModuleList(
            nn.ModuleDict(
                {name: NormedGraphConv(conv(width, width)) for name in ("gconv1", "gconv2")}
            )
            for _ in range(sizes.block_count)
        )
        self.gconv_output = conv(width, 2)

    def first(self) -> NormedGraphConv:
        """Return the input convolution."""
        return cast("NormedGraphConv", self.gconv_input[0])

    def blocks(self) -> Iterator[tuple[NormedGraphConv, NormedGraphConv]]:
        """Yield the convolutions of every residual block."""
        for block in self.gconv_layers:
            one, two = block.children()
            yield cast("NormedGraphConv", one), cast("NormedGraphConv", two)

    def last(self) -> GraphConv:
        """Return the output convolution."""
        return self.gconv_output
