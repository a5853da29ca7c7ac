"""The line of a WFLW list that stands for one face."""

from __future__ import annotations

from facealign.synth.face import SyntheticFace

__all__ = ["annotation_line"]


def annotation_line(face: SyntheticFace, image_name: str) -> str:
    """Return 207 words: 98 times x and y, the box, six attributes as 0 or 1, the image's name.

    Args:
        face: Landmarks and box in pixels; landmarks are written with 6 decimals, as in WFLW.
        image_name: Relative to ``WFLW_images``, with ``/`` between folder and file.

    Source: the README of ``list_98pt_rect_attr_train_test`` in ``WFLW_annotations``.
    """
    coordinates = [f"{value:.6f}" for value in face.landmarks.ravel()]
    numbers = [*face.box.tolist(), *face.attributes.as_numbers()]
    return " ".join([*coordinates, *map(str, numbers), image_name])
