"""What does it cost to cut the crops of a frame, by family, frame size and number of faces?

    python benchmarks/crop_cost.py [--rounds 20]

On the CPU, by each family's rule for a detector's box. A face is 0.4 of the frame's height wide,
so larger frames have larger faces, and boxes lie side by side, some across the border. Milliseconds
per frame, from boxes to crops, with one thread of OpenCV, by the processor's time, which a busy
machine disturbs less; all candidates of a frame take turns. Families with the same rule are one
row. Writes results/crop_cost.json.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "examples"))

import make_checkpoint
from measuring import take_turns
from networks import MODELS
from result_file import provenance, result_of, write_result

from facealign.geometry import crops_from_frame, placement_from_boxes
from facealign.spec import CropSpec

__all__ = ["boxes_in", "frame_of", "milliseconds"]

_FRAMES = {"640 x 480": (640, 480), "1920 x 1080": (1920, 1080), "3840 x 2160": (3840, 2160)}
_FACES = (1, 2, 4, 8)
_FACE_OF_HEIGHT = 0.4
_SEED = 0
_TILE_PX = 32


def main() -> None:
    """Measure, print a line per rule, write the result."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=20)
    options = parser.parse_args()
    cv2.setNumThreads(1)
    where = provenance(threads=1)
    specs = _models_by_spec()
    frames = {title: frame_of(*size) for title, size in _FRAMES.items()}
    rows: dict[str, object] = {}
    for spec, models in specs.items():
        costs = {
            title: milliseconds(frame, spec, rounds=options.rounds)
            for title, frame in frames.items()
        }
        rows[", ".join(models)] = {"rule": asdict(spec), "median_ms_by_faces": costs}
        print(", ".join(models), costs, flush=True)
    settings = {"rounds": options.rounds, "face_of_height": _FACE_OF_HEIGHT}
    result = result_of(__doc__, where, settings=settings, figures=rows)
    print(write_result("crop_cost", result))


def frame_of(width: int, height: int) -> NDArray[np.uint8]:
    """Return a frame ``(height, width, 3)`` uint8 with something in it."""
    rng = np.random.default_rng(_SEED)
    tile = rng.integers(0, 256, (_TILE_PX, _TILE_PX, 3), dtype=np.uint8)
    return np.asarray(cv2.resize(tile, (width, height)), np.uint8)


def boxes_in(frame: NDArray[np.uint8], faces: int) -> NDArray[np.float64]:
    """Return ``(faces, 4)`` boxes side by side, the outer ones at the border."""
    height, width = frame.shape[:2]
    side = _FACE_OF_HEIGHT * height
    centre = np.linspace(0, width, faces + 2)[1:-1]
    top = np.full(faces, (height - side) / 2)
    return np.stack([centre - side / 2, top, centre + side / 2, top + side], axis=1)


def milliseconds(frame: NDArray[np.uint8], spec: CropSpec, *, rounds: int) -> dict[str, float]:
    """Return the median per frame by number of faces."""
    candidates = {str(faces): _cutter(frame, boxes_in(frame, faces), spec) for faces in _FACES}
    times = take_turns(candidates, rounds=rounds, clock=time.process_time)
    return {faces: round(float(np.median(each)), 3) for faces, each in times.items()}


def _cutter(
    frame: NDArray[np.uint8], boxes: NDArray[np.float64], spec: CropSpec
) -> Callable[[], object]:
    return lambda: crops_from_frame(frame, placement_from_boxes(boxes, spec.from_box), spec)


def _models_by_spec() -> dict[CropSpec, list[str]]:
    found: dict[CropSpec, list[str]] = {}
    for name in MODELS:
        detection = make_checkpoint.model_detection(name)
        found.setdefault(detection.family.crop(detection.hyperparameters), []).append(name)
    return found


if __name__ == "__main__":
    main()
