"""A bundle of a few kilobytes that an engine is proved with where the user has given none."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facealign.bundle import (
    SCHEMA_VERSION,
    CardEntry,
    Fingerprint,
    Golden,
    GoldenEntry,
    GraphEntry,
    Manifest,
    ParityEntry,
    files_from_golden,
    write_bundle,
)
from facealign.geometry import crops_from_frame, placement_from_boxes
from facealign.spec import CropSpec, SquareRule, contract_input, contract_outputs

__all__ = ["LANDMARK_COUNT", "SIZE_PX", "probe_weights", "write_probe_bundle"]

LANDMARK_COUNT = 5
SIZE_PX = 32
_GRAPH = "probe.onnx"  # made by tests/unit/pipeline/probe_graph.py
_MAX_PX = 0.01
_CROP = CropSpec(SIZE_PX, SquareRule(1.0, "exact"), SquareRule(1.0, "exact"))


def write_probe_bundle(folder: Path) -> Path:
    """Write the bundle, whose golden landmarks are computed here with numpy, and return it."""
    golden = _golden()
    graph = (resources.files(__package__ or "") / _GRAPH).read_bytes()
    entry = GoldenEntry(max_px=_MAX_PX, max_grey=0.0)
    files = {"model.onnx": graph, **files_from_golden(golden, entry)}
    return write_bundle(folder, _manifest(entry), files)


def probe_weights() -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Return what the graph holds: a 3 x 3 convolution, a product and its bias.

    Returns:
        ``(3, 3, 3, 3)`` of the convolution, which swaps channels and blurs; ``(3, 10)`` and
        ``(10,)`` of the product.
    """
    blur = np.full((3, 3), 1 / 9, np.float32)
    convolution = np.eye(3, dtype=np.float32)[::-1, :, None, None] * blur
    columns = np.arange(2 * LANDMARK_COUNT, dtype=np.float32)
    product = (np.arange(3, dtype=np.float32)[:, None] + 1) * (columns - 4) / 100
    return convolution, product.astype(np.float32), (0.3 + columns / 25).astype(np.float32)


def _golden() -> Golden:
    y, x = np.indices((48, 64))
    frame = np.stack([3 * x, 5 * y, 2 * (x + y)], axis=2).astype(np.uint8)
    boxes = np.array([[8.0, 8.0, 40.0, 40.0], [16.0, 4.0, 48.0, 36.0]])
    crops = crops_from_frame(frame, placement_from_boxes(boxes, _CROP.from_box), _CROP)
    return Golden(frame=frame, boxes=boxes, crops=crops, landmarks=_landmarks(crops))


def _landmarks(crops: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return ``(K, N, 2)`` of what the graph must give, in float64 until the end."""
    _, product, bias = probe_weights()
    planes = crops.astype(np.float64).transpose(0, 3, 1, 2)[:, ::-1] / 255  # (K, 3, S, S)
    inside = SIZE_PX - 2  # the convolution pads nothing
    blurred = sum(
        planes[:, :, row : row + inside, column : column + inside]
        for row in range(3)
        for column in range(3)
    )
    means = np.asarray(blurred / 9).mean(axis=(2, 3))  # (K, 3)
    landmarks = np.asarray(means @ product + bias, np.float32)
    return landmarks.reshape(-1, LANDMARK_COUNT, 2)


def _manifest(golden: GoldenEntry) -> Manifest:
    parity = ParityEntry(max_px=0.0, p99_px=0.0, crop_count=2, batch_sizes=(2,), bar_px=_MAX_PX)
    nothing = "none"
    return Manifest(
        schema_version=SCHEMA_VERSION,
        facealign_version=nothing,
        family="probe",
        title="One convolution and one product",
        scheme="probe",
        landmark_count=LANDMARK_COUNT,
        hyperparameters={},
        inputs=(contract_input(SIZE_PX),),
        outputs=contract_outputs(LANDMARK_COUNT),
        crop=_CROP,
        max_batch=2,
        graphs={"fp32": GraphEntry("model.onnx", 19, 7, 124, 73000, parity)},
        probes=(),
        checkpoint=Fingerprint(name=nothing, sha256="0" * 64),
        assets={},
        card=CardEntry(nothing, nothing, nothing, nothing, nothing),
        golden=golden,
        tools={},
        options={},
        files={},
    )
