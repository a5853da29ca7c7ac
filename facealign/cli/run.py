"""``facealign run``: landmarks on an image or a folder of images."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import cv2
import numpy as np
import typer

from facealign.cli.console import print_json, print_result, say
from facealign.cli.images import OVERLAY_ENDING, image_paths, result_names
from facealign.cli.options import BundleArgument, JsonOption
from facealign.cli.output_files import write_files
from facealign.datasets import read_image
from facealign.errors import InputError, UsageError
from facealign.runtime import Landmarks, Session, open_session
from facealign.runtime.draw import draw_landmarks

__all__ = ["SomeImagesFailedError", "run"]

_POSE = ("yaw_degrees", "pitch_degrees", "roll_degrees", "x", "y", "z")

_Box = tuple[float, float, float, float]
_Result = dict[str, object]


class SomeImagesFailedError(InputError):
    """Some images of a folder cannot be used; the others are done."""

    def __init__(self, failures: Mapping[str, str], results: Sequence[_Result]) -> None:
        reasons = "; ".join(f"({i}) {error}" for i, error in enumerate(failures.values(), 1))
        count = len(failures) + len(results)
        super().__init__(f"{len(failures)} of {count} images could not be used: {reasons}")
        failed = [{"image": path, "error": error} for path, error in failures.items()]
        self.details: Mapping[str, object] = {"images": list(results), "failed": failed}


def run(  # noqa: PLR0913  # typer makes an option of each
    bundle: BundleArgument,
    source: Annotated[
        Path,
        typer.Argument(metavar="SOURCE", help="Image, or folder of images.", show_default=False),
    ],
    box: Annotated[
        list[str],
        typer.Option(
            metavar="X,Y,W,H",
            help="Face box in pixels, repeatable; without one the whole image is taken as the box.",
        ),
    ] = [],  # noqa: B006  # typer reads the default, nobody writes it
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="DIR", help="Folder for the results.")
    ] = Path(),
    *,
    engine: Annotated[
        str, typer.Option(metavar="NAME", help="Engine that runs the graph.")
    ] = "onnxruntime",
    precision: Annotated[
        str, typer.Option(metavar="NAME", help="Which graph of the bundle, such as int8-cpu.")
    ] = "fp32",
    as_json: JsonOption = False,
) -> None:
    """Find landmarks in an image, or in all of a folder.

    Writes NAME.landmarks.json and an overlay, NAME.landmarks.png, for each image, and prints the
    path of the former. NAME is the image's name without its ending, or with it where two would be
    alike. An image of a folder that cannot be used does not stop the others; all such are named at
    the end, and the exit code is 2.
    """
    boxes = [_box_from_text(text) for text in box]
    paths = image_paths(source)
    results: list[_Result] = []
    failures: dict[str, str] = {}
    with open_session(bundle, engine=engine, precision=precision) as session:
        for path, name in zip(paths, result_names(paths), strict=True):
            try:
                result = _run_image(session, path, boxes, output / name)
            except InputError as error:
                if not source.is_dir():
                    raise
                failures[str(path)] = str(error)
                continue
            results.append(result)
            if not as_json:
                print_result(str(result["json"]))
    if results and not boxes:
        say("note", "no `--box`, so the whole image was taken as the face box", style="yellow")
    if failures:
        raise SomeImagesFailedError(failures, results)
    if as_json:
        print_json({"code": 0, "images": results})


def _run_image(session: Session, path: Path, boxes: Sequence[_Box], stem: Path) -> _Result:
    frame = read_image(path)
    height, width = frame.shape[:2]
    try:
        landmarks = session.run(frame, list(boxes) or [(0.0, 0.0, float(width), float(height))])
    except InputError as error:
        raise InputError(f"image `{path}`: {error}") from error
    result: _Result = {
        "image": str(path),
        "scheme": landmarks.scheme,
        "faces": [_face(landmarks, index) for index in range(len(landmarks))],
    }
    json_path = stem.with_name(f"{stem.name}.landmarks.json")
    picture_path = stem.with_name(f"{stem.name}{OVERLAY_ENDING}")
    picture = cv2.imencode(".png", draw_landmarks(frame, landmarks))[1].tobytes()
    data = (json.dumps(result, indent=1) + "\n").encode()
    write_files({json_path: data, picture_path: picture})
    return {**result, "json": str(json_path), "picture": str(picture_path)}


def _face(landmarks: Landmarks, index: int) -> dict[str, object]:
    x0, y0, x1, y1 = landmarks.boxes[index].tolist()
    face: dict[str, object] = {
        "box_xywh": [x0, y0, x1 - x0, y1 - y0],
        "landmarks": np.round(landmarks.xy[index].astype(float), 3).tolist(),
    }
    if landmarks.pose is not None:
        values = np.round(landmarks.pose[index].astype(float), 4).tolist()
        face["pose"] = dict(zip(_POSE, values, strict=True))
    if landmarks.score is not None:
        face["score"] = np.round(landmarks.score[index].astype(float), 5).tolist()
    return face


def _box_from_text(text: str) -> _Box:
    """Return ``(x0, y0, x1, y1)`` from ``x,y,w,h``.

    Raises:
        UsageError: If it is not four finite numbers, the last two above 0.
    """
    try:
        x, y, width, height = (float(part) for part in text.split(","))
    except ValueError:
        raise UsageError(
            f"box {text!r} is not X,Y,W,H; pass for example `--box 120,80,200,220`"
        ) from None
    if not (all(map(math.isfinite, (x, y, width, height))) and width > 0 and height > 0):
        raise UsageError(
            f"box {text!r} has no area: X,Y,W,H are the upper left corner, width and height, in "
            "pixels; pass for example `--box 120,80,200,220`"
        )
    return x, y, x + width, y + height
