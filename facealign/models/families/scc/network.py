"""SCC as its authors define it, with the checkpoint's own names; every parity check's reference.

Source: Zhu et al., arXiv 2006.11697 (SCC), and SPEC 4.7, 4.8 and 4.10, which say where the authors'
code departs from the paper. Written from those; no line is the authors'.

The authors released no network with the paper's graph, which every image weighs anew. The form
`weighted` is our reading of it, under names of our own:

* The graph is row-wise: landmark i takes from itself and its k = 3 nearest (N (k + 1) edges, 392 of
  98 landmarks), and they need not take from it.
* The logits of all edges come from the landmarks' features. As the only dynamic graph of the
  authors' code does with the backbone's map (SPEC 4.8), the map of all landmarks is averaged over
  its cells, and goes through linear, ReLU, BatchNorm, linear. Every channel of that map belongs to
  one landmark, so a landmark that is hidden can be told from the others.
* A softmax over each row makes them weights; they are not transposed.
* ``A X W + bias`` with one weight (eq. 4); the adjacency is the same in all layers, and norm, ReLU
  and residuals stand as in the authors' code.
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional

from facealign.models.backbone import build_backbone
from facealign.models.blocks.graph_convolution import (
    GraphConv,
    SemanticGraphConv,
    SemanticGraphNetwork,
    adjacency_from_values,
)
from facealign.models.blocks.node_embedding import conv_norm_relu
from facealign.models.families.scc.hyperparameters import (
    EmbeddingSizes,
    GateSizes,
    SccHyperparameters,
)

__all__ = ["Gate", "MultiScaleEmbedding", "RelationLearner", "Scc", "SccPredictor"]

_FINE_STRIDES, _MIDDLE_STRIDES = (2, 1, 2), (2, 1)  # down to the last map


class Scc(nn.Module):
    """A backbone, and the structure coherence component on its last three maps."""

    def __init__(self, hyperparameters: SccHyperparameters, pattern: Tensor) -> None:
        """Build an untrained network.

        Args:
            hyperparameters: Sizes, from `SccHyperparameters.from_shapes`.
            pattern: ``(N, N)`` graph, 1 where there is an edge.
        """
        super().__init__()
        self.hyperparameters = hyperparameters
        self.backbone = build_backbone(hyperparameters.backbone)
        self.predictor = SccPredictor(hyperparameters, pattern)

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """Return the named points of an image.

        Args:
            image: ``(B, 3, H, W)`` float32 BGR, as `z_score` gives it.

        Returns:
            ``backbone``, the last map ``(B, C, H / 32, W / 32)``; ``middle`` and ``fine``, behind
            their gates; ``nodes`` ``(B, N, F)``; perhaps ``adjacency`` ``(B, N, N)``; the points of
            the graph; and ``landmarks_px`` ``(B, N, 2)``, x and y in pixels of the crop.
        """
        maps = self.backbone(image)[-3:]
        return {"backbone": maps[-1], **self.predictor(*maps)}


class SccPredictor(nn.Module):
    """Node embedding from three maps, then the graph."""

    def __init__(self, sizes: SccHyperparameters, pattern: Tensor) -> None:
        super().__init__()
        self.map_to_node = MultiScaleEmbedding(sizes.in_channels, sizes.embedding)
        learned = partial(SemanticGraphConv, pattern=pattern)
        weighted = partial(GraphConv, weight_count=None)
        is_learned = sizes.adjacency == "learned"
        self.sem_gcn = SemanticGraphNetwork(sizes.graph, learned if is_learned else weighted)
        self.relation_learner = None if is_learned else RelationLearner(sizes, pattern)

    def forward(self, fine: Tensor, middle: Tensor, coarse: Tensor) -> dict[str, Tensor]:
        """Return the named points of three maps, each of half the size of the one before."""
        points = self.map_to_node(fine, middle, coarse)
        if self.relation_learner is not None:
            points["adjacency"] = self.relation_learner(points["nodes"])
        return {**points, **self.sem_gcn(points["nodes"], points.get("adjacency"))}


class MultiScaleEmbedding(nn.Module):
    """Coarser maps steer what passes of finer ones; all meet at the size of the last."""

    def __init__(self, in_channels: tuple[int, ...], sizes: EmbeddingSizes) -> None:
        super().__init__()
        self.sizes = sizes
        fine, middle, coarse = sizes.fine.channels, sizes.middle.channels, sizes.coarse_channels
        hidden, nodes = sizes.nodes.hidden_channels, sizes.nodes.channel_count
        layer = partial(conv_norm_relu, bias=sizes.has_bias)
        self.conv_out2_a = layer(in_channels[0], fine, 3)
        self.conv_out2 = self._chain([layer(fine, fine, 3, stride=s) for s in _FINE_STRIDES])
        self.conv_out3_a = layer(in_channels[1], middle, 3)
        self.conv_out3 = self._chain([layer(middle, middle, 3, stride=s) for s in _MIDDLE_STRIDES])
        self.conv_out4 = layer(in_channels[2], coarse, 3)
        self.conv34 = layer(coarse + middle, middle, 1)
        self.conv234 = layer(middle + fine, fine, 1)
        together = layer(coarse + middle + fine, hidden, 1)
        self.conv_to_node = self._chain([together, layer(hidden, nodes, 3)])
        self.att34 = Gate(sizes.middle)
        self.att234 = Gate(sizes.fine)

    def forward(self, fine: Tensor, middle: Tensor, coarse: Tensor) -> dict[str, Tensor]:
        """Return ``nodes`` ``(B, N, F)``, and the gated ``middle`` and ``fine`` maps."""
        a2, a3, a4 = self.conv_out2_a(fine), self.conv_out3_a(middle), self.conv_out4(coarse)
        t34 = self.conv34(torch.cat([_doubled(a4), a3], dim=1))
        t234 = self.conv234(torch.cat([_doubled(t34), a2], dim=1))
        a3, a2 = self.att34(a3, t34), self.att234(a2, t234)
        together = torch.cat([self.conv_out2(a2), self.conv_out3(a3), a4], dim=1)
        nodes = self.sizes.nodes
        node_maps = self.conv_to_node(together)
        features = node_maps.reshape(-1, nodes.landmark_count, nodes.feature_count)
        return {"middle": a3, "fine": a2, "nodes": features}

    def _chain(self, layers: list[nn.Sequential]) -> nn.Sequential:
        """Return layers behind each other; with biases they are numbered through (SPEC keys)."""
        if self.sizes.has_bias:
            return nn.Sequential(*(part for layer in layers for part in layer))
        return nn.Sequential(*layers)


def _doubled(maps: Tensor) -> Tensor:
    return functional.interpolate(maps, scale_factor=2, mode="bilinear", align_corners=False)


class Gate(nn.Module):
    """Channel and spatial attention of one map, applied to another.

    Source: Woo et al., ECCV 2018 (CBAM), sec. 3, for the two attentions; SPEC 4.7.
    """

    def __init__(self, sizes: GateSizes) -> None:
        super().__init__()
        self.fc = nn.Sequential(
            nn.Linear(sizes.channels, sizes.hidden_channels, bias=False),
            nn.ReLU(),
            nn.Linear(sizes.hidden_channels, sizes.channels, bias=False),
        )
        self.spatial_att = nn.Sequential(
            nn.Conv2d(2, 1, sizes.kernel, padding=sizes.kernel // 2), nn.Sigmoid()
        )

    def forward(self, maps: Tensor, steering: Tensor) -> Tensor:
        """Return `maps`, weighted by channel and position; both are ``(B, C, H, W)``."""
        by_channel = self.fc(steering.mean(dim=(2, 3))) + self.fc(steering.amax(dim=(2, 3)))
        over_channels = torch.cat(
            [steering.mean(dim=1, keepdim=True), steering.amax(dim=1, keepdim=True)], dim=1
        )
        weighted = maps * torch.sigmoid(by_channel)[:, :, None, None]
        gated: Tensor = weighted * self.spatial_att(over_channels) + weighted
        return gated


class RelationLearner(nn.Module):
    """From the features of all landmarks to the adjacency, our reading of the paper."""

    pattern: Tensor

    def __init__(self, sizes: SccHyperparameters, pattern: Tensor) -> None:
        super().__init__()
        self.cell_count = sizes.embedding.nodes.map_size**2
        width = sizes.relation_width
        self.fc = nn.Sequential(
            nn.Linear(sizes.embedding.nodes.channel_count, width),
            nn.ReLU(),
            nn.BatchNorm1d(width),
            nn.Linear(width, sizes.graph.edge_count),
        )
        self.register_buffer("pattern", pattern, persistent=False)

    def forward(self, nodes: Tensor) -> Tensor:
        """Return ``(B, N, N)`` of which every row sums to 1, from ``(B, N, F)``."""
        by_channel = nodes.reshape(nodes.shape[0], -1, self.cell_count).mean(dim=2)
        return adjacency_from_values(self.fc(by_channel), self.pattern)
