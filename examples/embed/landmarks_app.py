"""A whole application: camera, video or folder of images -> faces -> landmarks -> a callback."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from facealign.datasets import read_image
from facealign.errors import FacealignError, InputError
from facealign.geometry import boxes_from_landmarks, placement_from_boxes
from facealign.runtime import Landmarks, Session, open_session

Frame = NDArray[np.uint8]  # (H, W, 3) BGR
Boxes = NDArray[np.float64]  # (F, 4) x0, y0, x1, y1 in frame pixels
Detector = Callable[[Frame, Boxes], Boxes]  # from a frame and the faces that are followed in it
OnFrame = Callable[[int, Landmarks], object]
DETECT_EVERY = 30  # frames; in between, faces are followed and new ones are not seen
MIN_FACE_PX, MAX_GROWTH = 16, 1.5  # a face that is smaller, or changes faster, is lost


def frames_of(source: str) -> Iterator[Frame]:
    """Return frames until the source ends, or its camera is pulled out."""
    if Path(source).is_dir():
        return map(read_image, sorted(Path(source).iterdir()))
    if not (capture := cv2.VideoCapture(int(source) if source.isdecimal() else source)).isOpened():
        sys.exit(f"error: cannot open `{source}`; pass the number of a camera, or a video")
    return (np.asarray(frame, np.uint8) for _, frame in iter(capture.read, (False, None)))


def detector_of(text: str) -> Detector:
    """Return OpenCV's detector from a model file of YuNet, or one that knows a box, X,Y,W,H."""
    try:
        if "," in text:
            x, y, w, h = map(float, text.split(","))
            return lambda _, faces: faces if len(faces) else np.array([[x, y, x + w, y + h]])
        network = cv2.FaceDetectorYN.create(text, "", (320, 320))
    except (ValueError, cv2.error) as error:
        raise InputError(f"`{text}` is neither a box, X,Y,W,H, nor YuNet's model file") from error

    def detect(frame: Frame, followed: Boxes) -> Boxes:
        network.setInputSize((frame.shape[1], frame.shape[0]))
        xywh: cv2.typing.MatLike | None = network.detect(frame)[1]  # (F, 15): box, points, score
        return followed if xywh is None else np.hstack([xywh[:, :2], xywh[:, :2] + xywh[:, 2:4]])

    return detect


def next_boxes(session: Session, faces: Landmarks, frame: Frame) -> Boxes:
    """Return a box for each face that was not lost, whose crop is the one around its landmarks."""
    crop = session.manifest.crop
    place = placement_from_boxes(boxes_from_landmarks(faces.xy), crop.from_landmarks)
    growth = place.side / placement_from_boxes(faces.boxes, crop.from_box).side
    kept = (growth < MAX_GROWTH) & (growth > 1 / MAX_GROWTH) & (place.side > MIN_FACE_PX)
    kept &= ((place.centre > 0) & (place.centre < frame.shape[1::-1])).all(axis=1)
    half = (place.side / crop.from_box.side_factor / 2)[:, None]
    return np.asarray(np.hstack([place.centre - half, place.centre + half])[kept])


def follow(session: Session, frames: Iterable[Frame], detect: Detector, on_frame: OnFrame) -> None:
    """Call `on_frame` with the number of every frame and its faces, of which there may be none."""
    boxes = np.empty((0, 4))
    for index, frame in enumerate(frames):
        boxes = boxes if index % DETECT_EVERY and len(boxes) else detect(frame, boxes)
        faces = session.run(frame, boxes)
        on_frame(index, faces)
        boxes = next_boxes(session, faces, frame)


def main(arguments: list[str]) -> None:
    """Print a JSON line per frame: the landmarks of its faces, in pixels."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundle")
    parser.add_argument("source", help="number of a camera, video, or folder of images")
    parser.add_argument("detector", help="model file of YuNet, or the face's box as X,Y,W,H")
    parser.add_argument("--engine", default="onnxruntime", help="or tensorrt")
    parser.add_argument("--precision", default="fp32")
    asked = parser.parse_args(arguments)

    def show(index: int, faces: Landmarks) -> None:
        print(json.dumps({"frame": index, "landmarks": faces.xy.round(2).tolist()}), flush=True)

    with open_session(asked.bundle, engine=asked.engine, precision=asked.precision) as session:
        follow(session, frames_of(asked.source), detector_of(asked.detector), show)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except FacealignError as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:  # the session is closed by now
        sys.exit(130)
