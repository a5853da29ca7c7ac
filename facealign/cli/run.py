"""``facealign run``: landmarks on an image or a folder of images."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import cv2
import numpy as np
import typer
from numpy.typing import NDArray

from facealign.cli.console import print_json, stderr
from facealign.cli.options import BundleArgument, JsonOption
from facealign.errors import InputError, OutputError, UsageError
from facealign.runtime import Landmarks, Session, open_session
from facealign.runtime.draw import draw_landmarks

__all__ = ["run"]

_IMAGE_ENDINGS = (".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")


def run(
    bundle: BundleArgument,
    source: Annotated[Path, typer.Argument(help="Image, or folder of images.", show_default=False)],
    box: Annotated[
        list[str],
        typer.Option(
            metavar="X,Y,W,H",
            help="Face box in pixels, repeatable; without one the whole image is taken as the box.",
        ),
    ] = [],  # noqa: B006  # typer reads the default, nobody writes it
    output: Annotated[
        Path, typer.Option("-o", "--output", help="Folder for landmarks and pictures.")
    ] = Path(),
    *,
    engine: Annotated[str, typer.Option(help="Engine that runs the graph.")] = "onnxruntime",
    as_json: JsonOption = False,
) -> None:
    """Find landmarks: writes NAME.landmarks.json and an overlay NAME.landmarks.png per image."""
    boxes = [_box_from_text(text) for text in box]
    paths = _image_paths(source)
    results = []
    with open_session(bundle, engine=engine) as session:
        for path in paths:
            result = _run_image(session, path, boxes, output)
            results.append(result)
            if not as_json:
                print(result["json"])
    if not boxes:
        stderr.print("no --box given: the whole image was taken as the face box", style="yellow")
    if as_json:
        print_json({"code": 0, "images": results})


def _run_image(
    session: Session, path: Path, boxes: Sequence[tuple[float, ...]], folder: Path
) -> dict[str, object]:
    frame = _read_image(path)
    height, width = frame.shape[:2]
    landmarks = session.run(frame, list(boxes) or [(0.0, 0.0, float(width), float(height))])
    result = {
        "image": str(path),
        "scheme": landmarks.scheme,
        "faces": [_face(landmarks, index) for index in range(len(landmarks))],
    }
    json_path = folder / f"{path.stem}.landmarks.json"
    picture_path = folder / f"{path.stem}.landmarks.png"
    encoded = cv2.imencode(".png", draw_landmarks(frame, landmarks))[1].tobytes()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        json_path.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
        picture_path.write_bytes(encoded)
    except OSError as error:
        for path_written in (json_path, picture_path):
            path_written.unlink(missing_ok=True)
        raise OutputError(
            f"cannot write `{json_path}`: {error.strerror}; pass `--output` another folder"
        ) from error
    return {**result, "json": str(json_path), "picture": str(picture_path)}


def _face(landmarks: Landmarks, index: int) -> dict[str, object]:
    x0, y0, x1, y1 = landmarks.boxes[index].tolist()
    return {
        "box_xywh": [x0, y0, x1 - x0, y1 - y0],
        "landmarks": np.round(landmarks.xy[index].astype(float), 3).tolist(),
    }


def _box_from_text(text: str) -> tuple[float, float, float, float]:
    """Return ``(x0, y0, x1, y1)`` from ``x,y,w,h``.

    Raises:
        UsageError: If it is not four numbers.
    """
    try:
        x, y, width, height = (float(part) for part in text.split(","))
    except ValueError:
        raise UsageError(
            f"box {text!r} is not X,Y,W,H; pass for example `--box 120,80,200,220`"
        ) from None
    return x, y, x + width, y + height


def _image_paths(source: Path) -> list[Path]:
    if not source.is_dir():
        return [source]
    paths = sorted(p for p in source.iterdir() if p.suffix.lower() in _IMAGE_ENDINGS)
    if not paths:
        raise InputError(
            f"folder `{source}` has no images (endings {', '.join(_IMAGE_ENDINGS)}); check the path"
        )
    return paths


def _read_image(path: Path) -> NDArray[np.uint8]:
    try:
        data = np.frombuffer(path.read_bytes(), np.uint8)
    except OSError as error:
        raise InputError(f"cannot read image `{path}`: {error.strerror}; check the path") from error
    frame = cv2.imdecode(data, cv2.IMREAD_COLOR) if data.size else None
    if frame is None:
        raise InputError(f"`{path}` is no image that OpenCV can read; check the file")
    return np.asarray(frame, np.uint8)
