"""Side files: what stands behind `--asset`, and the formats that arrays come in."""

from __future__ import annotations

import dataclasses
import io
import json
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from facealign.errors import AssetError, UsageError
from facealign.models.assets import (
    assets_beside,
    parse_assets,
    read_array,
    read_assets,
    read_text_lines,
)
from facealign.models.families.slpt import FAMILY
from facealign.models.family import AssetSpec, Family

_NUMBERS = np.array([[1.0, 2.5], [-3.0, 4.0], [5.0, 6.0]])


class _Marks:
    """Creates a file when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Callable[..., object], tuple[Path]]:
        return Path.touch, (self.marker,)


def _read_rows(path: Path, hyperparameters: int) -> NDArray[np.float32]:
    return read_array(path).astype(np.float32)[:hyperparameters]


@pytest.fixture
def family() -> Family:
    assets = (
        AssetSpec("mean-shape", "the average face", "`init_98.npz` of the authors", _read_rows),
        AssetSpec("graph", "which landmarks are neighbours", "`98pts.txt`", _read_rows),
    )
    return dataclasses.replace(FAMILY, assets=lambda _: assets)


def _write(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def _npy(array: NDArray[np.generic]) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def _npz(**arrays: NDArray[np.generic]) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=True, **arrays)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.npy", _npy(_NUMBERS)),
        ("a.NPY", _npy(_NUMBERS)),
        ("a.npz", _npz(face=_NUMBERS)),
        ("a.txt", b"1 2.5\n-3\t4 # eyes\n\n# mouth\n5.0  6e0\n"),
        ("bom.txt", b"\xef\xbb\xbf1 2.5\r\n-3 4\r\n5 6\r\n"),
        ("a.csv", b"1,2.5\n-3, 4\n5,6,\n"),
        ("a.json", b"[[1, 2.5], [-3, 4], [5, 6]]"),
    ],
)
def test_read_array_reads(tmp_path: Path, name: str, content: bytes) -> None:
    array = read_array(_write(tmp_path / name, content))

    assert array.dtype == np.float64
    assert np.array_equal(array, _NUMBERS)


@pytest.mark.parametrize("dtype", ["int16", "uint8", "float16", ">f4", "float32"])
def test_read_array_converts_to_float64(tmp_path: Path, dtype: str) -> None:
    path = _write(tmp_path / "a.npy", _npy(np.array([1, 2, 3]).astype(dtype)))

    array = read_array(path)

    assert array.dtype == np.float64
    assert array.tolist() == [1, 2, 3]


def test_read_array_takes_named_array_of_several(tmp_path: Path) -> None:
    path = _write(tmp_path / "a.npz", _npz(other=np.zeros(2), face=_NUMBERS))

    array = read_array(path, key="face")

    assert np.array_equal(array, _NUMBERS)


def test_read_array_takes_only_array_whatever_its_name(tmp_path: Path) -> None:
    path = _write(tmp_path / "a.npz", _npz(arr_0=_NUMBERS))

    array = read_array(path, key="face")

    assert np.array_equal(array, _NUMBERS)


@pytest.mark.parametrize("name", ["a.npy", "a.npz"])
def test_read_array_runs_no_code(tmp_path: Path, name: str) -> None:
    marker = tmp_path / "marker"
    objects = np.array([_Marks(marker)], dtype=object)
    writers = {"a.npy": lambda: _npy(objects), "a.npz": lambda: _npz(face=objects)}
    path = _write(tmp_path / name, writers[name]())

    with pytest.raises(AssetError, match=r"holds Python objects.*may run code"):
        read_array(path)

    assert not marker.exists()


_BAD_FILES = {
    "nan": ("a.npy", _npy(np.array([1, np.nan])), "holds 1 NaN or infinite values of 2"),
    "inf-text": ("a.txt", b"1 inf\n", "holds 1 NaN or infinite values of 2"),
    "nan-json": ("a.json", b"[NaN, 1]", "holds 1 NaN or infinite values of 2"),
    "strings": ("a.npy", _npy(np.array(["a"])), r"holds `<U1` \(expected real numbers\)"),
    "strings-json": ("a.json", b'[["1", "2"]]', r"holds `<U1` \(expected real numbers\)"),
    "complex": ("a.npy", _npy(np.ones(2, dtype=complex)), r"holds `complex128`"),
    "no-numbers": ("a.npy", _npy(np.ones((0, 2))), r"holds no numbers \(shape \(0, 2\)\)"),
    "no-rows": ("a.txt", b"# nothing\n", r"holds no numbers"),
    "empty": ("a.txt", b"", r"is empty \(0 bytes\)"),
    "truncated-npy": ("a.npy", _npy(_NUMBERS)[:-8], "cannot be read as a NumPy file"),
    "truncated-npz": ("a.npz", _npz(face=_NUMBERS)[:-8], "cannot be read as a NumPy file"),
    "text-as-npy": ("a.npy", b"1 2 3\n", "cannot be read as a NumPy file"),
    "pickle-as-npy": ("a.npy", pickle.dumps([1]), "cannot be read as a NumPy file"),
    "huge-header": (
        "a.npy",
        _npy(_NUMBERS).replace(b"(3, 2), }   ", b"(3333333, 2), }")[:-3],
        "cannot be read as a NumPy file",
    ),
    "word-in-text": ("a.txt", b"1 2\n3 x\n", r"line 2: not all are numbers \('3 x'\)"),
    "ragged-text": ("a.csv", b"1,2\n3,4\n5\n", r"line 3: 1 numbers \(expected 2, as in the first"),
    "binary-as-text": ("a.txt", b"1 \xff\xfe", r"is no UTF-8 text \(byte 2\)"),
    "broken-json": ("a.json", b"[1, 2", "is no JSON"),
    "deep-json": ("a.json", b"[" * 200_000, "is no JSON"),
    "dict-json": ("a.json", b'{"face": [1]}', r"holds a `dict` \(expected nested lists"),
    "ragged-json": ("a.json", b"[[1, 2], [3]]", "lists of unequal length"),
    "huge-integer-json": ("a.json", b"[" + b"9" * 400 + b"]", r"holds `object`"),
    "other-ending": ("a.mat", b"MATLAB", r"has the ending '\.mat' \(expected one of \.npz, \.npy"),
}


@pytest.mark.parametrize(("name", "content", "message"), _BAD_FILES.values(), ids=_BAD_FILES)
def test_read_array_refuses(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    path = _write(tmp_path / name, content)

    with pytest.raises(AssetError, match=message):
        read_array(path)


def test_read_array_lists_arrays_when_there_are_several(tmp_path: Path) -> None:
    path = _write(tmp_path / "a.npz", _npz(b=_NUMBERS, a=_NUMBERS))

    with pytest.raises(AssetError, match=r"2 arrays \(expected one\); there are `a`, `b`"):
        read_array(path)


def test_read_array_suggests_name_of_array(tmp_path: Path) -> None:
    path = _write(tmp_path / "a.npz", _npz(init_faces=_NUMBERS, other=_NUMBERS))

    with pytest.raises(AssetError, match=r"no array `init_face`; did you mean `init_faces`\?"):
        read_array(path, key="init_face")


def test_read_array_refuses_npz_bomb(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.npy", bytes(300 << 20))

    with pytest.raises(AssetError, match=r"unpacks to 300 MiB \(expected at most 256\)"):
        read_array(path)


def test_read_array_suggests_name_when_file_is_missing(tmp_path: Path) -> None:
    _write(tmp_path / "init_98.npz", b"x")

    with pytest.raises(AssetError, match=r"asset `.*init98\.npz` does not exist.*`init_98\.npz`\?"):
        read_array(tmp_path / "init98.npz")


def test_read_text_lines_drops_byte_order_mark(tmp_path: Path) -> None:
    path = _write(tmp_path / "a.txt", b"\xef\xbb\xbf1 2\r\n3\n")

    assert read_text_lines(path) == ["1 2", "3"]


def test_read_text_lines_refuses_binary_file(tmp_path: Path) -> None:
    with pytest.raises(AssetError, match=r"is no UTF-8 text \(byte 0\)"):
        read_text_lines(_write(tmp_path / "a.txt", b"\xff\xfe"))


def test_parse_assets_gives_paths_by_name(family: Family) -> None:
    paths = parse_assets(["mean-shape=a b.npz", "graph=x=y.txt"], family, 2)

    assert paths == {"mean-shape": Path("a b.npz"), "graph": Path("x=y.txt")}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["init_98.npz"], r"'init_98\.npz' is not NAME=FILE; pass `--asset mean-shape=FILE`"),
        (["mean-shape="], "is not NAME=FILE"),
        (["=init_98.npz"], "is not NAME=FILE"),
        (["meanshape=a"], r"no asset `meanshape`; did you mean `mean-shape`\?"),
        (["face3d=a"], r"no asset `face3d`; there are `graph`, `mean-shape`"),
        (["graph=a", "graph=b"], r"`graph` is given twice \(`a` and `b`\)"),
    ],
    ids=["no-equals", "no-file", "no-name", "typing-error", "unknown", "twice"],
)
def test_parse_assets_refuses(family: Family, arguments: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        parse_assets(arguments, family, 2)


def test_read_assets_hands_hyperparameters_to_reader(tmp_path: Path, family: Family) -> None:
    path = tmp_path / "a.json"
    path.write_text(json.dumps(_NUMBERS.tolist()))

    arrays = read_assets(family, 2, {"mean-shape": path, "graph": path})

    assert arrays.keys() == {"mean-shape", "graph"}
    assert np.array_equal(arrays["graph"], _NUMBERS[:2].astype(np.float32))


def test_read_assets_says_what_is_missing_and_where_it_is_from(
    tmp_path: Path, family: Family
) -> None:
    with pytest.raises(
        AssetError,
        match=r"`slpt` needs its mean-shape, the average face, which is not in the checkpoint "
        r"\(`init_98\.npz` of the authors\); pass `--asset mean-shape=FILE`",
    ):
        read_assets(family, 2, {"graph": tmp_path / "a.txt"})


@pytest.mark.parametrize(
    ("checkpoint", "file"),
    [
        pytest.param("face.pt", "face.mean-shape.npz", id="pt"),
        pytest.param("best.pth.tar", "best.mean-shape.txt", id="two-endings"),
        pytest.param("v1.2.safetensors", "v1.2.mean-shape.npy", id="dot-in-name"),
    ],
)
def test_assets_beside_finds_files_of_the_checkpoint_name(
    tmp_path: Path, family: Family, checkpoint: str, file: str
) -> None:
    (tmp_path / file).touch()
    (tmp_path / "other.mean-shape.npy").touch()

    paths = assets_beside(tmp_path / checkpoint, family, 2)

    assert paths == {"mean-shape": tmp_path / file}


def test_assets_beside_refuses_two_files_of_one_asset(tmp_path: Path, family: Family) -> None:
    (tmp_path / "face.mean-shape.npy").touch()
    (tmp_path / "face.mean-shape.npz").touch()

    with pytest.raises(UsageError, match=r"are both the mean-shape of `face\.pt`; pass one"):
        assets_beside(tmp_path / "face.pt", family, 2)
