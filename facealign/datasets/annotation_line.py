"""One line of an annotation list as WFLW has it: landmarks, box, attributes, image name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from facealign.errors import DatasetError

__all__ = ["WFLW_ATTRIBUTES", "FaceLine", "check_face", "face_from_line", "line_from_face"]

# In the order of the list, by the name that the published subsets have.
WFLW_ATTRIBUTES = ("pose", "expression", "illumination", "makeup", "occlusion", "blur")
_BOX_FIELDS = 4
_FLAGS = {"0": False, "1": True}


@dataclass(frozen=True, slots=True, eq=False)
class FaceLine:
    """What one line says.

    Attributes:
        landmarks: ``(N, 2)`` float64 ``(x, y)``, frame pixels counted from 0, finite.
        image_name: Relative to the folder of images; without white space.
        box: ``(4,)`` float64 ``(x_min, y_min, x_max, y_max)``, frame pixels; None in a bare line,
            or where there is none.
        attributes: Those of `WFLW_ATTRIBUTES` that are 1.
    """

    landmarks: NDArray[np.float64]
    image_name: str
    box: NDArray[np.float64] | None = None
    attributes: frozenset[str] = frozenset()


def face_from_line(
    line: str,
    landmark_count: int,
    *,
    place: str,
    may_be_bare: bool = False,
    may_lack_box: bool = False,
) -> FaceLine:
    """Return the face of a line.

    Args:
        line: 2 N coordinates, 4 numbers of the box, 6 attributes (0 or 1), and the name.
        landmark_count: N.
        place: File and number of the line, which begin every message.
        may_be_bare: Whether the box and the attributes may be absent, as in WFLW's
            ``list_98pt_test``.
        may_lack_box: Whether the box may be four numbers without an area, as lists have them that
            were written for their landmarks alone; it is then None.

    Raises:
        DatasetError: If the line is none of a face with so many landmarks.

    Source: the description of the annotations on WFLW's page (Wu et al., CVPR 2018).
    """
    fields = line.split()
    count = 2 * landmark_count
    bare, full = count + 1, count + 1 + _BOX_FIELDS + len(WFLW_ATTRIBUTES)
    if len(fields) != full and not (may_be_bare and len(fields) == bare):
        raise DatasetError(
            f"{place}: {len(fields)} fields (expected "
            + (f"{bare}: {landmark_count} landmarks and a name, or " if may_be_bare else "")
            + f"{full}: {'' if may_be_bare else f'{landmark_count} landmarks and a name, '}"
            "with box and attributes); pass a whole list of the same landmark scheme"
        )
    landmarks = _numbers(fields[:count], "coordinates", place).reshape(landmark_count, 2)
    check_face(landmarks, place)
    if len(fields) == bare:
        return FaceLine(landmarks, fields[-1])
    box_end = count + _BOX_FIELDS
    return FaceLine(
        landmarks,
        fields[-1],
        box=_box(fields[count:box_end], place, may_lack=may_lack_box),
        attributes=_attributes(fields[box_end:-1], place),
    )


def line_from_face(face: FaceLine) -> str:
    """Return the line of a face, without its end; `face_from_line` gives the same face again.

    Numbers are as WFLW has them, coordinates with six digits behind the point and boxes in whole
    pixels; one that would not read back the same is the shortest text that does.
    """
    words = [_coordinate(number) for number in face.landmarks.ravel().tolist()]
    if face.box is not None:
        words += [_box_number(number) for number in face.box.tolist()]
        words += ["1" if name in face.attributes else "0" for name in WFLW_ATTRIBUTES]
    return " ".join([*words, face.image_name])


def check_face(landmarks: NDArray[np.float64], place: str) -> None:
    """Check that ``(N, 2)`` landmarks can be those of a face.

    Args:
        landmarks: Any unit.
        place: Where they stand, which begins the message.

    Raises:
        DatasetError: If one is not finite, or all are in one place.
    """
    if not np.isfinite(landmarks).all() or not np.ptp(landmarks, axis=0).max() > 0:
        raise DatasetError(
            f"{place}: its landmarks are not finite, or all in one place (expected a face); "
            "correct it"
        )


def _numbers(fields: Sequence[str], meaning: str, place: str) -> NDArray[np.float64]:
    try:
        return np.array([float(field) for field in fields])
    except ValueError as caught:
        raise DatasetError(f"{place}: not all {meaning} are numbers; correct it") from caught


def _box(fields: Sequence[str], place: str, *, may_lack: bool) -> NDArray[np.float64] | None:
    box = _numbers(fields, "numbers of the box", place)
    if not np.isfinite(box).all() or not (box[2:] > box[:2]).all():
        if may_lack:
            return None
        raise DatasetError(
            f"{place}: box ({' '.join(fields)}) has no area; "
            "a box is x_min y_min x_max y_max in pixels, so correct it"
        )
    return box


def _attributes(fields: Sequence[str], place: str) -> frozenset[str]:
    if not _FLAGS.keys() >= set(fields):
        raise DatasetError(
            f"{place}: attributes `{' '.join(fields)}` are not all 0 or 1 "
            f"({', '.join(WFLW_ATTRIBUTES)}); correct it"
        )
    flags = zip(WFLW_ATTRIBUTES, fields, strict=True)
    return frozenset(name for name, field in flags if _FLAGS[field])


def _coordinate(number: float) -> str:
    text = f"{number:.6f}"
    return text if float(text) == number else repr(number)


def _box_number(number: float) -> str:
    return f"{number:.0f}" if number.is_integer() else repr(number)
