"""Write a contact sheet of synthetic faces with their landmarks, to judge them by eye.

    python benchmarks/draw_synthetic_faces.py sheet.png --count 24 --seed 1 --attribute pose

and say how long one face takes.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from facealign.datasets import WFLW_ATTRIBUTES
from facealign.runtime.draw import draw_landmarks
from facealign.spec import WFLW98, Landmarks
from facealign.synth import Attributes, SyntheticFace, synthetic_face


def main() -> None:
    """Draw what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--count", type=int, default=24)
    parser.add_argument("--columns", type=int, default=6)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--attribute", choices=(*WFLW_ATTRIBUTES, "none"), help="for every face")
    parser.add_argument("--plain", action="store_true", help="leave the landmarks out")
    options = parser.parse_args()
    attributes = _attributes(options.attribute)
    started = time.perf_counter()
    faces = [
        synthetic_face(options.seed, i, size_px=options.size, attributes=attributes)
        for i in range(options.count)
    ]
    each_ms = 1000 * (time.perf_counter() - started) / options.count
    sheet = _sheet([_shown(face, plain=options.plain) for face in faces], options.columns)
    if not cv2.imwrite(str(options.out), sheet):
        parser.error(f"cannot write `{options.out}`; is there such a folder?")
    print(f"{options.out}: {options.count} faces, {each_ms:.1f} ms each")


def _attributes(name: str | None) -> Attributes | None:
    if name is None:
        return None
    return Attributes(*(name == each for each in WFLW_ATTRIBUTES))


def _shown(face: SyntheticFace, *, plain: bool) -> NDArray[np.uint8]:
    if plain:
        return face.image
    xy = face.landmarks[None].astype(np.float32)
    return draw_landmarks(face.image, Landmarks(xy, face.box[None].astype(float), WFLW98.name))


def _sheet(pictures: list[NDArray[np.uint8]], columns: int) -> NDArray[np.uint8]:
    blank = np.zeros_like(pictures[0])
    padded = [*pictures, *[blank] * (-len(pictures) % columns)]
    rows = [np.hstack(padded[i : i + columns]) for i in range(0, len(padded), columns)]
    return np.vstack(rows)


if __name__ == "__main__":
    main()
