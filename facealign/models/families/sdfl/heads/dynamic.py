"""Dynamic adjacency: one graph per image, its weights computed from the backbone's last map.

Source: Lin et al., IEEE TIP 2021 (SDFL), sec. III; SPEC 4.8, which says where the authors' code
    (DynamicGCNetPredictor) departs from the paper: its rows are normalised and then transposed. The
    attribute names are those of their checkpoints.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import cast

import torch
from torch import Tensor, nn

from facealign.models.backbone import Shapes
from facealign.models.blocks.folded_graph import (
    FoldedAdjacency,
    FoldedGraphNetwork,
    folded_linear_after_norm,
    mixing_from_adjacency,
)
from facealign.models.blocks.graph_convolution import (
    GraphConv,
    GraphNetwork,
    GraphSizes,
    NormedGraphConv,
    adjacency_from_values,
    graph_sizes_from_shapes,
)
from facealign.models.blocks.node_embedding import (
    NodeEmbedding,
    NodeSizes,
    node_sizes_from_shapes,
)
from facealign.models.families.sdfl.heads.head import FoldedHead, Head

__all__ = ["DYNAMIC", "DynamicGraphPredictor", "DynamicGraphSizes", "is_identity_key"]

_FIRST_WEIGHT = "predictor.g_net.g_input.g_conv.W"
_LAST_CONV = "predictor.map_to_node.conv_to_node.0.weight"
_RELATION = "predictor.g_net.relation_learner.fc.{}"


@dataclass(frozen=True, slots=True)
class DynamicGraphSizes:
    """Node embedding, graph, and the layer that weighs its edges.

    Attributes:
        nodes: Of the node embedding.
        graph: Of the graph convolutions.
        relation_width: Features between the layers that weigh the edges.
    """

    nodes: NodeSizes
    graph: GraphSizes
    relation_width: int

    @property
    def landmark_count(self) -> int:
        """N."""
        return self.nodes.landmark_count

    @property
    def map_size(self) -> int:
        """Side of the backbone's last map, in cells."""
        return self.nodes.map_size

    @property
    def edge_count(self) -> int:
        """Edges of the graph, with those from a landmark to itself."""
        return self.graph.edge_count


def is_identity_key(key: str) -> bool:
    """Return whether the tensor is the identity that every convolution of this head keeps."""
    return key.startswith("predictor.g_net.") and key.endswith(".M")


class DynamicGraphPredictor(nn.Module):
    """The head as the authors define it."""

    def __init__(self, in_channels: int, sizes: DynamicGraphSizes, pattern: Tensor | None) -> None:
        super().__init__()
        self.map_to_node = NodeEmbedding(in_channels, sizes.nodes)
        self.g_net = _DynamicGraphNetwork(in_channels, sizes, cast("Tensor", pattern))

    def forward(self, maps: Tensor) -> dict[str, Tensor]:
        """Return the named points from ``(B, C, H, W)``.

        Returns:
            ``nodes`` ``(B, N, F)``, ``adjacency`` ``(B, N, N)`` and the points of the graph.
        """
        nodes, adjacency = self.map_to_node(maps), self.g_net.adjacency(maps)
        return {"nodes": nodes, "adjacency": adjacency, **self.g_net(nodes, adjacency)}


class _DynamicGraphConv(GraphConv):
    """A graph convolution that keeps the identity, which picks the diagonal, as a tensor."""

    def __init__(self, in_width: int, out_width: int, *, landmark_count: int) -> None:
        super().__init__(in_width, out_width, weight_count=2)
        self.register_buffer("M", torch.eye(landmark_count))


