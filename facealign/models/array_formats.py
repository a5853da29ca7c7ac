"""From the bytes of a side file to the array they hold; one function per format."""

from __future__ import annotations

import io
import json
import warnings
import zipfile
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facealign.errors import AssetError
from facealign.models.source_file import did_you_mean

__all__ = ["array_from_json", "array_from_numpy", "array_from_text"]

_LARGEST_UNPACKED_MIB = 256
_NUMPY_ERRORS = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    LookupError,
    MemoryError,
    OSError,
    OverflowError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
)


def array_from_numpy(data: bytes, *, name: str, key: str | None) -> NDArray[Any]:
    """Return the array of an ``.npy``, or the one named `key` of an ``.npz``.

    Raises:
        AssetError: If the bytes are neither, or hold objects, or there is no telling which array.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if data.startswith(b"PK"):
                return _array_from_npz(data, name=name, key=key)
            array: NDArray[Any] = np.lib.format.read_array(io.BytesIO(data), allow_pickle=False)
            return array
    except _NUMPY_ERRORS as caught:
        if "Object arrays" in str(caught):
            raise AssetError(
                f"asset `{name}` holds Python objects, which are not loaded as they may run code; "
                "save it with `dtype=float64`"
            ) from caught
        raise AssetError(
            f"asset `{name}` cannot be read as a NumPy file ({_first_line(caught)}); get it again"
        ) from caught


def array_from_text(data: bytes, *, name: str, key: str | None = None) -> NDArray[np.float64]:  # noqa: ARG001  # one signature for all formats
    """Return rows of numbers with white space or commas between them, ``(rows, columns)``.

    Raises:
        AssetError: If something is no number, or a row is longer or shorter than the first.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as caught:
        raise AssetError(
            f"asset `{name}` is no UTF-8 text (byte {caught.start}); check that it is the right "
            "file"
        ) from caught
    rows: list[list[float]] = []
    for number, line in enumerate(text.splitlines(), start=1):
        fields = line.partition("#")[0].replace(",", " ").split()
        if not fields:
            continue
        try:
            rows.append([float(field) for field in fields])
        except ValueError as caught:
            raise AssetError(
                f"asset `{name}`, line {number}: not all are numbers ({line.strip()[:40]!r}); "
                "correct it"
            ) from caught
        if len(fields) != len(rows[0]):
            raise AssetError(
                f"asset `{name}`, line {number}: {len(fields)} numbers (expected {len(rows[0])}, "
                "as in the first row); correct it"
            )
    return np.array(rows, dtype=np.float64)


def array_from_json(data: bytes, *, name: str, key: str | None = None) -> NDArray[Any]:  # noqa: ARG001  # one signature for all formats
    """Return nested lists of numbers as an array.

    Raises:
        AssetError: If it is no JSON, no nested lists, or lists of unequal length.
    """
    try:
        content = json.loads(data)
    except (ValueError, RecursionError) as caught:
        raise AssetError(
            f"asset `{name}` is no JSON ({_first_line(caught)}); correct it"
        ) from caught
    if not isinstance(content, list):
        raise AssetError(
            f"asset `{name}` holds a `{type(content).__name__}` (expected nested lists of "
            "numbers); keep only the lists"
        )
    try:
        return np.array(content)
    except (ValueError, OverflowError) as caught:
        raise AssetError(
            f"asset `{name}` holds lists of unequal length (expected rows of the same); correct it"
        ) from caught


def _array_from_npz(data: bytes, *, name: str, key: str | None) -> NDArray[Any]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {member.filename.removesuffix(".npy"): member for member in archive.infolist()}
        unpacked = sum(member.file_size for member in archive.infolist())
        if unpacked > _LARGEST_UNPACKED_MIB << 20:
            raise AssetError(
                f"asset `{name}` unpacks to {unpacked >> 20:,} MiB (expected at most "
                f"{_LARGEST_UNPACKED_MIB}); check that it is the right file"
            )
        chosen = key if key in members else next(iter(members), None)
        if chosen is None or (len(members) > 1 and chosen != key):
            what = f"no array `{key}`" if key else f"{len(members)} arrays (expected one)"
            raise AssetError(f"asset `{name}` holds {what}; {did_you_mean(key or '', members)}")
        content = archive.read(members[chosen])
    array: NDArray[Any] = np.lib.format.read_array(io.BytesIO(content), allow_pickle=False)
    return array


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:120]
