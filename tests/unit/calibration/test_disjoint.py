from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from facealign.calibration import check_disjoint, curate, split_by_content
from facealign.calibration.disjoint import _first_side
from facealign.datasets import AnnotatedFace, ImageFile
from facealign.errors import CalibrationError
from tests.unit.calibration.faces import face, image_file, rule


@pytest.fixture
def images(tmp_path: Path) -> list[ImageFile]:
    return [image_file(tmp_path, f"{index}.png", grey=20 * index) for index in range(6)]


@pytest.fixture
def faces(images: list[ImageFile]) -> list[AnnotatedFace]:
    """Return 12 faces in 6 images."""
    return [face(images[index % 6], shift=index / 8) for index in range(12)]


def copy_of(image: ImageFile, name: str) -> ImageFile:
    path = image.path.with_name(name)
    shutil.copy(image.path, path)
    return ImageFile(name, path)


def test_check_disjoint_passes_other_images_of_the_same_names(
    faces: list[AnnotatedFace], tmp_path: Path
) -> None:
    (tmp_path / "other").mkdir()
    other = image_file(tmp_path / "other", "0.png", grey=33)
    manifest = curate(faces, rule("box"), count=12, seed=0).manifest

    check_disjoint(manifest, [face(other)])


def test_check_disjoint_refuses_a_copy_under_another_name(
    faces: list[AnnotatedFace], images: list[ImageFile], tmp_path: Path
) -> None:
    manifest = curate(faces, rule("box"), count=12, seed=0).manifest
    clean = image_file(tmp_path, "clean.png", grey=33)

    with pytest.raises(
        CalibrationError,
        match=r"^1 of the 2 images to evaluate on are in the calibration set too "
        r"\(`copy.png = 3.png`\); evaluate on another split",
    ):
        check_disjoint(manifest, [face(copy_of(images[3], "copy.png")), face(clean)])


def test_check_disjoint_lists_all_shared_images_and_names_the_first(
    faces: list[AnnotatedFace],
) -> None:
    manifest = curate(faces, rule("box"), count=12, seed=0).manifest

    with pytest.raises(CalibrationError, match=r"^6 of the 6 .*`2.png` and 3 more\)") as caught:
        check_disjoint(manifest, faces)

    assert caught.value.items == tuple(f"{index}.png" for index in range(6))


def test_split_by_content_keeps_an_image_and_its_copies_on_one_side(
    faces: list[AnnotatedFace], images: list[ImageFile]
) -> None:
    copies = [face(copy_of(image, f"copy-{image.name}")) for image in images]

    first, second = split_by_content([*faces, *copies], 0.5)

    names = [{each.image.name.removeprefix("copy-") for each in side} for side in (first, second)]
    assert len(first) + len(second) == 18
    assert min(len(first), len(second)) > 0
    assert not names[0] & names[1]


def test_split_by_content_and_check_disjoint_agree(faces: list[AnnotatedFace]) -> None:
    first, second = split_by_content(faces, 0.5)

    check_disjoint(curate(first, rule("box"), count=12, seed=0).manifest, second)


def test_split_by_content_does_not_depend_on_the_order(faces: list[AnnotatedFace]) -> None:
    first, _ = split_by_content(faces, 0.5)
    other, _ = split_by_content(faces[::-1], 0.5)

    assert other == first[::-1]


def test_split_by_content_leaves_an_image_where_it_is_when_others_come(
    faces: list[AnnotatedFace],
) -> None:
    few = [each for each in faces if each.image.name in {"0.png", "1.png", "2.png", "3.png"}]

    sides_of_few, sides_of_all = split_by_content(few, 0.5), split_by_content(faces, 0.5)

    assert set(sides_of_few[0]) <= set(sides_of_all[0])
    assert set(sides_of_few[1]) <= set(sides_of_all[1])


@pytest.mark.parametrize(
    ("share", "expected"),
    [(0.4, 2), (0.999, 3), (0.001, 1), (0.25, 1), (0.2500001, 2)],
    ids=["some", "all-but-one", "at-least-one", "edge-is-out", "edge-is-in"],
)
def test_first_side_is_what_lies_below_the_share(share: float, expected: int) -> None:
    digests = [digit + "0" * 63 for digit in "148f"]

    assert _first_side(digests, share) == frozenset(digests[:expected])


def test_split_by_content_refuses_one_image(faces: list[AnnotatedFace]) -> None:
    with pytest.raises(
        CalibrationError, match=r"there are 1 different images \(expected 2 or more"
    ):
        split_by_content([faces[0], faces[6]], 0.5)


@pytest.mark.parametrize("share", [0.0, 1.0, float("nan")])
def test_split_by_content_refuses_no_share(faces: list[AnnotatedFace], share: float) -> None:
    with pytest.raises(ValueError, match="`share` must be between 0 and 1"):
        split_by_content(faces, share)