class _DynamicGraphNetwork(GraphNetwork):
    pattern: Tensor

    def __init__(self, in_channels: int, sizes: DynamicGraphSizes, pattern: Tensor) -> None:
        super().__init__()
        graph = sizes.graph
        conv = partial(_DynamicGraphConv, landmark_count=sizes.landmark_count)
        self.relation_learner = nn.Module()
        self.relation_learner.fc = nn.Sequential(
            nn.Linear(in_channels, sizes.relation_width),
            nn.ReLU(),
            nn.BatchNorm1d(sizes.relation_width),
            nn.Linear(sizes.relation_width, graph.edge_count),
        )
        self.g_input = _normed(conv(graph.in_width, graph.width))
        self.g_layers = nn.ModuleList(
            nn.ModuleDict(
                {name: _normed(conv(graph.width, graph.width)) for name in ("g_block1", "g_block2")}
            )
            for _ in range(graph.block_count)
        )
        self.g_out = conv(graph.width, 2)
        self.register_buffer("pattern", pattern, persistent=False)

    @property
    def relation(self) -> nn.Sequential:
        """From the mean of the last map to the logits of all edges."""
        return cast("nn.Sequential", self.get_submodule("relation_learner.fc"))

    def adjacency(self, maps: Tensor) -> Tensor:
        """Return ``(B, N, N)`` of which every column sums to 1."""
        values = self.relation(maps.mean(dim=(2, 3)))
        return adjacency_from_values(values, self.pattern).transpose(1, 2)

    def first(self) -> NormedGraphConv:
        """Return the input convolution."""
        return self.g_input

    def blocks(self) -> Iterator[tuple[NormedGraphConv, NormedGraphConv]]:
        """Yield the convolutions of every residual block."""
        for block in self.g_layers:
            one, two = block.children()
            yield cast("NormedGraphConv", one), cast("NormedGraphConv", two)

    def last(self) -> GraphConv:
        """Return the output convolution."""
        return self.g_out


def _normed(conv: GraphConv) -> NormedGraphConv:
    return NormedGraphConv(conv, conv_name="g_conv")


class _FoldedDynamicGraph(FoldedHead):
    """The authors' transpose and that of the layout cancel."""

    probe_names = ("nodes", "mixing", "graph.input", "graph")

    def __init__(self, head: DynamicGraphPredictor, landmark_factor: float) -> None:
        super().__init__()
        relation = head.g_net.relation
        norm, last = cast("nn.BatchNorm1d", relation[2]), cast("nn.Linear", relation[3])
        self.map_to_node = head.map_to_node
        self.squeeze = relation[0]
        self.adjacency = FoldedAdjacency(
            folded_linear_after_norm(norm, last),
            head.g_net.pattern,
            lambda rows: mixing_from_adjacency(rows.T, is_split=True),
        )
        self.graph_network = FoldedGraphNetwork(head.g_net, landmark_factor=landmark_factor)

    def forward(self, maps: Tensor) -> tuple[Tensor, ...]:
        mixing = self.adjacency(torch.relu(self.squeeze(maps.mean(dim=(2, 3)))))
        nodes = self.map_to_node(maps)
        landmarks, *points = self.graph_network(nodes.transpose(1, 2), mixing)
        return (landmarks, nodes, mixing, *points)


def _read_sizes(shapes: Shapes, _: int) -> DynamicGraphSizes:
    return DynamicGraphSizes(
        nodes=node_sizes_from_shapes(shapes, last_conv=_LAST_CONV, graph_weight=_FIRST_WEIGHT),
        graph=graph_sizes_from_shapes(
            shapes,
            first=_FIRST_WEIGHT,
            block="predictor.g_net.g_layers.{}.g_block1.g_conv.W",
            edges=_RELATION.format("3.bias"),
        ),
        relation_width=shapes[_RELATION.format("0.weight")][0],
    )


def _tiny() -> DynamicGraphSizes:
    return DynamicGraphSizes(
        nodes=NodeSizes(landmark_count=29, channels_per_landmark=2, map_size=2, hidden_channels=6),
        graph=GraphSizes(in_width=8, width=6, block_count=2, edge_count=133),
        relation_width=5,
    )


DYNAMIC = Head(
    name="dynamic",
    meaning="a graph weighted by the image",
    keys=(
        "predictor.map_to_node.conv_out.0.weight",
        _LAST_CONV,
        _FIRST_WEIGHT,
        _RELATION.format("3.weight"),
        "predictor.g_net.g_out.W",
    ),
    read_sizes=_read_sizes,
    tiny=_tiny,
    build=DynamicGraphPredictor,
    fold=_FoldedDynamicGraph,
)
