"""A bundle of two graphs and faces to evaluate it on, with errors that are known beforehand."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import cv2
import msgspec
import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from facealign.bundle import Manifest, write_bundle
from facealign.datasets import FaceLine, line_from_face
from facealign.runtime import open_session

__all__ = ["BOXES", "NME_PERCENT", "shifted_graph", "write_faces", "write_two_graphs"]

NME_PERCENT = 5.0
# Six faces in each of two images, in frames of 160 x 120 px.
BOXES = np.array(
    [[10 * i + 5.5, 6 * i + 4.0, 10 * i + 70.5, 6 * i + 66.0] for i in range(6)], np.float64
)
_ATTRIBUTES = ("pose", "blur")
_GOLDEN_CROPS = 3  # of the tiny bundle
_MOST_PX = 5.0  # how far the second graph may be from the golden landmarks


def write_two_graphs(
    folder: Path,
    manifest: Manifest,
    files: Mapping[str, bytes],
    *,
    shift_norm: float = 0.0,
    name: str = "int8",
) -> Path:
    """Return a bundle with FP32 and a graph whose landmarks lie `shift_norm` of the crop right."""
    graphs = dict(manifest.graphs)
    measured = (_MOST_PX,) * _GOLDEN_CROPS
    file = f"model.{name}.onnx"
    graphs[name] = msgspec.structs.replace(graphs["fp32"], file=file, golden_px=measured)
    second = shifted_graph(files["model.fp32.onnx"], shift_norm)
    return write_bundle(
        folder, msgspec.structs.replace(manifest, graphs=graphs), {**files, file: second}
    )


def shifted_graph(graph: bytes, shift_norm: float) -> bytes:
    """Return the tiny graph with its landmarks `shift_norm` of the crop further right."""
    model = onnx.load_from_string(graph)
    bias = next(each for each in model.graph.initializer if each.name == "bias")
    moved = numpy_helper.to_array(bias).copy()
    moved[::2] += np.float32(shift_norm)
    bias.CopyFrom(numpy_helper.from_array(moved, "bias"))
    return bytes(model.SerializeToString(deterministic=True))


def write_faces(folder: Path, bundle: Path, frame: NDArray[np.uint8]) -> Path:
    """Write a WFLW on which FP32 has an NME of `NME_PERCENT` on each of 12 faces, by their boxes.

    The truth is what FP32 finds, moved to the right by that share of its own eye corners' distance.
    The first half of the faces has `pose`, the first has `blur`.
    """
    lists = folder / "WFLW_annotations" / "list_98pt_rect_attr_train_test"
    lists.mkdir(parents=True)
    lines = []
    for image, pixels in {"a.png": frame, "b.png": frame[:, ::-1]}.items():
        path = folder / "WFLW_images" / image
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(cv2.imencode(".png", pixels)[1].tobytes())
        with open_session(bundle) as session:
            found = session.run(pixels, BOXES).xy.astype(np.float64)
        eyes = np.linalg.norm(found[:, 60] - found[:, 72], axis=1)
        found[..., 0] += NME_PERCENT / 100 * eyes[:, None]
        lines += [(landmarks, image, box) for landmarks, box in zip(found, BOXES, strict=True)]
    texts = [
        line_from_face(FaceLine(*face, frozenset(_ATTRIBUTES[: (i < 6) + (i < 1)])))
        for i, face in enumerate(lines)
    ]
    (lists / "list_98pt_rect_attr_test.txt").write_text("\n".join(texts) + "\n")
    return folder
