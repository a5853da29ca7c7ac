"""SPIGA as its authors define it, with the checkpoint's own names; every parity check's reference.

Source: Prados-Torreblanca et al., BMVC 2022 (Shape Preserving Facial Landmarks with Graph Attention
Networks), and SPEC 2, which says where the authors' code departs from the paper. Written from those
two; no line is the authors'.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from facealign.models.families.spiga.backbone import MultitaskCnn, VisualFeatures
from facealign.models.families.spiga.hyperparameters import SpigaHyperparameters

__all__ = [
    "GraphAttention",
    "MessagePassing",
    "RelationLayer",
    "Relations",
    "Spiga",
    "camera",
    "rotation",
    "unit_image",
]

_FOCAL_RATIO = 1.5  # focal length by width of the feature map (SPEC 2.2)
_POSE_SIZE = 6


def unit_image(crops: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
    """Return ``(B, 3, H, W)`` BGR, 0 to 1, from ``(B, H, W, 3)`` uint8 BGR."""
    return crops.permute(0, 3, 1, 2).to(dtype) / 255


def camera(map_size: int) -> Tensor:
    """Return the ``(3, 3)`` float32 camera matrix of the crop, in cells of the feature map."""
    focal, centre = _FOCAL_RATIO * map_size, map_size / 2
    return torch.tensor([[focal, 0, centre], [0, focal, centre], [0, 0, 1]])


class Spiga(nn.Module):
    """The pose puts a 3-D face into the crop; three steps of graph attention move its landmarks."""

    diagonal_mask: Tensor
    face_model: Tensor

    def __init__(self, hyperparameters: SpigaHyperparameters, face_model: Tensor) -> None:
        """Build an untrained network.

        Args:
            hyperparameters: Sizes, from `SpigaHyperparameters.from_shapes`.
            face_model: ``(N, 3)`` float32, the landmarks of a 3-D face, world axes of SPEC 2.2.
        """
        super().__init__()
        sizes = self.hyperparameters = hyperparameters
        steps = range(sizes.step_count)
        itself = torch.eye(sizes.landmark_count, dtype=torch.bool)
        self.register_buffer("diagonal_mask", ~itself)
        self.visual_cnn = MultitaskCnn(sizes)
        self.pose_fc = nn.Linear(sizes.channels, _POSE_SIZE)
        self.shape_encoder = nn.ModuleList(_ShapeEncoder(sizes) for _ in steps)
        self.theta_S = _Scales(sizes)
        self.conv_window = nn.ModuleList(
            nn.Conv2d(sizes.channels, sizes.token_width, sizes.patch_size) for _ in steps
        )
        self.gcn = nn.ModuleList(Relations(sizes) for _ in steps)
        self.register_buffer("face_model", face_model, persistent=False)

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """Return the landmarks of every step, the pose, and the points on the way there.

        Args:
            image: ``(B, 3, S, S)`` float32, as `unit_image` gives it.

        Returns:
            ``visual_field`` ``(B, C, M, M)``; ``pose`` ``(B, 6)``, yaw, pitch and roll in degrees
            and the translation in units of the 3-D face; ``initial`` ``(B, N, 2)``; per step t =
            1, 2, 3: ``step<t>.tokens`` ``(B, D, N)``, ``step<t>.related`` ``(B, D', N)`` and
            ``step<t>.landmarks`` ``(B, N, 2)``. Landmarks are x and y as a fraction of the crop,
            not clamped.
        """
        features: VisualFeatures = self.visual_cnn(image)
        pose = self.pose_fc(features.cores[-1])
        landmarks = self.projected(pose)
        field = features.fields[-1]
        points = {"visual_field": field, "pose": pose, "initial": landmarks}
        for step, window in enumerate(self.hyperparameters.windows):
            visual = self.visual_tokens(field, landmarks, step)
            tokens = (visual + self.shape_tokens(landmarks, step)).transpose(1, 2)
            related, offset = self.relations(step)(tokens)
            offset = functional.hardtanh(offset.transpose(1, 2))
            landmarks = landmarks + window / 2 * offset
            points[f"step{step + 1}.tokens"] = tokens
            points[f"step{step + 1}.related"] = related
            points[f"step{step + 1}.landmarks"] = landmarks
        return points

    def relations(self, step: int) -> Relations:
        """Return the graph attention of a step, 0 for the first."""
        return cast("Relations", self.gcn[step])

    def projected(self, pose: Tensor) -> Tensor:
        """Return the landmarks of the 3-D face as the camera sees them, ``(B, N, 2)``."""
        size = self.hyperparameters.map_size
        turned = torch.matmul(self.face_model, rotation(pose[:, :3]).transpose(1, 2))
        seen = torch.matmul(turned + pose[:, None, 3:], camera(size).to(pose.dtype).T)
        return seen[..., :2] / seen[..., 2:] / size

    def visual_tokens(self, field: Tensor, landmarks: Tensor, step: int) -> Tensor:
        """Return what the patch around every landmark says, ``(B, N, D)``."""
        cells, patch = self.hyperparameters.map_size, self.hyperparameters.patch_size
        batch, count = landmarks.shape[:2]
        centre = -1 + 2 * (landmarks.reshape(-1, 2, 1) + 0.5 / cells)
        scale = self.theta_S(step).expand(batch * count, -1, -1)
        theta = torch.cat([scale, centre], dim=2)  # (B * N, 2, 3)
        grid = functional.affine_grid(theta, [batch * count, 1, patch, patch], align_corners=False)
        grid = grid.reshape(batch, count, patch * patch, 2)
        crops = functional.grid_sample(field, grid, padding_mode="border", align_corners=False)
        crops = crops.transpose(1, 2).reshape(batch * count, -1, patch, patch)
        tokens: Tensor = self.conv_window[step](crops)
        return tokens.reshape(batch, count, -1)

    def shape_tokens(self, landmarks: Tensor, step: int) -> Tensor:
        """Return what the positions of all others relative to each landmark say, ``(B, N, D)``."""
        batch, count = landmarks.shape[:2]
        between = landmarks.unsqueeze(2) - landmarks.unsqueeze(1)  # (B, N, N, 2)
        others = between[:, self.diagonal_mask].reshape(batch, count, -1)
        tokens: Tensor = self.shape_encoder[step](others.transpose(1, 2))
        return tokens.transpose(1, 2)


def rotation(degrees: Tensor) -> Tensor:
    """Return ``(B, 3, 3)`` rotations from ``(B, 3)`` yaw, pitch and roll; SPEC 2.5."""
    yaw, pitch, roll = degrees.unbind(1)
    first = _turn(math.pi / 2 - yaw.deg2rad(), still=1)
    second = _turn(-pitch.deg2rad(), still=2)
    third = _turn(-(roll.deg2rad() + math.pi / 2), still=0)
    return torch.matmul(torch.matmul(first, second), third)


def _turn(angle: Tensor, *, still: int) -> Tensor:
    """Return ``(B, 3, 3)`` right-handed turns around the axis that stays still."""
    sine, cosine = torch.sin(angle), torch.cos(angle)
    zero, one = torch.zeros_like(angle), torch.ones_like(angle)
    rows = {
        0: (one, zero, zero, zero, cosine, -sine, zero, sine, cosine),
        1: (cosine, zero, sine, zero, one, zero, -sine, zero, cosine),
        2: (cosine, -sine, zero, sine, cosine, zero, zero, zero, one),
    }
    return torch.stack(rows[still], dim=1).reshape(-1, 3, 3)


class _Scales(nn.Module):
    """Side of the patch by side of the map, per step, on the diagonal of ``(2, 2)``."""

    def __init__(self, sizes: SpigaHyperparameters) -> None:
        super().__init__()
        patch, cells = sizes.patch_size, sizes.map_size
        for step, window in enumerate(sizes.windows):
            # The outer sampling points lie in the middle of the window's outer cells.
            scale = patch / cells * (window * cells - 1) / (patch - 1)
            self.register_buffer(str(step), torch.eye(2) * scale)

    def forward(self, step: int) -> Tensor:
        return self.get_buffer(str(step))


class _ShapeEncoder(nn.Module):
    def __init__(self, sizes: SpigaHyperparameters) -> None:
        super().__init__()
        inputs = 2 * (sizes.landmark_count - 1)
        self.encoder = _perceptron([inputs, *sizes.shape_widths, sizes.token_width])

    def forward(self, others: Tensor) -> Tensor:
        tokens: Tensor = self.encoder(others)
        return tokens


class Relations(nn.Module):
    """Graph attention layers, and the decoder to an offset; landmarks are columns."""

    def __init__(self, sizes: SpigaHyperparameters) -> None:
        super().__init__()
        widths = (sizes.token_width, *sizes.relation_widths)
        self.gat = nn.ModuleList(
            RelationLayer(*pair, sizes.head_count) for pair in pairwise(widths)
        )
        self.decoder = _Decoder([widths[-1], *sizes.decoder_widths, 2])

    @property
    def last_product(self) -> nn.Conv1d:
        """The last layer of the decoder."""
        return cast("nn.Conv1d", self.decoder.decoder[-1])

    def forward(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Return related tokens ``(B, D', N)`` and offsets ``(B, 2, N)``."""
        for layer in self.gat:
            tokens = layer(tokens)
        return tokens, self.decoder(tokens)


class RelationLayer(nn.Module):
    """One layer of graph attention."""

    def __init__(self, inputs: int, outputs: int, head_count: int) -> None:
        super().__init__()
        if inputs != outputs:
            self.reshape = nn.Sequential(nn.Conv1d(inputs, outputs, 1))
        self.attention = GraphAttention(inputs, outputs, head_count)
        self.needs_reshape = inputs != outputs

    def forward(self, tokens: Tensor) -> Tensor:
        """Return ``(B, outputs, N)`` from ``(B, inputs, N)``."""
        skip = self.reshape(tokens) if self.needs_reshape else tokens
        updated: Tensor = skip + self.attention(tokens)
        return updated


class GraphAttention(nn.Module):
    """Messages from all landmarks, and a perceptron of the landmark and its message."""

    def __init__(self, inputs: int, outputs: int, head_count: int) -> None:
        super().__init__()
        self.attn = MessagePassing(inputs, head_count)
        self.mlp = _perceptron([2 * inputs, 2 * inputs, outputs])

    def forward(self, tokens: Tensor) -> Tensor:
        """Return ``(B, outputs, N)`` from ``(B, inputs, N)``."""
        update: Tensor = self.mlp(torch.cat([tokens, self.attn(tokens)], dim=1))
        return update


class MessagePassing(nn.Module):
    """Attention with interleaved heads: channel c is part ``c // heads`` of head ``c % heads``."""

    def __init__(self, channels: int, head_count: int) -> None:
        super().__init__()
        self.head_count = head_count
        self.merge = nn.Conv1d(channels, channels, 1)
        self.proj = nn.ModuleList(nn.Conv1d(channels, channels, 1) for _ in range(3))

    def forward(self, tokens: Tensor) -> Tensor:
        """Return ``(B, C, N)``, shaped as `tokens`."""
        batch, channels, count = tokens.shape
        by_head = (batch, channels // self.head_count, self.head_count, count)
        query, key, value = (projection(tokens).reshape(by_head) for projection in self.proj)
        scores = torch.einsum("bdhn,bdhm->bhnm", query, key) / math.sqrt(by_head[1])
        mixed = torch.einsum("bhnm,bdhm->bdhn", torch.softmax(scores, dim=-1), value)
        message: Tensor = self.merge(mixed.reshape(batch, channels, count))
        return message


class _Decoder(nn.Module):
    def __init__(self, widths: Sequence[int]) -> None:
        super().__init__()
        self.decoder = _perceptron(widths)

    def forward(self, tokens: Tensor) -> Tensor:
        offset: Tensor = self.decoder(tokens)
        return offset


def _perceptron(widths: Sequence[int]) -> nn.Sequential:
    """Return 1x1 convolutions with BatchNorm and ReLU between them."""
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(widths):
        layers += [nn.Conv1d(inputs, outputs, 1), nn.BatchNorm1d(outputs), nn.ReLU()]
    return nn.Sequential(*layers[:-2])
