"""The faces of a data set, together."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from facealign.datasets.face import AnnotatedFace, Dataset
from facealign.datasets.image import ImageFile
from facealign.spec import Scheme


@pytest.fixture
def dataset() -> Dataset:
    image = ImageFile("a.png", Path("a.png"))
    landmarks = np.array([[1.0, 2.0], [3.0, 4.0]])
    faces = (
        AnnotatedFace(image, landmarks, attributes=frozenset({"blur", "pose"})),
        AnnotatedFace(image, landmarks + 10),
        AnnotatedFace(image, landmarks + 20, attributes=frozenset({"blur"})),
    )
    return Dataset("mine", "test", Scheme("mine", 2), ("pose", "blur", "makeup"), faces)


def test_landmarks_are_those_of_every_face_in_order(dataset: Dataset) -> None:
    assert dataset.landmarks.shape == (3, 2, 2)
    assert dataset.landmarks[:, 0, 0].tolist() == [1, 11, 21]


def test_subsets_are_the_faces_with_each_attribute_in_the_order_of_the_names(
    dataset: Dataset,
) -> None:
    assert list(dataset.subsets.items()) == [("pose", (0,)), ("blur", (0, 2)), ("makeup", ())]
