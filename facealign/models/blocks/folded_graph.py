"""Graph convolutions as they are traced: the same functions as in `graph_convolution`, rewritten.

* Layout: features before landmarks, ``(B, F, N)``. Weights are then 1x1 convolutions, which take
  bias and ReLU along, and the transposes around BatchNorm vanish.
* BatchNorm: into weight and bias.
* Adjacency: one product with ``(N, 2N)``, the diagonal and the rest side by side. Behind a Reshape
  that moves nothing, both halves are input channels of one convolution. A learned adjacency is a
  constant here.
* An adjacency computed from the image: its logits are laid out as ``(N, degree)``, row by row, by
  the linear layer that gives them. Places without an edge have weight 0 and bias -1e4; the softmax
  makes them exactly 0, because exp underflows below -104 and the logits of edges are nowhere near
  -1e4. One Gather with constant indices then fills the ``(N, 2N)`` matrix, zeros from such a place.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import cast

import torch
from torch import Tensor, nn

from facealign.models.blocks.constant import constant
from facealign.models.blocks.graph_convolution import (
    GraphConv,
    GraphNetwork,
    NormedGraphConv,
    SemanticGraphConv,
)

__all__ = [
    "FoldedAdjacency",
    "FoldedGraphNetwork",
    "folded_linear_after_norm",
    "mixing_from_adjacency",
    "points_as_traced",
]

_NO_EDGE = -1e4  # logit; in the range of FP16


def mixing_from_adjacency(adjacency: Tensor, *, is_split: bool) -> Tensor:
    """Return what nodes ``(B, F, N)`` are multiplied with from the right.

    Args:
        adjacency: ``(..., N, N)``; row i holds what landmark i takes from the others.
        is_split: Whether a landmark's own features have a weight of their own.

    Returns:
        ``(..., N, 2N)``, diagonal and rest; or ``(..., N, N)``.
    """
    from_others = adjacency.transpose(-1, -2)
    if not is_split:
        return from_others
    by_itself = torch.eye(adjacency.shape[-1], dtype=adjacency.dtype)
    return torch.cat([from_others * by_itself, from_others * (1 - by_itself)], dim=-1)


def points_as_traced(
    points: Mapping[str, Tensor], *, size_px: int, is_split: bool = True
) -> dict[str, Tensor]:
    """Return the points of a plain network as a folded one gives them.

    Args:
        points: ``landmarks_px`` ``(B, N, 2)``; perhaps ``adjacency`` ``(B, N, N)``, which becomes
            ``mixing``, and points of the graph ``(B, N, D)``, of which the axes are swapped.
        size_px: Side of the crop; landmarks become a fraction of it.
        is_split: As in `mixing_from_adjacency`.
    """
    traced = {
        name: point.transpose(1, 2) if name.startswith("graph") else point
        for name, point in points.items()
    }
    traced["landmarks"] = traced.pop("landmarks_px") / size_px
    if "adjacency" in traced:
        traced["mixing"] = mixing_from_adjacency(traced.pop("adjacency"), is_split=is_split)
    return traced


class FoldedGraphNetwork(nn.Module):
    """A `GraphNetwork` with everything constant folded; features stand before landmarks."""

    def __init__(self, network: GraphNetwork, *, landmark_factor: float) -> None:
        """Fold a trained network.

        Args:
            network: The reference.
            landmark_factor: What its landmarks are multiplied with.
        """
        super().__init__()
        self.first = _FoldedGraphConv(network.first())
        blocks = [nn.ModuleList(map(_FoldedGraphConv, block)) for block in network.blocks()]
        self.blocks = nn.ModuleList(blocks)
        self.last = _FoldedGraphConv(network.last(), factor=landmark_factor)

    def forward(self, nodes: Tensor, mixing: Tensor | None = None) -> tuple[Tensor, ...]:
        """Return landmarks and the points on the way.

        Args:
            nodes: ``(B, F, N)``.
            mixing: ``(B, N, 2N)`` or ``(B, N, N)``, for all layers; None where each has its own.

        Returns:
            Landmarks ``(B, N, 2)``; behind the first convolution and before the last
            ``(B, D, N)``.
        """
        hidden = first = self.first(nodes, mixing)
        for block in self.blocks:
            one, two = block.children()
            hidden = two(one(hidden, mixing), mixing) + hidden
        return self.last(hidden, mixing).transpose(1, 2), first, hidden


class _FoldedGraphConv(nn.Module):
    """Mix the landmarks, then the features; ReLU if there was a norm."""

    def __init__(self, layer: NormedGraphConv | GraphConv, *, factor: float = 1.0) -> None:
        super().__init__()
        conv = layer.conv if isinstance(layer, NormedGraphConv) else layer
        weight, bias = conv.W.double(), conv.bias.double()
        self.has_relu = isinstance(layer, NormedGraphConv)
        scale, shift = torch.full_like(bias, factor), torch.zeros_like(bias)
        if isinstance(layer, NormedGraphConv):
            scale, shift = _scale_and_shift(layer.bn)
        weight = (weight * scale).reshape(-1, *weight.shape[-2:])  # (1 or 2, in, out)
        self.copies = weight.shape[0]
        # Reshape puts both halves of a feature side by side: channel = 2 * feature + half.
        kernel = weight.permute(2, 1, 0).flatten(1).unsqueeze(-1)  # (out, in * copies, 1)
        self.weight, self.bias = constant(kernel), constant(bias * scale + shift)
        self.mixing: nn.Parameter | None = None
        if isinstance(conv, SemanticGraphConv):
            self.mixing = constant(mixing_from_adjacency(conv.adjacency[0].double(), is_split=True))

    def forward(self, nodes: Tensor, mixing: Tensor | None) -> Tensor:
        mixed = torch.matmul(nodes, cast("Tensor", mixing if self.mixing is None else self.mixing))
        if self.copies > 1:
            mixed = mixed.reshape(-1, self.weight.shape[1], nodes.shape[2])
        out = nn.functional.conv1d(mixed, self.weight, self.bias)
        return torch.relu(out) if self.has_relu else out


class FoldedAdjacency(nn.Module):
    """From hidden features of an image to the mixing matrix of its graph."""

    index: Tensor

    def __init__(
        self, logits: tuple[Tensor, Tensor], pattern: Tensor, to_mixing: Callable[[Tensor], Tensor]
    ) -> None:
        """Fold the layout of the graph into the layer that gives its logits.

        Args:
            logits: Weight ``(E, D)`` and bias ``(E,)`` of that layer.
            pattern: ``(N, N)``, not 0 where there is an edge; its rows are softmax rows.
            to_mixing: From an ``(N, N)`` adjacency to the mixing matrix; it may move, copy and
                drop entries, and fill with zeros.
        """
        super().__init__()
        rows, columns = torch.nonzero(pattern, as_tuple=True)  # in the order of the logits
        count = pattern.shape[0]
        degrees = torch.bincount(rows, minlength=count)
        self.shape = (count, int(degrees.max()) + 1)  # the last place of a row never has an edge
        first_of_row = torch.cumsum(degrees, 0) - degrees
        places = rows * self.shape[1] + torch.arange(len(rows)) - first_of_row[rows]
        weight = torch.zeros(self.shape[0] * self.shape[1], logits[0].shape[1])
        bias = torch.full((weight.shape[0],), _NO_EDGE)
        weight[places], bias[places] = logits[0].detach().float(), logits[1].detach().float()
        self.weight, self.bias = constant(weight), constant(bias)
        numbers = torch.zeros(count, count, dtype=torch.float64)
        numbers[rows, columns] = places.double() + 1
        mixing = to_mixing(numbers)  # 0 where the matrix is 0, else 1 + place
        self.mixing_shape = tuple(mixing.shape)
        empty = self.shape[1] - 1
        index = torch.where(mixing > 0, mixing - 1, float(empty)).long().flatten()
        self.register_buffer("index", index, persistent=False)

    def forward(self, hidden: Tensor) -> Tensor:
        """Return ``(B, *mixing_shape)`` from ``(B, D)`` features."""
        logits = nn.functional.linear(hidden, self.weight, self.bias)
        values = torch.softmax(logits.reshape(-1, *self.shape), dim=2)
        flat = values.reshape(-1, self.shape[0] * self.shape[1])
        return flat.index_select(1, self.index).reshape(-1, *self.mixing_shape)


def folded_linear_after_norm(norm: nn.BatchNorm1d, linear: nn.Linear) -> tuple[Tensor, Tensor]:
    """Return weight and bias of a linear layer that does its BatchNorm's work too."""
    scale, shift = _scale_and_shift(norm)
    weight = linear.weight.double()
    return (weight * scale).float(), (linear.bias.double() + weight @ shift).float()


def _scale_and_shift(norm: nn.BatchNorm1d) -> tuple[Tensor, Tensor]:
    """Return ``a`` and ``b`` of ``a x + b``, which BatchNorm is in evaluation, in float64."""
    state = {name: value.double() for name, value in norm.state_dict().items()}
    scale = state["weight"] / torch.sqrt(state["running_var"] + norm.eps)
    return scale, state["bias"] - scale * state["running_mean"]
