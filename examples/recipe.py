"""Weights, pictures and side files made from names and numbers alone; they are nobody's data.

A tensor depends on its key in the state dict and on its shape, and on nothing else. The gains keep
an untrained network finite, unsaturated and sensitive to its input. The golden files of
`tests/golden` are what the families' authors' own code gives with exactly these weights.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["edges", "face_model", "image", "mean_shape", "tensor"]

SIZE_PX = 256  # of the pictures, and of the crop that the mean shape is drawn in

# Constants that a network computes by itself.
_KEPT_ENDINGS = (
    "num_batches_tracked",
    "diagonal_mask",
    "xx_channel",
    "yy_channel",
    "E2Ptransform.ones",
    "E2Ptransform.edge2point",
    ".filt",
    ".g_conv.M",
    ".g_conv.adj",
    "g_out.M",
    "g_out.adj",
)
_KEPT_PART = "theta_S."
_FIXED = {
    "pose_fc.bias": [8.0, -5.0, 4.0, -0.02, -0.07, 3.0],  # degrees, then the face before the camera
    "out_layer.bias": [0.5, 0.5],  # the middle of the patch
    "predictor.sem_gcn.gconv_output.bias": [120.0, 136.0],  # crop pixels
    "predictor.g_net.g_out.bias": [120.0, 136.0],
    "predictor.fc2.bias": [128.0],  # all of them
}
_ROW_FACTORS = {"pose_fc.weight": [0.7, 0.7, 0.7, 0.01, 0.01, 0.02]}
# Part of a key, and what its weights and norm scales are multiplied with; the first that fits.
_GAINS = (
    ("conv3.conv.weight", 0.25),
    ("merge_preds.", 0.25),
    ("merge_features.", 0.25),
    ("outs_points.", 0.5),
    ("outs_edges.", 0.5),
    ("outs_features.", 0.5),
    ("conv_window.", 0.1),
    (".attention.mlp.3.", 0.5),
    (".decoder.decoder.12.", 0.04),
    ("visual_cnn.", 1.0),
    ("out_layer.weight", 0.3),
    (".fuse_layers.", 0.3),
    (".bn2.weight", 0.4),
    (".bn3.weight", 0.4),
    ("._bn2.weight", 0.8),
    ("_depthwise_conv.weight", 1.15),
    ("_expand_conv.weight", 1.05),
    ("gconv_output.W", 0.4),
    ("g_out.W", 0.4),
    ("predictor.fc2.weight", 3.0),
    ("hourglass.", 0.4),
    (".positions.", 0.35),
    (".fuse.", 0.05),
)
_ENCODINGS = ("structure_encoding", "landmark_query")  # learned, and of order one
_NORM_SCALES = (0.5, 1.5)  # also of running variances
_SMALL = 0.1  # standard deviation of biases and running means
_GOLDEN_ANGLE = np.pi * (3 - np.sqrt(5))
_WAVES = 12  # of one colour of a picture


def tensor(key: str, shape: Sequence[int]) -> NDArray[np.float32] | None:
    """Return the values of one tensor of a state dict.

    Args:
        key: Its name, without ``module.``.
        shape: Its shape.

    Returns:
        float32 of that shape, or None where the network's own constant must stay.

    Raises:
        KeyError: If no rule covers the key.
    """
    if key.endswith(_KEPT_ENDINGS) or _KEPT_PART in key:
        return None
    if key in _FIXED:
        return np.full(tuple(shape), _FIXED[key], np.float32)
    values = _draw(key, tuple(shape))
    if key in _ROW_FACTORS:
        values *= np.reshape(_ROW_FACTORS[key], (-1, *[1] * (len(shape) - 1)))
    return np.ascontiguousarray(values, dtype=np.float32)


def image(seed: int) -> NDArray[np.uint8]:
    """Return a ``(256, 256, 3)`` uint8 BGR picture: waves under some noise.

    Args:
        seed: Another seed, another picture.
    """
    rng = np.random.default_rng(seed)
    grey = np.stack([_waves(rng) for _ in range(3)], axis=-1)
    grey = (grey - grey.min()) / (grey.max() - grey.min()) * 255.0
    return np.asarray(np.rint(grey), np.uint8)


def mean_shape(landmark_count: int) -> NDArray[np.float64]:
    """Return ``(N, 2)`` float64 landmarks on a spiral, ``(x, y)`` as a fraction of the crop.

    Args:
        landmark_count: N.
    """
    index = np.arange(landmark_count)
    radius_px = 96.0 * np.sqrt((index + 0.5) / landmark_count)
    angle = index * _GOLDEN_ANGLE
    x_px = 128.0 + radius_px * np.cos(angle)
    y_px = 132.0 + 0.9 * radius_px * np.sin(angle)
    return np.stack([x_px, y_px], axis=1) / SIZE_PX


def face_model(landmark_count: int) -> NDArray[np.float64]:
    """Return ``(N, 3)`` float64 points of a rigid head, x towards the camera.

    Args:
        landmark_count: N.
    """
    index = np.arange(landmark_count)
    radius = 0.6 * np.sqrt((index + 0.5) / landmark_count)
    y, z = radius * np.cos(index * _GOLDEN_ANGLE), radius * np.sin(index * _GOLDEN_ANGLE)
    return np.stack([0.35 - 0.8 * (y * y + z * z), y, z], axis=1)


def edges(landmark_count: int, edge_count: int | None = None) -> NDArray[np.int64]:
    """Return ``(E, 2)`` undirected edges: a ring, and chords to the next but one.

    Args:
        landmark_count: N.
        edge_count: E, from N to 2 N; by default 2 N - 10, so that 98 landmarks have 186 edges,
            and with both directions and loops 470 non-zeros.
    """
    count = landmark_count
    ring = [(index, (index + 1) % count) for index in range(count)]
    chords = [(index, (index + 2) % count) for index in range(count)]
    return np.array((ring + chords)[: edge_count or 2 * count - 10], dtype=np.int64)


def _draw(key: str, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Return float64 values by the first rule that fits the last part of `key`."""
    rng = np.random.default_rng(zlib.crc32(key.encode()))
    name = key.rpartition(".")[2]
    if name == "running_var":
        return rng.uniform(*_NORM_SCALES, shape)
    if name == "running_mean" or ("bias" in name and len(shape) == 1):
        return rng.normal(0.0, 1.0, shape) * _SMALL
    if name in _ENCODINGS or (name == "e" and len(shape) == 2):
        return rng.normal(0.0, 1.0, shape)
    if name == "weight" and len(shape) == 1:
        return rng.uniform(*_NORM_SCALES, shape) * _gain(key)
    if len(shape) < 2:
        raise KeyError(f"the recipe has no rule for `{key}` of shape {shape}; add one")
    deviation = np.sqrt(2.0 / _fan_in(name, shape))
    return np.asarray(rng.normal(0.0, 1.0, shape) * deviation * _gain(key))


def _fan_in(name: str, shape: tuple[int, ...]) -> float:
    """Return how many values make one; `W` of a graph convolution is (2, in, out) or (in, out)."""
    is_graph_weight = name == "W" and (len(shape) == 2 or (len(shape) == 3 and shape[0] == 2))
    return float(shape[-2] if is_graph_weight else np.prod(shape[1:]))


def _gain(key: str) -> float:
    return next((gain for part, gain in _GAINS if part in key), 1.0)


def _waves(rng: np.random.Generator) -> NDArray[np.float64]:
    """Return one colour of a picture, of any range."""
    y, x = np.mgrid[0:SIZE_PX, 0:SIZE_PX] / SIZE_PX
    total = np.zeros((SIZE_PX, SIZE_PX))
    for _ in range(_WAVES):
        frequency_x, frequency_y = rng.uniform(-12, 12, 2)
        phase = rng.uniform(0, 2 * np.pi)
        angle = 2 * np.pi * (frequency_x * x + frequency_y * y) + phase
        total += rng.normal() * np.cos(angle)
    total += 0.3 * rng.normal(size=total.shape)
    return total
