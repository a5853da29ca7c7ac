"""Draw landmarks on a frame."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from facealign.spec import Landmarks, Scheme, scheme_by_name

__all__ = ["draw_landmarks"]

_BOX_BGR = (230, 200, 120)
_LINE_BGR = (90, 230, 60)
_RIM_BGR = (30, 30, 30)
_DOT_BGR = (255, 255, 255)
# Fractions of the box's longer side: a face of 250 px gets lines of 1 px and dots of 3 px.
_LINE_OF_BOX = 1 / 250
_DOT_OF_BOX = 1 / 170
_MIN_DOT_PX = 0.8
_RIM_OF_DOT = 1.6
# Below this the dots of 98 landmarks run together and hide the face, so lines stand for them.
_MIN_DOTTED_BOX_PX = 90
_SHIFT = 4  # OpenCV draws at 1/16 px ...
_ONE_PX = 2**_SHIFT
_MAX_DRAWN_PX = 2.0**24  # ... in 32 bits; what is cut off is far outside any frame


def draw_landmarks(frame: NDArray[np.uint8], landmarks: Landmarks) -> NDArray[np.uint8]:
    """Return a copy of `frame` with each face's box, contours and landmarks.

    Lines and dots grow with the face, so they look alike at every resolution; on a face too small
    for dots, only the landmarks that are on no line get one.

    Args:
        frame: ``(H, W, 3)`` uint8 BGR.
        landmarks: In pixels of `frame`; a scheme that is unknown here is drawn without contours.
    """
    canvas: NDArray[np.uint8] = np.array(frame, order="C")
    for xy, box in zip(landmarks.xy, landmarks.boxes, strict=True):
        _draw_face(canvas, xy, box, scheme=scheme_by_name(landmarks.scheme, len(xy)))
    return canvas


def _draw_face(
    canvas: NDArray[np.uint8],
    xy: NDArray[np.float32],
    box: NDArray[np.float64],
    *,
    scheme: Scheme,
) -> None:
    size = float((box[2:] - box[:2]).max())
    thickness = max(1, round(size * _LINE_OF_BOX))
    radius = max(_MIN_DOT_PX, size * _DOT_OF_BOX)
    corners = _fixed(box[[[0, 1], [2, 1], [2, 3], [0, 3], [0, 1]]])
    points = _fixed(xy)
    contours = [points[list(contour)] for contour in scheme.contours]
    cv2.polylines(canvas, [corners], False, _BOX_BGR, thickness, cv2.LINE_AA, _SHIFT)  # noqa: FBT003 - OpenCV's names differ between versions
    cv2.polylines(canvas, contours, False, _LINE_BGR, thickness, cv2.LINE_AA, _SHIFT)  # noqa: FBT003 - as above
    lined = {index for contour in scheme.contours for index in contour}
    is_dotted = size >= _MIN_DOTTED_BOX_PX
    dotted = [xy for i, xy in enumerate(points.tolist()) if is_dotted or i not in lined]
    rims = ((_RIM_OF_DOT, _RIM_BGR),) if is_dotted else ()
    for scale, colour in (*rims, (1.0, _DOT_BGR)):
        fixed_radius = round(radius * scale * _ONE_PX)
        for x, y in dotted:
            cv2.circle(canvas, (x, y), fixed_radius, colour, cv2.FILLED, cv2.LINE_AA, _SHIFT)


def _fixed(xy: NDArray[np.floating]) -> NDArray[np.int32]:
    """Return positions in OpenCV's fixed point."""
    clipped = np.clip(np.asarray(xy, np.float64), -_MAX_DRAWN_PX, _MAX_DRAWN_PX)
    fixed: NDArray[np.int32] = np.rint(clipped * _ONE_PX).astype(np.int32)
    return fixed
