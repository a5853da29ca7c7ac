"""What a data set says of a face, and the faces of one data set."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from facealign.datasets.image import FaceImage
from facealign.spec import Scheme

__all__ = ["AnnotatedFace", "BoxedImage", "BoxedImages", "Dataset"]


@dataclass(frozen=True, slots=True, eq=False)
class AnnotatedFace:
    """One face whose landmarks people have marked.

    All positions are frame pixels counted from 0: the centre of the upper left pixel is (0, 0). A
    reader brings what its data set counts from 1 to that; each says which convention that is.

    Attributes:
        image: Where its frame comes from.
        landmarks: ``(N, 2)`` float64 ``(x, y)``, finite; may lie outside the frame.
        box: ``(4,)`` float64 ``(x0, y0, x1, y1)`` as the data set gives it, finite and with an
            area; None where it gives none.
        attributes: Those that the annotators saw, of the data set's `attribute_names`.
        occluded: ``(N,)`` bool, whether each landmark is hidden; None where that was not marked.
        pose: ``(3,)`` float64 yaw, pitch and roll in degrees; None where that was not marked.
    """

    image: FaceImage
    landmarks: NDArray[np.float64]
    box: NDArray[np.float64] | None = None
    attributes: frozenset[str] = frozenset()
    occluded: NDArray[np.bool_] | None = None
    pose: NDArray[np.float64] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Dataset:
    """The annotated faces of one split.

    Attributes:
        name: Such as ``"wflw"``; of SPIGA's annotations that of their folder.
        split: Which part of it these are, such as ``"test"``.
        scheme: The landmark set of all faces.
        attribute_names: What a face may have, in the data set's own order; each is a subset.
        faces: In the data set's own order; at least one.
    """

    name: str
    split: str
    scheme: Scheme
    attribute_names: tuple[str, ...]
    faces: tuple[AnnotatedFace, ...]

    @property
    def landmarks(self) -> NDArray[np.float64]:
        """``(F, N, 2)`` float64, frame pixels: those of every face."""
        return np.stack([face.landmarks for face in self.faces])

    @property
    def subsets(self) -> dict[str, tuple[int, ...]]:
        """Indices of the faces that have each attribute, by its name; none where no face has it."""
        return {
            name: tuple(i for i, face in enumerate(self.faces) if name in face.attributes)
            for name in self.attribute_names
        }


@dataclass(frozen=True, slots=True, eq=False)
class BoxedImage:
    """One face of which only the box is known.

    Attributes:
        image: Where its frame comes from.
        box: ``(4,)`` float64 ``(x0, y0, x1, y1)``, frame pixels counted from 0.
    """

    image: FaceImage
    box: NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class BoxedImages:
    """A user's own folder: faces without landmarks, so nothing here can be scored.

    Attributes:
        name: Of the folder.
        faces: In the order of its list; at least one.
    """

    name: str
    faces: tuple[BoxedImage, ...]
