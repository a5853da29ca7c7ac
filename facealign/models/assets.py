"""Side files: what the user named on the command line, to the arrays that a network needs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facealign.errors import AssetError, UsageError
from facealign.models.array_formats import array_from_json, array_from_numpy, array_from_text
from facealign.models.family import Family
from facealign.models.source_file import checkpoint_stem, did_you_mean, read_source_file

__all__ = [
    "assets_beside",
    "parse_assets",
    "read_array",
    "read_assets",
    "read_text_lines",
]

_LARGEST_MIB = 256  # WFLW lists have 7500 lines of 207 fields, some 10 MiB
_Reader = Callable[..., NDArray[Any]]
_READERS: dict[str, _Reader] = {
    ".npz": array_from_numpy,
    ".npy": array_from_numpy,
    ".txt": array_from_text,
    ".csv": array_from_text,
    ".json": array_from_json,
}


def parse_assets(
    arguments: Sequence[str], family: Family, hyperparameters: object
) -> dict[str, Path]:
    """Return the path of each side file, by name.

    Args:
        arguments: What stood behind each ``--asset``: ``"mean-shape=init_98.npz"``.
        family: The family that the side files belong to.
        hyperparameters: Of the family's own class; they tell which it needs.

    Raises:
        UsageError: If an argument is not NAME=FILE, or its name is unknown or there twice.
    """
    known = [spec.name for spec in family.assets(hyperparameters)]
    paths: dict[str, Path] = {}
    for argument in arguments:
        name, equals, file = argument.partition("=")
        name, file = name.strip(), file.strip()
        if not (name and equals and file):
            raise UsageError(
                f"asset {argument!r} is not NAME=FILE; pass `--asset {(known or ['NAME'])[0]}=FILE`"
            )
        if name not in known:
            raise UsageError(
                f"family `{family.name}` has no asset `{name}`; {did_you_mean(name, known)}"
            )
        if name in paths:
            raise UsageError(
                f"asset `{name}` is given twice (`{paths[name]}` and `{file}`); pass one of them"
            )
        paths[name] = Path(file).expanduser()
    return paths


def assets_beside(checkpoint: Path, family: Family, hyperparameters: object) -> dict[str, Path]:
    """Return the side files that lie beside a checkpoint and carry its name, by asset.

    ``face.pt`` has its mean shape in ``face.mean-shape.npz``, with any ending that `read_array`
    takes. So a checkpoint and what belongs to it travel together, and need no option.

    Args:
        checkpoint: File.
        family: The family that it belongs to.
        hyperparameters: Of the family's own class; they tell which side files it needs.

    Raises:
        UsageError: If there are two of one asset.
    """
    stem = checkpoint_stem(checkpoint.name)
    found: dict[str, Path] = {}
    for spec in family.assets(hyperparameters):
        names = [f"{stem}.{spec.name}{ending}" for ending in _READERS]
        paths = [checkpoint.with_name(name) for name in names]
        present = [path for path in paths if path.is_file()]
        if len(present) > 1:
            listed = " and ".join(f"`{path.name}`" for path in present)
            raise UsageError(
                f"{listed} are both the {spec.name} of `{checkpoint.name}`; pass one with "
                f"`--asset {spec.name}=FILE`"
            )
        if present:
            found[spec.name] = present[0]
    return found


def read_assets(
    family: Family, hyperparameters: object, paths: Mapping[str, Path]
) -> dict[str, NDArray[np.float32]]:
    """Return every side file that the family needs, by name.

    Args:
        family: Its `assets` say what is needed, and read it.
        hyperparameters: Of the family's own class.
        paths: From `parse_assets`.

    Raises:
        AssetError: If one is missing, unreadable, or does not fit the hyper-parameters.
    """
    needed = family.assets(hyperparameters)
    for spec in needed:
        if spec.name not in paths:
            raise AssetError(
                f"`{family.name}` needs its {spec.name}, {spec.meaning}, which is not in the "
                f"checkpoint ({spec.where}); pass `--asset {spec.name}=FILE`, or put it beside the "
                f"checkpoint as `CHECKPOINT.{spec.name}.npy`"
            )
    return {spec.name: spec.read(paths[spec.name], hyperparameters) for spec in needed}


def read_array(path: Path, *, key: str | None = None) -> NDArray[np.float64]:
    """Return the numbers of a side file; nothing in it is unpickled.

    Args:
        path: ``.npz``, ``.npy``, ``.json`` (nested lists), or ``.txt`` or ``.csv`` (rows of numbers
            with white space or commas between them, and comments behind ``#``).
        key: The array to take from an ``.npz`` that holds several.

    Returns:
        float64, any shape, finite, not empty. Text is 2-D: rows, columns.

    Raises:
        AssetError: If the file is missing, unreadable, or holds anything but finite numbers.
    """
    data = _read(path)
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise AssetError(
            f"asset `{path}` has the ending {path.suffix!r} (expected one of "
            f"{', '.join(_READERS)}); convert it to one of them"
        )
    array = reader(data, name=path.name, key=key)
    if array.dtype.kind not in "iuf":
        raise AssetError(
            f"asset `{path.name}` holds `{array.dtype}` (expected real numbers); save it as float64"
        )
    if array.size == 0:
        raise AssetError(
            f"asset `{path.name}` holds no numbers (shape {array.shape}); get it again"
        )
    numbers = array.astype(np.float64)
    broken = int(np.count_nonzero(~np.isfinite(numbers)))
    if broken:
        raise AssetError(
            f"asset `{path.name}` holds {broken} NaN or infinite values of {numbers.size} "
            "(expected none); get it again"
        )
    return numbers


def read_text_lines(path: Path) -> list[str]:
    """Return the lines of a text file, without a byte-order mark; line 1 stands first.

    Raises:
        AssetError: If the file is missing, unreadable or not UTF-8 text.
    """
    try:
        return _read(path).decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as caught:
        raise AssetError(
            f"asset `{path.name}` is no UTF-8 text (byte {caught.start}); check that it is the "
            "right file"
        ) from caught


def _read(path: Path) -> bytes:
    return read_source_file(path, meaning="asset", largest_mib=_LARGEST_MIB, error=AssetError)
