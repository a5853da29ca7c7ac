"""SPIGA's perceptrons and graph attention as they are traced; landmarks are columns throughout."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import cast

import torch
from torch import Tensor, nn

from facealign.models.blocks.constant import constant
from facealign.models.families.spiga.folding import scale_and_shift
from facealign.models.families.spiga.network import (
    GraphAttention,
    MessagePassing,
    RelationLayer,
    Relations,
)

__all__ = ["FoldedLayer", "FoldedRelations", "folded_perceptron"]


class FoldedRelations(nn.Module):
    """All layers of one step, and its decoder."""

    def __init__(self, relations: Relations, *, reach: float) -> None:
        """Fold the weights.

        Args:
            relations: Of the reference.
            reach: The largest offset, both ways, as a fraction of the crop.
        """
        super().__init__()
        self.layers = nn.ModuleList(
            FoldedLayer(cast("RelationLayer", layer)) for layer in relations.gat
        )
        self.decoder = folded_perceptron(relations.decoder.decoder, factor=reach)
        self.reach = reach

    def forward(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Return related tokens ``(B, D', N)`` and offsets ``(B, 2, N)``, fractions of the crop."""
        for layer in self.layers:
            tokens = layer(tokens)
        return tokens, torch.clamp(self.decoder(tokens), -self.reach, self.reach)


class FoldedLayer(nn.Module):
    """One layer of graph attention; the channels of a head lie side by side."""

    def __init__(self, layer: RelationLayer) -> None:
        super().__init__()
        attention = layer.attention
        self.head_count = attention.attn.head_count
        order = _order_by_head(attention.attn)
        self.projections = _folded_projections(attention.attn, order)
        self.mlp = _folded_mlp(attention, order)
        self.skip = layer.reshape if layer.needs_reshape else nn.Identity()

    def forward(self, tokens: Tensor) -> Tensor:
        """Return ``(B, outputs, N)`` from ``(B, inputs, N)``."""
        batch, channels, count = tokens.shape
        heads = self.head_count
        projected = self.projections(tokens).reshape(batch, 3 * heads, channels // heads, count)
        query, key, value = torch.split(projected, heads, dim=1)  # (B, heads, d, N) each
        # Keys in rows: their weights then stand as the product with the values needs them.
        weights = torch.softmax(torch.matmul(key.transpose(2, 3), query), dim=2)
        message = torch.matmul(value, weights).reshape(batch, channels, count)
        updated: Tensor = self.skip(tokens) + self.mlp(torch.cat([tokens, message], dim=1))
        return updated


def folded_perceptron(
    perceptron: nn.Sequential, *, input_order: Tensor | None = None, factor: float = 1.0
) -> nn.Sequential:
    """Return 1x1 convolutions with ReLU between them, the norms folded in.

    Args:
        perceptron: Convolutions, norms and ReLUs, the last one a convolution.
        input_order: Which of its inputs each input of the result is; by default the same.
        factor: What the outputs are multiplied with.
    """
    layers = list(_layers(perceptron))
    if input_order is not None:
        weight, bias = layers[0]
        layers[0] = (weight[:, input_order], bias)
    weight, bias = layers[-1]
    layers[-1] = (weight * factor, bias * factor)
    return _convolutions(layers)


def _order_by_head(attention: MessagePassing) -> Tensor:
    """Return the interleaved channels in the order that puts each head's side by side."""
    channels = attention.merge.in_channels
    return torch.arange(channels).reshape(-1, attention.head_count).T.flatten()


def _folded_projections(attention: MessagePassing, order: Tensor) -> nn.Conv1d:
    """Return query, key and value as one product; the scale of the scores is in the query."""
    scale = math.sqrt(attention.head_count / len(order))
    weights, biases = zip(*map(_weight_and_bias, attention.proj), strict=True)
    factors = (scale, 1.0, 1.0)
    weight = torch.cat([each[order] * by for each, by in zip(weights, factors, strict=True)])
    bias = torch.cat([each[order] * by for each, by in zip(biases, factors, strict=True)])
    return _convolution(weight, bias)


def _folded_mlp(attention: GraphAttention, order: Tensor) -> nn.Sequential:
    """Return the perceptron of token and message, with the merging of heads in its first layer."""
    (weight, bias), *rest = _layers(attention.mlp)
    merge_weight, merge_bias = _weight_and_bias(attention.attn.merge)
    of_token, of_message = weight.chunk(2, dim=1)
    merged = torch.cat([of_token, of_message @ merge_weight[:, order]], dim=1)
    return _convolutions([(merged, bias + of_message @ merge_bias), *rest])


def _layers(perceptron: nn.Sequential) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield weight and bias, float64, of every convolution with the norm behind it."""
    modules = list(perceptron)
    for index, module in enumerate(modules):
        if isinstance(module, nn.Conv1d):
            weight, bias = _weight_and_bias(module)
            for norm in modules[index + 1 : index + 2]:  # none behind the last
                scale, shift = scale_and_shift(norm)
                weight, bias = weight * scale.unsqueeze(1), bias * scale + shift
            yield weight, bias


def _weight_and_bias(conv: nn.Module) -> tuple[Tensor, Tensor]:
    state = conv.state_dict()
    return state["weight"].double()[:, :, 0], state["bias"].double()


def _convolutions(layers: Iterable[tuple[Tensor, Tensor]]) -> nn.Sequential:
    modules: list[nn.Module] = []
    for weight, bias in layers:
        modules += [_convolution(weight, bias), nn.ReLU()]
    return nn.Sequential(*modules[:-1])


def _convolution(weight: Tensor, bias: Tensor) -> nn.Conv1d:
    conv = nn.Conv1d(weight.shape[1], weight.shape[0], 1)
    conv.weight, conv.bias = constant(weight.unsqueeze(2)), constant(bias)
    return conv
