"""SPIGA's 3-D face from every kind of file that a user may have."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from facealign.errors import AssetError
from facealign.models.families.spiga.face_model import landmark_labels, read_face_model
from facealign.models.families.spiga.hyperparameters import SpigaHyperparameters
from tests.reference import REFERENCE, needs_reference

TINY = SpigaHyperparameters.tiny()
WFLW, IBUG = TINY["wflw"], TINY["300w"]
SAME = 1e-6  # float32 of the same numbers


@pytest.fixture
def points(rng: np.random.Generator) -> NDArray[np.float64]:
    """Return 98 world points, made up."""
    return rng.uniform(-0.7, 0.7, (98, 3))


@pytest.fixture
def lines(points: NDArray[np.float64]) -> list[str]:
    """Return them as the authors' file has them, but in another order."""
    labelled = [
        f"{label}|{-y!r}|{-z!r}|{x!r}"
        for label, (x, y, z) in zip(landmark_labels(98), points.tolist(), strict=True)
    ]
    return labelled[::-1]


def write(path: Path, lines: list[str]) -> Path:
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("model", "folder"),
    [("98", "wflw_db_info.json"), ("68", "300wpublic/db_info.json")],
    ids=["wflw", "300w"],
)
@needs_reference
def test_labels_are_those_of_authors(model: str, folder: str) -> None:
    info = json.loads((REFERENCE / "data" / folder).read_text(encoding="utf-8"))

    assert list(landmark_labels(int(model))) == info["ldm_ids"]


@needs_reference
@pytest.mark.parametrize("sizes", [WFLW, IBUG], ids=["wflw", "300w"])
def test_authors_file_gives_what_authors_code_makes_of_it(sizes: SpigaHyperparameters) -> None:
    count = sizes.landmark_count
    with np.load(REFERENCE / "golden" / "preproc.npz") as file:
        expected = file[f"spiga_model3d_{count}"]

    found = read_face_model(REFERENCE / "data" / f"mean_face_3D_{count}.txt", sizes)

    np.testing.assert_allclose(found, expected, atol=SAME)


@pytest.mark.parametrize("count", [98, 68])
def test_every_label_is_there_once(count: int) -> None:
    labels = landmark_labels(count)

    assert len(set(labels)) == len(labels) == count


def test_labelled_lines_are_put_in_order(
    tmp_path: Path, lines: list[str], points: NDArray[np.float64]
) -> None:
    path = write(tmp_path / "face.txt", [*lines[:40], "", *lines[40:]])

    np.testing.assert_allclose(read_face_model(path, WFLW), points, atol=SAME)


def _save_npy(path: Path, points: NDArray[np.float64]) -> None:
    np.save(path, points)


def _save_npz(path: Path, points: NDArray[np.float64]) -> None:
    np.savez(path, face=points)


def _save_json(path: Path, points: NDArray[np.float64]) -> None:
    path.write_text(json.dumps(points.tolist()), encoding="utf-8")


def _save_txt(path: Path, points: NDArray[np.float64]) -> None:
    np.savetxt(path, points)


@pytest.mark.parametrize(
    ("name", "save"),
    [
        ("face.npy", _save_npy),
        ("face.npz", _save_npz),
        ("face.json", _save_json),
        ("face.txt", _save_txt),
    ],
    ids=["npy", "npz", "json", "txt"],
)
def test_array_is_taken_as_it_is(
    tmp_path: Path,
    points: NDArray[np.float64],
    name: str,
    save: Callable[[Path, NDArray[np.float64]], None],
) -> None:
    save(tmp_path / name, points)

    found = read_face_model(tmp_path / name, WFLW)

    np.testing.assert_allclose(found, points, atol=SAME)
    assert found.dtype == np.float32


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("100|0.1|0.2", r"face\.txt`, line 3: 3 fields \(expected 4: label\|a\|b\|c\); correct it"),
        ("100|0.1|zero|0.2", r"line 3: not all fields are numbers \('100\|0\.1\|zero\|0\.2'\)"),
        ("1.5|0.1|0.2|0.3", r"line 3: not all fields are numbers"),
        ("100|0.1|nan|0.2", r"line 3: its point is not finite"),
        ("197|0.1|0.2|0.3", r"line 3: label 197 is there twice \(expected once\); remove one"),
    ],
    ids=["fields", "word", "label", "nan", "twice"],
)
def test_broken_line_is_named(tmp_path: Path, lines: list[str], line: str, message: str) -> None:
    path = write(tmp_path / "face.txt", [*lines[:2], line, *lines[2:]])

    with pytest.raises(AssetError, match=message):
        read_face_model(path, WFLW)


def test_file_of_another_landmark_set_is_refused(tmp_path: Path, lines: list[str]) -> None:
    path = write(tmp_path / "face.txt", lines)

    with pytest.raises(
        AssetError, match=r"has 98 landmarks, of which \d+ are not .* pass mean_face_3D_68\.txt"
    ):
        read_face_model(path, IBUG)


def test_missing_label_is_named(tmp_path: Path, lines: list[str]) -> None:
    path = write(tmp_path / "face.txt", lines[1:])

    with pytest.raises(AssetError, match=r"lacks 1 \(the first is 197\); pass mean_face_3D_98"):
        read_face_model(path, WFLW)


def test_labels_of_an_unknown_set_need_an_array(tmp_path: Path, lines: list[str]) -> None:
    path = write(tmp_path / "face.txt", lines[:29])
    sizes = dataclasses.replace(WFLW, landmark_count=29)

    with pytest.raises(AssetError, match=r"known for 98 and 68 .* has 29\); pass an \.npy of"):
        read_face_model(path, sizes)


@pytest.mark.parametrize("shape", [(68, 3), (98, 2), (3, 98)], ids=str)
def test_array_of_another_shape_is_refused(tmp_path: Path, shape: tuple[int, int]) -> None:
    np.save(tmp_path / "face.npy", np.arange(float(np.prod(shape))).reshape(shape))

    with pytest.raises(AssetError, match=r"has shape \(\d+, \d+\) \(expected \(98, 3\), .*; pass"):
        read_face_model(tmp_path / "face.npy", WFLW)


def test_face_in_one_place_is_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "face.npy", np.ones((98, 3)))

    with pytest.raises(AssetError, match=r"all landmarks in one place \(expected a face\)"):
        read_face_model(tmp_path / "face.npy", WFLW)
