"""SLPT the way one would export it without thinking: the baseline of the latency benchmark.

The sampler loops over the images of the batch and selects cells by index, every layer of the
decoder gives its landmarks, and normalisation stays outside. Batch 1 is baked in, as such exports
have it.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from facealign.models.families.slpt.network import Slpt

__all__ = ["NaiveSlpt"]


class NaiveSlpt(nn.Module):
    """All landmarks of all layers of all stages, from ``(1, 3, H, W)`` normalised RGB."""

    def __init__(self, network: Slpt) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """Return ``(1, layers, N, 2)`` landmarks per stage."""
        network = self.network
        maps = network.backbone.projection(network.backbone(image))
        landmarks = network.mean_shape.expand(image.shape[0], -1, -1)
        stages = []
        for stage in range(1, network.hyperparameters.stage_count + 1):
            box_min, box_size = network.roi(landmarks, stage)
            tokens = network.tokens(maps, box_min, box_size, sample=_sample_by_index)
            decoded = self._decode(tokens)  # (B, layers, N, D)
            offsets = network.out_layer(decoded)
            stages.append(box_min.unsqueeze(1) + box_size.unsqueeze(1) * offsets)
            landmarks = stages[-1][:, -1]
        return tuple(stages)

    def _decode(self, tokens: Tensor) -> Tensor:
        transformer = self.network.Transformer
        decoder = transformer.Transformer_block
        key = tokens + transformer.structure_encoding
        target, decoded = torch.zeros_like(tokens), []
        for layer in decoder.layers:
            target = layer(target, tokens, key, transformer.landmark_query)
            decoded.append(decoder.norm(target))
        return torch.stack(decoded, dim=1)


def _sample_by_index(maps: Tensor, positions: Tensor) -> Tensor:
    """Return ``(B, K, C)`` bilinear samples, image by image and corner by corner."""
    height, width = maps.shape[-2:]
    cells = positions * torch.tensor([width - 1.0, height - 1.0])
    samples = []
    for index in range(maps.shape[0]):
        table = maps[index].flatten(1)  # (C, H*W)
        low, high = cells[index].floor(), cells[index].ceil()
        across, down = (cells[index] - low).unbind(-1)
        corners = [
            table.index_select(1, (y * width + x).long())
            for y in (low[:, 1], high[:, 1])
            for x in (low[:, 0], high[:, 0])
        ]
        top = corners[0] * (1 - across) + corners[1] * across
        bottom = corners[2] * (1 - across) + corners[3] * across
        samples.append((top * (1 - down) + bottom * down).T)
    return torch.stack(samples)
