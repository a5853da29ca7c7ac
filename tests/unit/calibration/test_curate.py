from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from facealign.calibration import curate, json_from_set_manifest
from facealign.datasets import AnnotatedFace, Face
from facealign.errors import CalibrationError, DatasetError, UsageError
from tests.unit.calibration.faces import NAMES, boxed_face, face, image_file, rule

# What seed 5 chooses from `faces`; it changes with `SELECTION_RULE` only.
CHOSEN = ["7.png", "2.png", "8.png", "23.png", "14.png", "13.png", "20.png", "11.png"]


@pytest.fixture
def faces(tmp_path: Path) -> list[AnnotatedFace]:
    """Return 48 faces in 24 images: every second posed, every fourth blurred, three made up."""
    images = [image_file(tmp_path, f"{index}.png", grey=5 * index) for index in range(24)]
    labels = [
        ["pose"] * (index % 2) + ["blur"] * (index % 4 == 0) + ["makeup"] * (index % 16 == 3)
        for index in range(48)
    ]
    return [
        face(images[index % 24], *names, shift=index / 16) for index, names in enumerate(labels)
    ]


def test_curate_chooses_in_proportion(faces: list[AnnotatedFace]) -> None:
    chosen = curate(faces, rule("box"), attribute_names=NAMES, count=16, seed=0)

    counts = chosen.manifest.attributes
    assert [counts[name].total for name in NAMES] == [24, 12, 3]
    assert [counts[name].chosen for name in NAMES] == [8, 4, 2]
    assert len({each.image.name for each in chosen.faces}) == 16


def test_curate_does_not_depend_on_the_order_of_faces(
    faces: list[AnnotatedFace], rng: np.random.Generator
) -> None:
    shuffled = [faces[index] for index in rng.permutation(len(faces))]

    one = curate(faces, rule("box"), attribute_names=NAMES, count=20, seed=3)
    other = curate(shuffled, rule("box"), attribute_names=NAMES, count=20, seed=3)

    assert json_from_set_manifest(one.manifest) == json_from_set_manifest(other.manifest)
    assert one.faces == other.faces


def test_curate_chooses_the_same_in_every_process_and_version(faces: list[AnnotatedFace]) -> None:
    chosen = curate(faces, rule("box"), attribute_names=NAMES, count=8, seed=5)

    assert [each.image.name for each in chosen.faces] == CHOSEN


def test_curate_does_not_depend_on_the_hashes_of_python(tmp_path: Path) -> None:
    code = (
        "from pathlib import Path; from facealign.calibration import curate, json_from_set_manifest"
        "; from tests.unit.calibration.faces import *; images = [image_file(Path(), f'{i}.png', "
        "grey=i) for i in range(9)]; faces = [face(image, *NAMES[i % 3 :]) for i, image in "
        "enumerate(images)]; found = curate(faces, rule('box'), attribute_names=NAMES, count=5, "
        "seed=1); print(json_from_set_manifest(found.manifest).decode())"
    )
    root = Path(__file__).parents[3]

    printed = {
        subprocess.run(
            [sys.executable, "-c", code],
            cwd=tmp_path,
            env={"PYTHONPATH": str(root), "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }

    assert len(printed) == 1


def test_curate_with_another_seed_chooses_others(faces: list[AnnotatedFace]) -> None:
    one, other = (curate(faces, rule("box"), count=10, seed=seed).faces for seed in (0, 1))

    assert set(one) != set(other)


def test_curate_chooses_the_same_faces_for_every_crop_rule(faces: list[AnnotatedFace]) -> None:
    one, other = (curate(faces, rule(source), count=10, seed=0) for source in ("box", "landmarks"))

    assert one.faces == other.faces
    assert one.manifest.crops_from != other.manifest.crops_from


def test_curate_writes_down_what_each_face_is(faces: list[AnnotatedFace], tmp_path: Path) -> None:
    by_name = {each.image.name: each for each in faces[:24]}

    manifest = curate(
        faces[:24], rule("landmarks"), attribute_names=NAMES, count=5, seed=0
    ).manifest

    entry = manifest.faces[0]
    x, y = by_name[entry.image].landmarks[0].tolist()
    assert entry.image_sha256 == hashlib.sha256((tmp_path / entry.image).read_bytes()).hexdigest()
    assert entry.box == (x, y, x + 12, y + 12)
    assert [set(each.attributes) for each in manifest.faces] == [
        by_name[each.image].attributes for each in manifest.faces
    ]


def test_curate_takes_all_faces_if_there_are_fewer(faces: list[AnnotatedFace]) -> None:
    found = curate(faces, rule("box"), attribute_names=NAMES, count=100, seed=0)

    assert set(found.faces) == set(faces)
    assert (found.manifest.count_asked, found.manifest.face_total) == (100, 48)


def test_curate_takes_second_faces_of_images_only_when_needed(faces: list[AnnotatedFace]) -> None:
    found = curate(faces, rule("box"), attribute_names=NAMES, count=30, seed=0)

    assert len({each.image.name for each in found.faces[:24]}) == 24
    assert len({each.image.name for each in found.faces}) == 24


def test_curate_spreads_boxed_images_over_their_images(tmp_path: Path) -> None:
    images = [image_file(tmp_path, f"{index}.png", grey=index) for index in range(4)]
    faces: list[Face] = [boxed_face(image, shift=i) for image in images for i in range(5)]

    found = curate(faces, rule("box"), count=4, seed=0)

    assert sorted(each.image.name for each in found.faces) == [f"{i}.png" for i in range(4)]
    assert found.manifest.attributes == {}


def test_curate_leaves_out_attributes_that_were_not_asked_for(faces: list[AnnotatedFace]) -> None:
    manifest = curate(faces, rule("box"), attribute_names=("blur",), count=48, seed=0).manifest

    assert {name for entry in manifest.faces for name in entry.attributes} == {"blur"}
    assert list(manifest.attributes) == ["blur"]


def test_curate_refuses_to_choose_from_nothing() -> None:
    with pytest.raises(CalibrationError, match="there are no faces to choose from; give some"):
        curate([], rule("box"), count=1, seed=0)


def test_curate_refuses_a_count_below_one(faces: list[AnnotatedFace]) -> None:
    with pytest.raises(UsageError, match="count must be 1 or more, got 0; some hundred"):
        curate(faces, rule("box"), count=0, seed=0)


def test_curate_refuses_faces_that_cannot_be_cropped(tmp_path: Path) -> None:
    lacking = face(image_file(tmp_path, "a.png", grey=0), has_box=False)

    with pytest.raises(DatasetError, match=r"1 of 1 faces have no box to crop from \(`a.png`\)"):
        curate([lacking], rule("box"), count=1, seed=0)
