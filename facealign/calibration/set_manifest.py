"""The file that says which faces a calibration set has, and how they were chosen."""

from __future__ import annotations

import hashlib

import msgspec

from facealign.datasets.face_crops import CropSource
from facealign.errors import CalibrationError
from facealign.spec import CropSpec

__all__ = [
    "SELECTION_RULE",
    "AttributeCount",
    "CalibrationManifest",
    "FaceEntry",
    "json_from_set_manifest",
    "seal",
    "set_manifest_from_json",
    "text_of_set",
]

SELECTION_RULE = "stratified-1"  # changes with whatever changes the choice


class _Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base of every part of the file."""


class FaceEntry(_Entry, frozen=True):
    """One face.

    Attributes:
        image: Its name, as the data set has it, relative to the folder of images.
        image_sha256: As `image_sha256` gives it.
        box: What the square was drawn around: x0, y0, x1, y1 in frame pixels.
        attributes: Of the face, in the order of the data set.
    """

    image: str
    image_sha256: str
    box: tuple[float, float, float, float]
    attributes: tuple[str, ...]


class AttributeCount(_Entry, frozen=True):
    """How many faces with an attribute the set has, and how many the whole split."""

    chosen: int
    total: int


class CalibrationManifest(_Entry, frozen=True):
    """A calibration set; no time and no path of the machine that chose it.

    Attributes:
        rule: How faces were chosen, `SELECTION_RULE`.
        seed: What the choice among like faces depends on.
        count_asked: How many faces were asked for; if there were fewer, all were taken.
        face_total: Faces in the whole split.
        crop: The family's rule.
        crops_from: Whether `crop` starts from the box or from the landmarks.
        attributes: Counts by name.
        faces: In the order of choice, each beginning of which is stratified too.
        sha256: Of all the above.
    """

    rule: str
    seed: int
    count_asked: int
    face_total: int
    crop: CropSpec
    crops_from: CropSource
    attributes: dict[str, AttributeCount]
    faces: tuple[FaceEntry, ...]
    sha256: str = ""


def seal(manifest: CalibrationManifest) -> CalibrationManifest:
    """Return the manifest with its digest."""
    bare = msgspec.structs.replace(manifest, sha256="")
    digest = hashlib.sha256(msgspec.json.encode(bare, order="sorted")).hexdigest()
    return msgspec.structs.replace(manifest, sha256=digest)


def json_from_set_manifest(manifest: CalibrationManifest) -> bytes:
    """Return indented JSON with sorted keys; equal manifests give equal bytes."""
    return msgspec.json.format(msgspec.json.encode(manifest, order="sorted"), indent=1) + b"\n"


def set_manifest_from_json(data: bytes) -> CalibrationManifest:
    """Return the manifest in a file of `json_from_set_manifest`.

    Raises:
        CalibrationError: If `data` is no such file, was changed since, or is of another rule.
    """
    try:
        manifest = msgspec.json.decode(data, type=CalibrationManifest)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise CalibrationError(_malformed(str(error))) from error
    # Structs refuse unknown fields, the dataclasses of spec/ skip them: compare with what was said.
    is_exact = msgspec.json.decode(json_from_set_manifest(manifest)) == msgspec.json.decode(data)
    if not is_exact or seal(manifest) != manifest:
        raise CalibrationError(_malformed("its digest does not fit, so it was changed"))
    if manifest.rule != SELECTION_RULE:
        raise CalibrationError(
            _malformed(f"its faces were chosen by {manifest.rule!r} (expected {SELECTION_RULE!r})")
        )
    return manifest


def text_of_set(manifest: CalibrationManifest) -> str:
    """Return what a set is, in one line for people."""
    count, images = len(manifest.faces), len({face.image for face in manifest.faces})
    faces = f"{count} of {manifest.face_total} faces"
    if count < manifest.count_asked:
        faces = f"all {count} faces, fewer than the {manifest.count_asked} asked for,"
    shares = ", ".join(
        f"{name} {each.chosen} of {each.total}" for name, each in manifest.attributes.items()
    )
    text = f"{faces} in {images} images, cropped from their {_words(manifest.crops_from)}"
    return f"{text}; {shares}" if shares else text


def _words(source: CropSource) -> str:
    return "boxes" if source == "box" else "landmarks"


def _malformed(problem: str) -> str:
    return f"not a file of a calibration set: {problem}; choose the faces again"
