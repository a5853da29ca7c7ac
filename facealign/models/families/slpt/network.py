"""SLPT as its authors define it, with the checkpoint's own names; every parity check's reference.

Source: Xia et al., CVPR 2022 (Sparse Local Patch Transformer), and SPEC section 3, which says where
the authors' code departs from the paper. Written from those two; no line is the authors'.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import torch
from torch import Tensor, nn

from facealign.models.backbones.hrnet import HRNet, concatenate_branches
from facealign.models.families.slpt.hyperparameters import SlptHyperparameters

__all__ = ["DecoderLayer", "Slpt"]


class Slpt(nn.Module):
    """Three stages: cut a patch around every landmark, relate the patches, move the landmarks."""

    mean_shape: Tensor

    def __init__(self, hyperparameters: SlptHyperparameters, mean_shape: Tensor) -> None:
        """Build an untrained network.

        Args:
            hyperparameters: Sizes, from `SlptHyperparameters.from_shapes`.
            mean_shape: ``(N, 2)`` float32, x and y as a fraction of the crop.
        """
        super().__init__()
        self.hyperparameters = hyperparameters
        width, patch_size = hyperparameters.width, hyperparameters.patch_size
        self.feature_extractor = nn.Conv2d(width, width, patch_size, bias=False)
        self.feature_norm = nn.LayerNorm(width)  # in the file, never called (SPEC 3.5)
        self.Transformer = _Transformer(hyperparameters)
        self.out_layer = nn.Linear(width, 2)
        self.backbone = _Backbone(hyperparameters)
        self.register_buffer("mean_shape", mean_shape, persistent=False)

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """Return the landmarks of every stage, and the points on the way there.

        Args:
            image: ``(B, 3, H, W)`` float32, as `normalised_image` gives it.

        Returns:
            ``backbone`` ``(B, C, H/4, W/4)``, all branches together before the projection to D
            channels; per stage s = 1, 2, 3: ``stage<s>.tokens`` ``(B, N, D)``, ``stage<s>.decoded``
            ``(B, N, D)`` and ``stage<s>.landmarks`` ``(B, N, 2)``, x and y as a fraction of the
            crop, not clamped.
        """
        hidden = self.backbone(image)
        maps = self.backbone.projection(hidden)
        points = {"backbone": hidden}
        landmarks = self.mean_shape.expand(image.shape[0], -1, -1)
        for stage in range(1, self.hyperparameters.stage_count + 1):
            box_min, box_size = self.roi(landmarks, stage)
            tokens = self.tokens(maps, box_min, box_size)
            decoded = self.Transformer(tokens)
            landmarks = box_min + box_size * self.out_layer(decoded)
            points[f"stage{stage}.tokens"] = tokens
            points[f"stage{stage}.decoded"] = decoded
            points[f"stage{stage}.landmarks"] = landmarks
        return points

    def roi(self, landmarks: Tensor, stage: int) -> tuple[Tensor, Tensor]:
        """Return corner and size of the box around every landmark, clamped to the crop."""
        half = self.hyperparameters.half_patch_norm / 2 ** (stage - 1)
        box_min = (landmarks - half).clamp(0, 1)
        box_max = (landmarks + half).clamp(0, 1)
        return box_min, box_max - box_min

    def tokens(
        self,
        maps: Tensor,
        box_min: Tensor,
        box_size: Tensor,
        *,
        sample: Callable[[Tensor, Tensor], Tensor] | None = None,
    ) -> Tensor:
        """Return one token per landmark, ``(B, N, D)``: its patch through the patch convolution."""
        patch_size = self.hyperparameters.patch_size
        steps = torch.linspace(0, 1, patch_size)
        axis = box_min.unsqueeze(-1) + box_size.unsqueeze(-1) * steps  # (B, N, 2, P)
        batch, landmark_count = axis.shape[:2]
        shape = (batch, landmark_count, patch_size, patch_size)
        x = axis[:, :, 0].unsqueeze(-2).expand(shape)
        y = axis[:, :, 1].unsqueeze(-1).expand(shape)
        positions = torch.stack([x, y], dim=-1).reshape(batch, -1, 2)
        patches = (sample or _sample_bilinear)(maps, positions)
        patches = patches.reshape(batch * landmark_count, patch_size, patch_size, -1)
        tokens: Tensor = self.feature_extractor(patches.permute(0, 3, 1, 2))
        return tokens.reshape(batch, landmark_count, -1)


def _sample_bilinear(maps: Tensor, positions: Tensor) -> Tensor:
    """Return ``(B, K, C)`` samples of `maps`; positions 0 and 1 are the first and last cell centre.

    The authors interpolate between floor and ceil by index selection (SPEC 3.5); so does this.
    """
    batch, channels, height, width = maps.shape
    cells = positions * torch.tensor([width - 1, height - 1], dtype=maps.dtype)
    low, high = cells.floor(), cells.ceil()
    across, down = torch.split(cells - low, 1, dim=-1)  # (B, K, 1) each
    table = maps.flatten(2).transpose(1, 2).reshape(-1, channels)  # (B * H * W, C)
    first_row = height * width * torch.arange(batch).unsqueeze(-1)

    def read(x: Tensor, y: Tensor) -> Tensor:
        rows = first_row + (y * width + x).long()  # (B, K)
        return table.index_select(0, rows.flatten()).reshape(batch, -1, channels)

    (x0, y0), (x1, y1) = low.unbind(-1), high.unbind(-1)
    top = torch.lerp(read(x0, y0), read(x1, y0), across)
    bottom = torch.lerp(read(x0, y1), read(x1, y1), across)
    return torch.lerp(top, bottom, down)


class _Backbone(HRNet):
    """HRNet with the two-convolution head that brings all branches together."""

    def __init__(self, hyperparameters: SlptHyperparameters) -> None:
        super().__init__(hyperparameters.backbone)
        channels = hyperparameters.backbone.output_channels
        self.head = nn.Sequential(
            nn.Conv2d(channels, channels, 1),
            nn.BatchNorm2d(channels),
            nn.ReLU(),
            nn.Conv2d(channels, hyperparameters.width, 1),
        )

    @property
    def projection(self) -> nn.Conv2d:
        """The last layer of the head; it is not part of `forward`."""
        return cast("nn.Conv2d", self.head[3])

    def forward(self, image: Tensor) -> Tensor:  # type: ignore[override]  # one map, not branches
        return self.hidden_from_stem(self.conv1(image))

    def hidden_from_stem(self, stem: Tensor) -> Tensor:
        """Return what `forward` does, from the output of its first convolution."""
        hidden: Tensor = self.head[:3](concatenate_branches(self.branches_from_stem(stem)))
        return hidden


class _Transformer(nn.Module):
    """The inherent relation layers; their weights serve all three stages."""

    def __init__(self, hyperparameters: SlptHyperparameters) -> None:
        super().__init__()
        shape = (1, hyperparameters.landmark_count, hyperparameters.width)
        self.structure_encoding = nn.Parameter(torch.zeros(shape))
        self.landmark_query = nn.Parameter(torch.zeros(shape))
        self.Transformer_block = _Decoder(hyperparameters)

    def forward(self, tokens: Tensor) -> Tensor:
        decoded: Tensor = self.Transformer_block(
            tokens, tokens + self.structure_encoding, self.landmark_query
        )
        return decoded


class _Decoder(nn.Module):
    """A stack of pre-norm layers that starts from zeros, and one norm behind it."""

    def __init__(self, hyperparameters: SlptHyperparameters) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            DecoderLayer(hyperparameters) for _ in range(hyperparameters.layer_count)
        )
        self.norm = nn.LayerNorm(hyperparameters.width)

    def forward(self, memory: Tensor, memory_key: Tensor, query: Tensor) -> Tensor:
        target = torch.zeros_like(memory)
        for layer in self.layers:
            target = layer(target, memory, memory_key, query)
        normed: Tensor = self.norm(target)
        return normed


class DecoderLayer(nn.Module):
    """Self-attention, attention to the patches, feed-forward; each on a normalised copy."""

    def __init__(self, hyperparameters: SlptHyperparameters) -> None:
        super().__init__()
        width, heads = hyperparameters.width, hyperparameters.head_count
        self.self_attn = nn.MultiheadAttention(width, heads, batch_first=True)
        self.multihead_attn = nn.MultiheadAttention(width, heads, batch_first=True)
        self.linear1 = nn.Linear(width, hyperparameters.ffn_width)
        self.linear2 = nn.Linear(hyperparameters.ffn_width, width)
        self.norm1 = nn.LayerNorm(width)
        self.norm2 = nn.LayerNorm(width)
        self.norm3 = nn.LayerNorm(width)

    def forward(self, target: Tensor, memory: Tensor, memory_key: Tensor, query: Tensor) -> Tensor:
        """Return `target` updated, all of them ``(B, N, D)``."""
        normed = self.norm1(target)
        key = normed + query
        target = target + self.self_attn(key, key, normed, need_weights=False)[0]
        key = self.norm2(target) + query
        target = target + self.multihead_attn(key, memory_key, memory, need_weights=False)[0]
        hidden = torch.relu(self.linear1(self.norm3(target)))
        updated: Tensor = target + self.linear2(hidden)
        return updated
