"""SCC: what names and shapes of a state dict say about the network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from facealign.errors import StateDictError
from facealign.models.backbone import (
    BackboneChoice,
    Shapes,
    backbone_by_name,
    discover_backbones,
)
from facealign.models.blocks.graph_convolution import GraphSizes, graph_sizes_from_shapes
from facealign.models.blocks.node_embedding import NodeSizes, node_sizes_from_shapes
from facealign.models.structure_coherency import backbone_from_shapes

__all__ = ["SIGNATURE_KEYS", "EmbeddingSizes", "GateSizes", "SccHyperparameters"]

_STRIDE = 32  # of the backbone's last map
_MAP_COUNT = 3  # that the node embedding reads
_EMBEDDING = "predictor.map_to_node."
_LAST_CONV = f"{_EMBEDDING}conv_to_node.1.0.weight"
_LAST_CONV_BIASED = f"{_EMBEDDING}conv_to_node.3.weight"
_FIRST_WEIGHT = "predictor.sem_gcn.gconv_input.0.gconv.W"
_LEARNED_EDGES = "predictor.sem_gcn.gconv_input.0.gconv.e"
_WEIGHTED_EDGES = "predictor.relation_learner.fc.3.bias"
_EVERY_FORM = (
    f"{_EMBEDDING}att34.spatial_att.0.weight",
    f"{_EMBEDDING}att234.fc.0.weight",
    _FIRST_WEIGHT,
)

SIGNATURE_KEYS = (
    (*_EVERY_FORM, _LAST_CONV, _LEARNED_EDGES),
    (*_EVERY_FORM, _LAST_CONV_BIASED, _LEARNED_EDGES),
    (*_EVERY_FORM, _LAST_CONV, _WEIGHTED_EDGES),
)


@dataclass(frozen=True, slots=True)
class GateSizes:
    """One attention gate.

    Attributes:
        channels: Of the map that steers the gate and of the one that passes it.
        hidden_channels: Between the two layers that weigh channels.
        kernel: Side of the convolution that weighs positions.
    """

    channels: int
    hidden_channels: int
    kernel: int


@dataclass(frozen=True, slots=True)
class EmbeddingSizes:
    """From three maps to nodes.

    Attributes:
        coarse_channels: Behind the first convolution of the last map.
        middle: Gate of the map before it.
        fine: Gate of the map before that.
        nodes: How the joined map becomes nodes.
        has_bias: Whether the convolutions have a bias, as the authors' other class of this kind.
    """

    coarse_channels: int
    middle: GateSizes
    fine: GateSizes
    nodes: NodeSizes
    has_bias: bool


@dataclass(frozen=True, slots=True)
class SccHyperparameters:
    """Everything that fixes an SCC network but its weights and its graph.

    Attributes:
        backbone: Which one, and its sizes; it gives three maps or more.
        embedding: Sizes of the node embedding.
        graph: Sizes of the graph convolutions.
        adjacency: ``learned``, the same for all images, as in the authors' code; or ``weighted``
            by the image, as in the paper.
        relation_width: Features between the layers that weigh the edges; 0 if they are learned.
    """

    backbone: BackboneChoice
    embedding: EmbeddingSizes
    graph: GraphSizes
    adjacency: Literal["learned", "weighted"]
    relation_width: int

    @property
    def landmark_count(self) -> int:
        """N."""
        return self.embedding.nodes.landmark_count

    @property
    def crop_size_px(self) -> int:
        """Side of the crop; the backbone's last map has stride 32."""
        return _STRIDE * self.embedding.nodes.map_size

    @property
    def in_channels(self) -> tuple[int, ...]:
        """Channels of the three maps, finest first."""
        channels = backbone_by_name(self.backbone.name).channels(self.backbone.sizes)
        return tuple(channels[-_MAP_COUNT:])

    @classmethod
    def from_shapes(cls, shapes: Shapes, _: Mapping[str, int]) -> SccHyperparameters:
        """Return the hyper-parameters that a state dict shows; there are no settings.

        Args:
            shapes: State-dict key to tensor shape.

        Raises:
            KeyError: If a key is missing, or the backbone is unknown; the key is the argument.
            StateDictError: If shapes do not fit together, or the backbone gives too few maps.
        """
        choice = backbone_from_shapes(shapes)
        is_learned = _LEARNED_EDGES in shapes
        found = cls(
            backbone=choice,
            embedding=_embedding_from_shapes(shapes),
            graph=graph_sizes_from_shapes(
                shapes,
                first=_FIRST_WEIGHT,
                block="predictor.sem_gcn.gconv_layers.{}.gconv1.gconv.W",
                edges=_LEARNED_EDGES if is_learned else _WEIGHTED_EDGES,
            ),
            adjacency="learned" if is_learned else "weighted",
            relation_width=0 if is_learned else shapes["predictor.relation_learner.fc.0.weight"][0],
        )
        if len(found.in_channels) < _MAP_COUNT:
            raise StateDictError(
                f"SCC reads the last {_MAP_COUNT} maps of its backbone, and "
                f"`{choice.name}` gives {len(found.in_channels)}; "
                "check that backbone and head are of one checkpoint"
            )
        return found

    @classmethod
    def tiny(cls) -> dict[str, SccHyperparameters]:
        """Return every form on a plain ResNet."""
        resnet = next(each for each in discover_backbones() if each.name == "resnet")
        choice = BackboneChoice(resnet.name, resnet.tiny()["plain"])
        learned = cls(
            backbone=choice,
            embedding=_tiny_embedding(has_bias=False),
            graph=GraphSizes(in_width=16, width=16, block_count=2, edge_count=133),
            adjacency="learned",
            relation_width=0,
        )
        return {
            "scc": learned,
            "biased": replace(learned, embedding=_tiny_embedding(has_bias=True)),
            "weighted": replace(
                learned,
                graph=replace(learned.graph, edge_count=4 * learned.landmark_count),
                adjacency="weighted",
                relation_width=5,
            ),
        }


def _embedding_from_shapes(shapes: Shapes) -> EmbeddingSizes:
    has_bias = f"{_EMBEDDING}conv_out4.0.bias" in shapes
    return EmbeddingSizes(
        coarse_channels=shapes[f"{_EMBEDDING}conv_out4.0.weight"][0],
        middle=_gate_from_shapes(shapes, "att34"),
        fine=_gate_from_shapes(shapes, "att234"),
        nodes=node_sizes_from_shapes(
            shapes,
            last_conv=_LAST_CONV_BIASED if has_bias else _LAST_CONV,
            graph_weight=_FIRST_WEIGHT,
        ),
        has_bias=has_bias,
    )


def _gate_from_shapes(shapes: Shapes, name: str) -> GateSizes:
    hidden, channels = shapes[f"{_EMBEDDING}{name}.fc.0.weight"]
    kernel = shapes[f"{_EMBEDDING}{name}.spatial_att.0.weight"][-1]
    return GateSizes(channels, hidden, kernel)


def _tiny_embedding(*, has_bias: bool) -> EmbeddingSizes:
    return EmbeddingSizes(
        coarse_channels=16,
        middle=GateSizes(channels=12, hidden_channels=6, kernel=3),
        fine=GateSizes(channels=8, hidden_channels=4, kernel=5),
        nodes=NodeSizes(landmark_count=29, channels_per_landmark=4, map_size=2, hidden_channels=16),
        has_bias=has_bias,
    )
