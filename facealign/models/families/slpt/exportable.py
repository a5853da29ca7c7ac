"""SLPT as it is traced: the same function as `network.Slpt`, rewritten for a small, fast graph.

Every rewrite is exact up to rounding, and the parity check holds the traced graph against the plain
network, so a wrong one cannot ship:

* Normalisation: scale and BGR order go into the first convolution. The mean stays a subtraction,
  because the convolution pads with zeros after it.
* Projection: the last 1x1 convolution of the backbone commutes with bilinear sampling (its weights
  sum to one, and no sample leaves the map), so it goes into the patch convolution behind it.
* Sampling: one batched GridSample per stage. The authors read cell ``63 * position`` (SPEC 3.5);
  that is written as a zero-padded, ``align_corners=0`` grid, for which ONNX Runtime 1.31 has a
  kernel 7 times faster than for ``align_corners=1`` or border padding (1.4 against 10 ms per
  stage).
* Patch convolution: its window is the whole patch, so it is one matrix product. Patch cells stand
  before landmarks in the grid, which makes the samples its right-hand side without a copy.
* Encodings: ``(x + query) W = x W + query W``, and the second term is a constant. The scale of the
  attention goes into the query weights. A key bias that is equal for all keys cancels in the
  softmax; the value bias passes through it into the bias of the output projection.
* Keys and values of all layers of the cross-attention come from the same tokens: one product each.
* The decoder starts from zeros, so self-attention and query of its first layer are constants.
"""

from __future__ import annotations

import math
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from facealign.models.blocks.constant import constant
from facealign.models.blocks.imagenet import IMAGENET_MEAN_RGB, folded_stem
from facealign.models.families.slpt.network import (
    DecoderLayer,
    Slpt,
)
from facealign.models.family import Exportable

__all__ = ["ExportableSlpt"]


class ExportableSlpt(Exportable):
    """uint8 BGR crops in; landmarks of the last stage out, then the probes on the way."""

    def __init__(self, network: Slpt) -> None:
        super().__init__()
        self.sizes = network.hyperparameters
        self.mean_bgr = constant(torch.tensor(IMAGENET_MEAN_RGB).flip(0) * 255)
        self.stem = folded_stem(network.backbone.conv1)
        self.backbone = network.backbone
        self.mean_shape = constant(network.mean_shape.unsqueeze(0))
        self.grid_steps = constant(_grid_steps(self.sizes.patch_size))
        weight, bias = _folded_patch_product(network)
        self.patch_weight, self.patch_bias = constant(weight), constant(bias)
        self.decoder = _FoldedDecoder(network)
        self.out_layer = network.out_layer
        stages = range(1, self.sizes.stage_count + 1)
        points = [
            f"stage{s}.{point}" for s in stages for point in ("tokens", "decoded", "landmarks")
        ]
        self.output_names = ("landmarks", "backbone", *points[:-1])

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """Return the tensors that `output_names` lists, from ``(B, H, W, 3)`` uint8 BGR crops."""
        centred = image.to(torch.float32) - self.mean_bgr
        maps = self.backbone.hidden_from_stem(self.stem(centred.permute(0, 3, 1, 2)))
        landmarks: Tensor = self.mean_shape
        points = [maps]
        for stage in range(1, self.sizes.stage_count + 1):
            half = self.sizes.half_patch_norm / 2 ** (stage - 1)
            box_min = (landmarks - half).clamp(0, 1)
            box_size = (landmarks + half).clamp(0, 1) - box_min
            grid = self._grid(box_min, box_size, cells=maps.shape[-1])
            if stage == 1:  # so far there is one shape for all images
                grid = grid.expand(maps.shape[0], -1, -1, -1)
            tokens = self._tokens(maps, grid)
            decoded = self.decoder(tokens)
            offset = self.out_layer(decoded).reshape(-1, self.sizes.landmark_count, 2)
            landmarks = box_min + box_size * offset
            points += [tokens, decoded, landmarks]
        return (landmarks, *points[:-1])

    def _grid(self, box_min: Tensor, box_size: Tensor, *, cells: int) -> Tensor:
        """Return where to sample, ``(b, P * P, N, 2)``, in the units of GridSample."""
        # Cell c sits at (2c + 1) / cells - 1 of a grid with align_corners=0, and c = (cells - 1) *
        # position.
        factor = 2 * (cells - 1) / cells
        corner, size = factor * box_min + (1 / cells - 1), factor * box_size
        return corner.unsqueeze(1) + size.unsqueeze(1) * self.grid_steps

    def _tokens(self, maps: Tensor, grid: Tensor) -> Tensor:
        """Return one token per landmark, ``(B * N, D)``."""
        patches = functional.grid_sample(maps, grid, padding_mode="zeros", align_corners=False)
        tokens = torch.matmul(self.patch_weight, patches.flatten(1, 2))  # (B, D, N)
        return tokens.transpose(1, 2).reshape(-1, self.sizes.width) + self.patch_bias


