"""SLPT's mean shape from every kind of file that a user may have."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from facealign.errors import AssetError
from facealign.models.families.slpt.hyperparameters import SlptHyperparameters
from facealign.models.families.slpt.mean_shape import read_mean_shape
from tests.reference import REFERENCE, needs_reference

_FLOAT32_ROUNDING = 1e-6  # measured 3e-8: float32 near 1
_AUTHORS_ROUNDING = 1e-6  # measured 6.5e-8 on their init_98.npz
_NAME = "0--Parade/0_Parade_marchingband_1_116.jpg"


@pytest.fixture
def tiny() -> SlptHyperparameters:
    return SlptHyperparameters.tiny()


@pytest.fixture
def face() -> NDArray[np.float64]:
    """Return (98, 2) landmarks as a fraction of the crop, that obey the crop rule: width 1/1.2."""
    face = np.random.default_rng(0).uniform([0, 0.2], [1, 0.8], (98, 2))
    face[:2] = [[0, 0.2], [1, 0.8]]
    return np.asarray((face - 0.5) / 1.2 + 0.5)


def _line(face: NDArray[np.float64], *, extras: str = "", name: str = _NAME) -> str:
    coordinates = " ".join(repr(float(value)) for value in face.ravel())
    return " ".join(part for part in (coordinates, extras, name) if part)


def _annotation_list(path: Path, lines: list[str]) -> Path:
    path.write_text("\n".join(lines) + "\n")
    return path


_EXTRAS = "100 100 300 300 0 0 0 0 1 0"


def test_read_mean_shape_reads_pixels_of_authors_file(
    tmp_path: Path, tiny: SlptHyperparameters, face: NDArray[np.float64]
) -> None:
    path = tmp_path / "init_98.npz"
    np.savez(path, init_face=256 * face)

    mean_shape = read_mean_shape(path, tiny)

    assert mean_shape.dtype == np.float32
    assert np.allclose(mean_shape, face, rtol=0, atol=_FLOAT32_ROUNDING)


@pytest.mark.parametrize("factor", [1, 256], ids=["fraction", "pixels"])
@pytest.mark.parametrize("ending", [".npy", ".txt", ".csv", ".json"])
def test_read_mean_shape_tells_unit_by_range(
    tmp_path: Path,
    tiny: SlptHyperparameters,
    face: NDArray[np.float64],
    ending: str,
    factor: int,
) -> None:
    path = tmp_path / f"mean{ending}"
    rows = (factor * face).tolist()
    np.save(tmp_path / "mean.npy", factor * face)
    (tmp_path / "mean.txt").write_text("\n".join(f"{x!r} {y!r} # x y" for x, y in rows))
    (tmp_path / "mean.csv").write_text("\n".join(f"{x!r},{y!r}" for x, y in rows))
    (tmp_path / "mean.json").write_text(repr(rows))

    mean_shape = read_mean_shape(path, tiny)

    assert np.allclose(mean_shape, face, rtol=0, atol=_FLOAT32_ROUNDING)


@pytest.mark.parametrize("shape", [(196,), (1, 196), (1, 98, 2)], ids=str)
def test_read_mean_shape_accepts_flat_landmarks(
    tmp_path: Path, tiny: SlptHyperparameters, face: NDArray[np.float64], shape: tuple[int, ...]
) -> None:
    path = tmp_path / "mean.npy"
    np.save(path, face.reshape(shape))

    mean_shape = read_mean_shape(path, tiny)

    assert np.allclose(mean_shape, face, rtol=0, atol=_FLOAT32_ROUNDING)


def test_read_mean_shape_reads_one_row_of_text(
    tmp_path: Path, tiny: SlptHyperparameters, face: NDArray[np.float64]
) -> None:
    path = _annotation_list(tmp_path / "mean.txt", [_line(face, name="")])

    mean_shape = read_mean_shape(path, tiny)

    assert np.allclose(mean_shape, face, rtol=0, atol=_FLOAT32_ROUNDING)


@pytest.mark.parametrize("extras", [_EXTRAS, ""], ids=["box-and-attributes", "landmarks-and-name"])
@pytest.mark.parametrize("name", [_NAME, "000123"], ids=["path", "number"])
def test_read_mean_shape_undoes_place_and_size_of_faces(
    tmp_path: Path, tiny: SlptHyperparameters, face: NDArray[np.float64], extras: str, name: str
) -> None:
    faces = [300 * face + [40, 700], 57.5 * face - 12, face * 1000]
    lines = [_line(each, extras=extras, name=name) for each in faces]
    path = _annotation_list(tmp_path / "list_98pt_rect_attr_train.txt", [*lines, ""])

    mean_shape = read_mean_shape(path, tiny)

    assert np.allclose(mean_shape, face, rtol=0, atol=_FLOAT32_ROUNDING)


def test_read_mean_shape_puts_average_into_its_own_crop(
    tmp_path: Path, tiny: SlptHyperparameters
) -> None:
    rng = np.random.default_rng(1)
    lines = [_line(rng.uniform(0, 500, (98, 2)), extras=_EXTRAS) for _ in range(5)]
    path = _annotation_list(tmp_path / "list.txt", lines)

    mean_shape = read_mean_shape(path, tiny)

    low, high = mean_shape.min(axis=0), mean_shape.max(axis=0)
    assert (high - low).max() == pytest.approx(1 / 1.2, abs=_FLOAT32_ROUNDING)
    assert (low + high) / 2 == pytest.approx([0.5, 0.5], abs=_FLOAT32_ROUNDING)


@needs_reference
def test_authors_mean_shape_obeys_rule_of_computed_one(tiny: SlptHyperparameters) -> None:
    mean_shape = read_mean_shape(REFERENCE / "data" / "init_98.npz", tiny)

    low, high = mean_shape.min(axis=0), mean_shape.max(axis=0)
    assert (high - low).max() == pytest.approx(1 / 1.2, abs=_AUTHORS_ROUNDING)
    assert (low + high) / 2 == pytest.approx([0.5, 0.5], abs=_AUTHORS_ROUNDING)


@pytest.mark.parametrize("shape", [(68, 2), (98, 3), (2, 98), (98,), (2, 98, 2), (194,)], ids=str)
def test_read_mean_shape_refuses_other_shape(
    tmp_path: Path, tiny: SlptHyperparameters, shape: tuple[int, ...]
) -> None:
    path = tmp_path / "mean.npy"
    np.save(path, np.full(shape, 0.5))

    with pytest.raises(AssetError, match=r"has shape \(.*\) \(expected \(98, 2\), x and y of each"):
        read_mean_shape(path, tiny)


@pytest.mark.parametrize(
    ("factor", "shift"),
    [(2.0, -1.0), (4000.0, 0.0), (0.0, 0.5), (256.0, -900.0)],
    ids=["minus-1-to-1", "large-frame", "one-place", "outside"],
)
def test_read_mean_shape_refuses_what_is_no_face_in_a_crop(
    tmp_path: Path,
    tiny: SlptHyperparameters,
    face: NDArray[np.float64],
    factor: float,
    shift: float,
) -> None:
    path = tmp_path / "mean.npy"
    np.save(path, factor * face + shift)

    with pytest.raises(AssetError, match=r"of the crop \(expected a face: pixels of a 256 crop"):
        read_mean_shape(path, tiny)


def test_read_mean_shape_names_broken_line(
    tmp_path: Path, tiny: SlptHyperparameters, face: NDArray[np.float64]
) -> None:
    whole = _line(face, extras=_EXTRAS)
    path = _annotation_list(tmp_path / "list.txt", [whole, whole, whole.partition(" ")[2]])

    with pytest.raises(
        AssetError, match=r"`list\.txt`, line 3: 206 fields \(expected 197: 98 landmarks and a name"
    ):
        read_mean_shape(path, tiny)


def test_read_mean_shape_refuses_annotations_of_another_scheme(
    tmp_path: Path, tiny: SlptHyperparameters, face: NDArray[np.float64]
) -> None:
    path = _annotation_list(tmp_path / "list.txt", [_line(face[:68])])

    with pytest.raises(AssetError, match=r"line 1: 137 fields \(expected 197"):
        read_mean_shape(path, tiny)


@pytest.mark.parametrize(
    ("coordinate", "message"),
    [
        ("x", "line 2: not all coordinates are numbers"),
        ("nan", "line 2: its landmarks are not finite"),
    ],
)
def test_read_mean_shape_refuses_broken_coordinate(
    tmp_path: Path,
    tiny: SlptHyperparameters,
    face: NDArray[np.float64],
    coordinate: str,
    message: str,
) -> None:
    whole = _line(face, extras=_EXTRAS)
    broken = f"{coordinate} {whole.partition(' ')[2]}"
    path = _annotation_list(tmp_path / "list.txt", [whole, broken])

    with pytest.raises(AssetError, match=message):
        read_mean_shape(path, tiny)


def test_read_mean_shape_refuses_face_without_extent(
    tmp_path: Path, tiny: SlptHyperparameters
) -> None:
    path = _annotation_list(tmp_path / "list.txt", [_line(np.ones((98, 2)), extras=_EXTRAS)])

    with pytest.raises(AssetError, match="line 1: its landmarks are not finite, or all in one"):
        read_mean_shape(path, tiny)


def test_read_mean_shape_suggests_name_when_file_is_missing(
    tmp_path: Path, tiny: SlptHyperparameters
) -> None:
    (tmp_path / "init_98.npz").touch()

    with pytest.raises(AssetError, match=r"does not exist; .*did you mean `init_98\.npz`\?"):
        read_mean_shape(tmp_path / "init_89.npz", tiny)
