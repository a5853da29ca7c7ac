"""Keep the images of calibration and evaluation apart, by content and not by name."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeVar

from facealign.calibration.image_digest import image_sha256
from facealign.calibration.set_manifest import CalibrationManifest
from facealign.datasets.face_crops import Face
from facealign.errors import CalibrationError, first_of

__all__ = ["check_disjoint", "split_by_content"]

_DIGITS = 16  # hexadecimal ones of a digest; 64 bits place an image between 0 and 1
_FaceT = TypeVar("_FaceT", bound=Face)


def check_disjoint(manifest: CalibrationManifest, evaluation: Iterable[Face]) -> None:
    """Check that no image of the evaluation is, under whatever name, in the calibration set.

    Every image of the evaluation is read for that.

    Raises:
        CalibrationError: If some are; `items` are the names of all of them, with those that
            the calibration set has for them where they differ.
        InputError: If an image cannot be read.
    """
    known = {face.image_sha256: face.image for face in manifest.faces}
    images = list(dict.fromkeys(face.image for face in evaluation))
    pairs = [(image.name, known.get(image_sha256(image))) for image in images]
    shared = [name if other == name else f"{name} = {other}" for name, other in pairs if other]
    if shared:
        raise CalibrationError(
            f"{len(shared)} of the {len(images)} images to evaluate on are in the calibration set "
            f"too ({first_of(shared)}); evaluate on another split, or calibrate on another",
            items=shared,
        )


def split_by_content(
    faces: Sequence[_FaceT], share: float
) -> tuple[tuple[_FaceT, ...], tuple[_FaceT, ...]]:
    """Return faces to calibrate on, and the others, for whoever has no two splits.

    The side of an image depends on its bytes alone. So copies of it are on one side, and it keeps
    its side when others are added; and `share` of the images is met about, as by drawing lots.
    Neither side is empty.

    Args:
        faces: Of two images or more; their order is kept.
        share: Of the images, for calibration, between 0 and 1.

    Raises:
        ValueError: If `share` is not between 0 and 1.
        CalibrationError: If all faces are of one image.
        InputError: If an image cannot be read.
    """
    if not 0 < share < 1:
        raise ValueError(f"`share` must be between 0 and 1, got {share}")
    digests = {image: image_sha256(image) for image in dict.fromkeys(face.image for face in faces)}
    first = _first_side(sorted(set(digests.values())), share)
    return (
        tuple(face for face in faces if digests[face.image] in first),
        tuple(face for face in faces if digests[face.image] not in first),
    )


def _first_side(digests: Sequence[str], share: float) -> frozenset[str]:
    if len(digests) < 2:
        raise CalibrationError(
            f"there are {len(digests)} different images (expected 2 or more, some to calibrate and "
            "others to evaluate on); add images"
        )
    below = [each for each in digests if int(each[:_DIGITS], 16) < share * 16**_DIGITS]
    # Of sorted digests these are the first ones; at the ends, one crosses over.
    count = min(max(len(below), 1), len(digests) - 1)
    return frozenset(digests[:count])
