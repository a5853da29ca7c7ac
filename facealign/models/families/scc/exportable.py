"""SCC as it is traced: the same function as `network.Scc`, rewritten for a small, fast graph.

* Normalisation and graph convolutions: as in SDFL, see `normalisation` and `folded_graph`.
* Steering maps: a 1x1 convolution commutes with bilinear doubling, whose weights sum to one. So it
  runs before, on a quarter of the cells, and half or a third of the channels are doubled. Of the
  concatenation in front of it a sum is left.
* Gates: the second layer of both branches is one product behind their sum, as it is linear; and
  ``x s + x = x (s + 1)``, where ``s + 1`` has one channel.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from facealign.models.backbone import backbone_by_name
from facealign.models.blocks.constant import constant
from facealign.models.blocks.folded_graph import (
    FoldedAdjacency,
    FoldedGraphNetwork,
    folded_linear_after_norm,
    mixing_from_adjacency,
)
from facealign.models.blocks.normalisation import traced_z_score
from facealign.models.families.scc.network import (
    Gate,
    MultiScaleEmbedding,
    RelationLearner,
    Scc,
)
from facealign.models.family import Exportable

__all__ = ["ExportableScc"]


class ExportableScc(Exportable):
    """uint8 BGR crops in; landmarks out, then the probes on the way."""

    def __init__(self, network: Scc) -> None:
        super().__init__()
        sizes, head = network.hyperparameters, network.predictor
        backbone = backbone_by_name(sizes.backbone.name)
        self.backbone = backbone.exportable(network.backbone, sizes.crop_size_px)
        self.embedding = _FoldedEmbedding(head.map_to_node)
        relation = head.relation_learner
        self.adjacency = None if relation is None else _FoldedRelation(relation)
        factor = 1 / sizes.crop_size_px
        self.graph_network = FoldedGraphNetwork(head.sem_gcn, landmark_factor=factor)
        mixing = () if relation is None else ("mixing",)
        points = ("backbone", "middle", "fine", "nodes", *mixing, "graph")
        self.output_names = ("landmarks", *points)

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """Return the tensors that `output_names` lists, from ``(B, H, W, 3)`` uint8 BGR crops."""
        maps = self.backbone(traced_z_score(image))[-3:]
        middle, fine, node_maps = self.embedding(*maps)
        nodes = node_maps.reshape(-1, *self.embedding.node_shape)
        mixing = () if self.adjacency is None else (self.adjacency(node_maps),)
        landmarks, _, graph = self.graph_network(nodes.transpose(1, 2), *mixing)
        return (landmarks, maps[-1], middle, fine, nodes, *mixing, graph)


class _FoldedEmbedding(nn.Module):
    def __init__(self, embedding: MultiScaleEmbedding) -> None:
        super().__init__()
        self.source = embedding
        nodes = embedding.sizes.nodes
        self.node_shape = (nodes.landmark_count, nodes.feature_count)
        self.steering_middle = _FoldedSteering(embedding.conv34, embedding.sizes.coarse_channels)
        self.steering_fine = _FoldedSteering(embedding.conv234, embedding.sizes.middle.channels)
        self.gate_middle, self.gate_fine = (
            _FoldedGate(embedding.att34),
            _FoldedGate(embedding.att234),
        )

    def forward(self, fine: Tensor, middle: Tensor, coarse: Tensor) -> tuple[Tensor, ...]:
        """Return the gated ``middle`` and ``fine`` maps and the map of all landmarks."""
        source = self.source
        a2, a3, a4 = source.conv_out2_a(fine), source.conv_out3_a(middle), source.conv_out4(coarse)
        t34 = self.steering_middle(a4, a3)
        t234 = self.steering_fine(t34, a2)
        a3, a2 = self.gate_middle(a3, t34), self.gate_fine(a2, t234)
        together = torch.cat([source.conv_out2(a2), source.conv_out3(a3), a4], dim=1)
        return a3, a2, source.conv_to_node(together)


class _FoldedSteering(nn.Module):
    """A 1x1 convolution of a coarser map, doubled, and of one of its own size."""

    def __init__(self, layer: nn.Sequential, coarse_channels: int) -> None:
        super().__init__()
        conv, norm = cast("nn.Conv2d", layer[0]), cast("nn.BatchNorm2d", layer[1])
        state = {name: value.double() for name, value in norm.state_dict().items()}
        scale = state["weight"] / torch.sqrt(state["running_var"] + norm.eps)
        weight = conv.weight.double() * scale.reshape(-1, 1, 1, 1)
        before = state["running_mean"] if conv.bias is None else state["running_mean"] - conv.bias
        self.coarse_weight = constant(weight[:, :coarse_channels])
        self.own_weight = constant(weight[:, coarse_channels:])
        self.bias = constant(state["bias"] - before * scale)

    def forward(self, coarse: Tensor, own: Tensor) -> Tensor:
        low = functional.conv2d(coarse, self.coarse_weight)
        doubled = functional.interpolate(low, scale_factor=2, mode="bilinear", align_corners=False)
        return torch.relu(functional.conv2d(own, self.own_weight, self.bias) + doubled)


class _FoldedGate(nn.Module):
    def __init__(self, gate: Gate) -> None:
        super().__init__()
        first, last = cast("nn.Linear", gate.fc[0]), cast("nn.Linear", gate.fc[2])
        self.first = constant(first.weight[:, :, None, None])
        self.last = constant(last.weight[:, :, None, None])
        self.spatial = gate.spatial_att

    def forward(self, maps: Tensor, steering: Tensor) -> Tensor:
        pooled = (steering.mean(dim=(2, 3), keepdim=True), steering.amax(dim=(2, 3), keepdim=True))
        mean, largest = (torch.relu(functional.conv2d(each, self.first)) for each in pooled)
        by_channel = torch.sigmoid(functional.conv2d(mean + largest, self.last))
        over_channels = torch.cat(
            [steering.mean(dim=1, keepdim=True), steering.amax(dim=1, keepdim=True)], dim=1
        )
        gated: Tensor = maps * by_channel * (self.spatial(over_channels) + 1)
        return gated


class _FoldedRelation(nn.Module):
    """The transpose is that of the layout."""

    def __init__(self, relation: RelationLearner) -> None:
        super().__init__()
        self.squeeze = relation.fc[0]
        norm, last = cast("nn.BatchNorm1d", relation.fc[2]), cast("nn.Linear", relation.fc[3])
        self.adjacency = FoldedAdjacency(
            folded_linear_after_norm(norm, last),
            relation.pattern,
            lambda rows: mixing_from_adjacency(rows, is_split=False),
        )

    def forward(self, node_maps: Tensor) -> Tensor:
        mixing: Tensor = self.adjacency(torch.relu(self.squeeze(node_maps.mean(dim=(2, 3)))))
        return mixing
