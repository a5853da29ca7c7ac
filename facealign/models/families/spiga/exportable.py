"""SPIGA as it is traced: the same function as `network.Spiga`, rewritten for a small, fast graph.

Every rewrite is exact up to rounding, and the parity check holds the traced graph against the plain
network, so a wrong one cannot ship:

* Stem: 1/255 and the first norm go into the first convolution. What it makes of the coordinate
  channels is the same for every crop: a constant map that is added.
* Edges to landmarks: the table is a 1x1 convolution, its last column the bias.
* Only the last stack's pose branch is read; the others are left out.
* Projection: two products with constants, see `projection`.
* Sampling: one GridSample per step, whose grid is ``2 p`` plus a constant table. The authors pad
  with the border; here positions are clamped to the middles of the outer cells, where that padding
  begins, and padding is zeros, which is then never read. ONNX Runtime 1.31 has a fast kernel for
  that case only (for three steps of 98 patches 9 against 85 ms on two cores).
* Patch convolution: its window is the whole patch, so it is one product. Patch cells stand before
  landmarks in the grid, which makes the samples its right-hand side without a copy (24 against
  302 ms for three steps).
* Relative positions: two constant Gathers and their difference. Folded further, into the layer
  behind them, they would need 15 million more weights.
* Graph attention: query, key and value are one product, the channels of a head side by side, the
  scale in the query. Merging the heads goes into the perceptron behind it, norms into products.
* Offsets: half the window goes into the last product, and hardtanh clips at that.

Landmarks are columns, ``(B, 2, N)``, wherever convolutions meet them; rows only for the grid and
for the outputs. The transposed convolutions stay: as a 1x1 convolution and DepthToSpace they took
longer (45 ms for DepthToSpace alone, against 43 ms for all of it).
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from facealign.models.blocks.constant import constant
from facealign.models.families.spiga.folded_cnn import FoldedCnn
from facealign.models.families.spiga.folded_relations import FoldedRelations, folded_perceptron
from facealign.models.families.spiga.hyperparameters import SpigaHyperparameters
from facealign.models.families.spiga.network import Spiga
from facealign.models.families.spiga.projection import Projection
from facealign.models.family import Exportable

__all__ = ["ExportableSpiga", "FoldedStep"]


class ExportableSpiga(Exportable):
    """uint8 BGR crops in; landmarks of the last step and the pose out, then the probes."""

    def __init__(self, network: Spiga) -> None:
        super().__init__()
        steps = range(network.hyperparameters.step_count)
        self.cnn = FoldedCnn(network.visual_cnn)
        self.pose = network.pose_fc
        self.project = Projection(network)
        self.steps = nn.ModuleList(FoldedStep(network, step) for step in steps)
        self.output_names = (
            "landmarks",
            "pose",
            "visual_field",
            "initial",
            "step1.tokens",
            "step1.related",
            *(f"step{step}.landmarks" for step in steps[1:]),
        )

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """Return the tensors that `output_names` lists, from ``(B, S, S, 3)`` uint8 BGR crops."""
        field, core = self.cnn(image)
        pose = self.pose(core)
        positions = self.project(pose)  # (B, 2, N)
        landmarks = [positions.transpose(1, 2)]
        inner: list[Tensor] = []
        for step in self.steps:
            tokens, related, positions = step(field, positions, landmarks[-1])
            landmarks.append(positions.transpose(1, 2))
            inner += [tokens, related]
        return landmarks[-1], pose, field, landmarks[0], *inner[:2], *landmarks[1:-1]


class FoldedStep(nn.Module):
    """One step of the cascade."""

    def __init__(self, network: Spiga, step: int) -> None:
        super().__init__()
        sizes = network.hyperparameters
        self.offsets = constant(_grid_offsets(sizes, step))
        self.limit = 1 - 1 / sizes.map_size  # in units of GridSample, as the offsets
        own, other = _pairs(sizes.landmark_count)
        self.own, self.other = constant(own), constant(other)
        self.window = _window_product(cast("nn.Conv2d", network.conv_window[step]))
        encoder = network.shape_encoder[step].get_submodule("encoder")
        x_before_y = torch.arange(2 * (sizes.landmark_count - 1)).reshape(-1, 2).T.flatten()
        self.shape = folded_perceptron(cast("nn.Sequential", encoder), input_order=x_before_y)
        self.relations = FoldedRelations(network.relations(step), reach=sizes.windows[step] / 2)

    def forward(
        self, field: Tensor, positions: Tensor, landmarks: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return tokens ``(B, D, N)``, related tokens ``(B, D', N)`` and positions ``(B, 2, N)``.

        Args:
            field: ``(B, C, M, M)``.
            positions: ``(B, 2, N)``, x and y as a fraction of the crop.
            landmarks: The same, ``(B, N, 2)``.
        """
        tokens = self.visual_tokens(field, landmarks) + self.shape_tokens(positions)
        related, offset = self.relations(tokens)
        return tokens, related, positions + offset

    def visual_tokens(self, field: Tensor, landmarks: Tensor) -> Tensor:
        """Return what the patch around every landmark says, ``(B, D, N)``."""
        grid = (2 * landmarks).unsqueeze(1) + self.offsets  # (B, P * P, N, 2)
        inside = torch.clamp(grid, -self.limit, self.limit)
        samples = functional.grid_sample(field, inside, padding_mode="zeros", align_corners=False)
        tokens: Tensor = self.window(samples.flatten(1, 2))
        return tokens

    def shape_tokens(self, positions: Tensor) -> Tensor:
        """Return what the positions of all others relative to each landmark say, ``(B, D, N)``."""
        batch, _, count = positions.shape
        between = positions.index_select(2, self.own) - positions.index_select(2, self.other)
        tokens: Tensor = self.shape(between.reshape(batch, -1, count))
        return tokens


def _grid_offsets(sizes: SpigaHyperparameters, step: int) -> Tensor:
    """Return ``(1, P * P, 1, 2)`` x and y to add to ``2 p`` for each cell of a patch, row by row.

    Cell c sits at ``(2 c + 1) / M - 1``, and p is at cell ``M p``.
    """
    reach = sizes.windows[step] - 1 / sizes.map_size
    line = torch.linspace(-reach, reach, sizes.patch_size, dtype=torch.float64)
    y, x = torch.meshgrid(line, line, indexing="ij")
    return torch.stack([x, y], dim=-1).reshape(1, -1, 1, 2) + (1 / sizes.map_size - 1)


def _pairs(count: int) -> tuple[Tensor, Tensor]:
    """Return a landmark and another, int64 each, for ``(N - 1, N)`` pairs in reading order.

    Column l is landmark l with all others, ascending.
    """
    own = torch.arange(count).expand(count - 1, -1)
    other = torch.arange(count - 1).unsqueeze(1)
    return own.flatten(), (other + (other >= own)).flatten()


def _window_product(window: nn.Conv2d) -> nn.Conv1d:
    """Return the convolution over a whole patch as one over ``(B, C * P * P, N)``."""
    product = nn.Conv1d(window.weight[0].numel(), window.out_channels, 1)
    product.weight = constant(window.weight.reshape(window.out_channels, -1, 1))
    product.bias = constant(window.state_dict()["bias"])
    return product
