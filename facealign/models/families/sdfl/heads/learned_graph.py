"""L-GRL: graph convolutions over the landmarks, with an adjacency that is learned and then fixed.

Source: Lin et al., IEEE TIP 2021 (SDFL), sec. III; SPEC 4.5. The authors' code calls it
    BaseGCNPredictor; the attribute names are those of their checkpoints.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import cast

from torch import Tensor, nn

from facealign.models.backbone import Shapes
from facealign.models.blocks.folded_graph import FoldedGraphNetwork
from facealign.models.blocks.graph_convolution import (
    GraphSizes,
    SemanticGraphConv,
    SemanticGraphNetwork,
    graph_sizes_from_shapes,
)
from facealign.models.blocks.node_embedding import (
    NodeEmbedding,
    NodeSizes,
    node_sizes_from_shapes,
)
from facealign.models.families.sdfl.heads.head import FoldedHead, Head

__all__ = ["LEARNED_GRAPH", "LearnedGraphPredictor", "LearnedGraphSizes"]

_FIRST_WEIGHT = "predictor.sem_gcn.gconv_input.0.gconv.W"
_EDGES = "predictor.sem_gcn.gconv_input.0.gconv.e"
_LAST_CONV = "predictor.map_to_node.conv_to_node.0.weight"


@dataclass(frozen=True, slots=True)
class LearnedGraphSizes:
    """Node embedding, then graph."""

    nodes: NodeSizes
    graph: GraphSizes

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


class LearnedGraphPredictor(nn.Module):
    """The head as the authors define it."""

    def __init__(self, in_channels: int, sizes: LearnedGraphSizes, pattern: Tensor | None) -> None:
        super().__init__()
        self.map_to_node = NodeEmbedding(in_channels, sizes.nodes)
        conv = partial(SemanticGraphConv, pattern=cast("Tensor", pattern))
        self.sem_gcn = SemanticGraphNetwork(sizes.graph, conv)

    def forward(self, maps: Tensor) -> dict[str, Tensor]:
        """Return ``nodes`` ``(B, N, F)`` and the points of the graph, from ``(B, C, H, W)``."""
        nodes = self.map_to_node(maps)
        return {"nodes": nodes, **self.sem_gcn(nodes)}


class _FoldedLearnedGraph(FoldedHead):
    probe_names = ("nodes", "graph.input", "graph")

    def __init__(self, head: LearnedGraphPredictor, landmark_factor: float) -> None:
        super().__init__()
        self.map_to_node = head.map_to_node
        self.graph_network = FoldedGraphNetwork(head.sem_gcn, landmark_factor=landmark_factor)

    def forward(self, maps: Tensor) -> tuple[Tensor, ...]:
        nodes = self.map_to_node(maps)
        landmarks, *points = self.graph_network(nodes.transpose(1, 2))
        return (landmarks, nodes, *points)


def _read_sizes(shapes: Shapes, _: int) -> LearnedGraphSizes:
    return LearnedGraphSizes(
        nodes=node_sizes_from_shapes(shapes, last_conv=_LAST_CONV, graph_weight=_FIRST_WEIGHT),
        graph=graph_sizes_from_shapes(
            shapes,
            first=_FIRST_WEIGHT,
            block="predictor.sem_gcn.gconv_layers.{}.gconv1.gconv.W",
            edges=_EDGES,
        ),
    )


def _tiny() -> LearnedGraphSizes:
    return LearnedGraphSizes(
        nodes=NodeSizes(landmark_count=29, channels_per_landmark=2, map_size=2, hidden_channels=6),
        graph=GraphSizes(in_width=8, width=6, block_count=2, edge_count=133),
    )


LEARNED_GRAPH = Head(
    name="l-grl",
    meaning="a learned graph",
    keys=(
        "predictor.map_to_node.conv_out.0.weight",
        _LAST_CONV,
        _FIRST_WEIGHT,
        _EDGES,
        "predictor.sem_gcn.gconv_output.e",
    ),
    read_sizes=_read_sizes,
    tiny=_tiny,
    build=LearnedGraphPredictor,
    fold=_FoldedLearnedGraph,
)