class _FoldedDecoder(nn.Module):
    """All layers over one memory; tokens are rows, ``(B * N, D)``, throughout."""

    def __init__(self, network: Slpt) -> None:
        super().__init__()
        sizes, transformer = network.hyperparameters, network.Transformer
        self.count, self.heads = sizes.landmark_count, sizes.head_count
        self.head_width = sizes.width // sizes.head_count
        source = cast("list[DecoderLayer]", list(transformer.Transformer_block.layers))
        projections = [_projections(layer.multihead_attn)[0] for layer in source]
        self.key_weight = constant(torch.cat([weights[1] for weights in projections]).T)
        self.value_weight = constant(torch.cat([weights[2] for weights in projections]).T)
        self.encoding = constant(transformer.structure_encoding)
        query = transformer.landmark_query.detach()[0]
        self.first = _FirstLayer(source[0], query)
        self.layers = nn.ModuleList(_Layer(layer, query) for layer in source[1:])
        self.norm = transformer.Transformer_block.norm

    def forward(self, tokens: Tensor) -> Tensor:
        by_head = (-1, self.count, self.key_weight.shape[1] // self.head_width, self.head_width)
        encoded = tokens.reshape(-1, *self.encoding.shape[1:]) + self.encoding
        keys = torch.matmul(encoded, self.key_weight).reshape(by_head)
        values = torch.matmul(tokens, self.value_weight).reshape(by_head)
        layer_keys = torch.split(keys.permute(0, 2, 3, 1), self.heads, dim=1)  # (B, heads, d, N)
        layer_values = torch.split(values.transpose(1, 2), self.heads, dim=1)  # (B, heads, N, d)
        target = self.first(layer_keys[0], layer_values[0])
        for layer, key, value in zip(self.layers, layer_keys[1:], layer_values[1:], strict=True):
            target = layer(target, key, value)
        normed: Tensor = self.norm(target)
        return normed


class _FirstLayer(nn.Module):
    """The first decoder layer, of which everything before the cross-attention is constant."""

    def __init__(self, layer: DecoderLayer, query: Tensor) -> None:
        super().__init__()
        self.count, self.width = query.shape
        heads = layer.multihead_attn.num_heads
        start = torch.zeros_like(query).unsqueeze(0)
        normed = layer.norm1(start)
        key = normed + query
        start = start + layer.self_attn(key, key, normed, need_weights=False)[0]
        weight, bias = _query_product(layer.multihead_attn, query)
        first_query = layer.norm2(start[0]) @ weight.T + bias
        self.query = constant(first_query.reshape(1, self.count, heads, -1).transpose(1, 2))
        self.start = constant(start + _out_bias(layer.multihead_attn))
        self.out_weight = constant(layer.multihead_attn.out_proj.weight.T)
        self.feed_forward = _FeedForward(layer)

    def forward(self, key: Tensor, value: Tensor) -> Tensor:
        update = torch.matmul(_attend(self.query, key, value), self.out_weight)
        target = update.reshape(-1, self.count, self.width) + self.start
        updated: Tensor = self.feed_forward(target.reshape(-1, self.width))
        return updated


class _Layer(nn.Module):
    """Any later decoder layer."""

    def __init__(self, layer: DecoderLayer, query: Tensor) -> None:
        super().__init__()
        self.heads = layer.self_attn.num_heads
        self.norm1, self.norm2 = layer.norm1, layer.norm2
        weights, _ = _projections(layer.self_attn)
        weight, bias = _query_product(layer.self_attn, query)
        zeros = torch.zeros_like(query)
        self.self_weight = constant(torch.cat([weight, weights[1], weights[2]]).T)
        self.self_bias = self._by_head(torch.cat([bias, query @ weights[1].T, zeros], dim=1))
        self.self_out = _out_product(layer.self_attn)
        weight, bias = _query_product(layer.multihead_attn, query)
        self.cross_weight = constant(weight.T)
        self.cross_bias = self._by_head(bias)
        self.cross_out = _out_product(layer.multihead_attn)
        self.feed_forward = _FeedForward(layer)

    def forward(self, target: Tensor, key: Tensor, value: Tensor) -> Tensor:
        mixed = _product_by_head(self.norm1(target), self.self_weight, self.self_bias)
        query, self_key, self_value = torch.split(mixed, self.heads, dim=1)
        target = target + self.self_out(_attend(query, self_key.transpose(2, 3), self_value))
        query = _product_by_head(self.norm2(target), self.cross_weight, self.cross_bias)
        target = target + self.cross_out(_attend(query, key, value))
        updated: Tensor = self.feed_forward(target)
        return updated

    def _by_head(self, bias: Tensor) -> nn.Parameter:
        """Return ``(N, heads * k, D / heads)`` from ``(N, D * k)``."""
        head_width = self.norm1.normalized_shape[0] // self.heads
        return constant(bias.reshape(bias.shape[0], -1, head_width))


def _product_by_head(rows: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Return the product of ``(B * N, D)`` rows by head, ``(B, heads, N, D / heads)``."""
    product = torch.matmul(rows, weight).reshape(-1, *bias.shape) + bias
    return product.transpose(1, 2)


class _FeedForward(nn.Module):
    """The last third of a decoder layer, as its authors have it."""

    def __init__(self, layer: DecoderLayer) -> None:
        super().__init__()
        self.norm3, self.linear1, self.linear2 = layer.norm3, layer.linear1, layer.linear2

    def forward(self, target: Tensor) -> Tensor:
        hidden = torch.relu(self.linear1(self.norm3(target)))
        updated: Tensor = target + self.linear2(hidden)
        return updated


def _attend(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Return ``(B * N, D)`` from ``(B, heads, N, d)``; the key is ``(B, heads, d, N)``."""
    weights = torch.softmax(torch.matmul(query, key), dim=-1)
    mixed = torch.matmul(weights, value).transpose(1, 2)  # (B, N, heads, d)
    return mixed.reshape(-1, mixed.shape[2] * mixed.shape[3])


def _projections(attention: nn.MultiheadAttention) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
    """Return weights and biases of query, key and value; they are packed in one tensor each."""
    return (
        attention.in_proj_weight.detach().chunk(3),
        attention.in_proj_bias.detach().chunk(3),
    )


def _query_product(attention: nn.MultiheadAttention, query: Tensor) -> tuple[Tensor, Tensor]:
    """Return scaled query weight ``(D, D)`` and, with the landmark query in it, bias ``(N, D)``."""
    weights, biases = _projections(attention)
    scale = 1 / math.sqrt(attention.head_dim)
    return weights[0] * scale, (query @ weights[0].T + biases[0]) * scale


def _out_bias(attention: nn.MultiheadAttention) -> Tensor:
    """Return the bias of the output projection with the value bias passed through it."""
    _, biases = _projections(attention)
    return attention.out_proj.weight @ biases[2] + attention.out_proj.bias


def _out_product(attention: nn.MultiheadAttention) -> nn.Linear:
    width = attention.embed_dim
    product = nn.Linear(width, width)
    product.weight = attention.out_proj.weight
    product.bias = constant(_out_bias(attention))
    return product


def _folded_patch_product(network: Slpt) -> tuple[Tensor, Tensor]:
    """Return weight ``(D, C * P * P)`` and bias ``(D,)`` of projection and patch product."""
    patch = network.feature_extractor.weight.double()  # (D, D, P, P)
    projection = network.backbone.projection
    weight = torch.einsum("omyx,mc->ocyx", patch, projection.weight.double()[:, :, 0, 0])
    bias = patch.sum(dim=(2, 3)) @ projection.state_dict()["bias"].double()
    return weight.flatten(1).float(), bias.float()


def _grid_steps(patch_size: int) -> Tensor:
    """Return ``(1, P*P, 1, 2)``: x and y of each patch cell in its box, 0 to 1, row by row."""
    steps = torch.linspace(0, 1, patch_size)
    y, x = torch.meshgrid(steps, steps, indexing="ij")
    return torch.stack([x, y], dim=-1).reshape(1, -1, 1, 2)
