"""What a folder must hold to be a data set, what of it is there, and how its texts are read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from facealign.errors import DatasetError

__all__ = [
    "Layout",
    "check_folder",
    "check_layout",
    "check_split",
    "first_folder",
    "layout_of",
    "read_bytes",
    "read_lines",
]


@dataclass(frozen=True, slots=True)
class Layout:
    """How far a folder is one data set.

    Attributes:
        dataset: Its name, as people write it.
        found: The parts that are there.
        missing: The parts that are not.
    """

    dataset: str
    found: tuple[str, ...]
    missing: tuple[str, ...]

    @property
    def is_whole(self) -> bool:
        """Whether nothing is missing."""
        return not self.missing


def layout_of(dataset: str, parts: Mapping[str, bool]) -> Layout:
    """Return the layout of parts that are there (True) or not."""
    return Layout(
        dataset=dataset,
        found=tuple(part for part, is_there in parts.items() if is_there),
        missing=tuple(part for part, is_there in parts.items() if not is_there),
    )


def check_layout(path: Path, layout: Layout, *, advice: str) -> None:
    """Check that the folder is there, and that nothing of the data set is missing in it.

    Raises:
        DatasetError: If something is; the message names what was found and what was not.
    """
    check_folder(path)
    if layout.missing:
        found = ", ".join(f"`{part}`" for part in layout.found) or "none of it"
        raise DatasetError(
            f"folder `{path}` is not {layout.dataset}: it lacks "
            f"{', '.join(f'`{part}`' for part in layout.missing)} (found {found}); {advice}"
        )


def check_folder(path: Path) -> None:
    """Check that `path` is a folder that can be read.

    Raises:
        DatasetError: If it is not.
    """
    try:
        next(path.iterdir(), None)
    except (FileNotFoundError, NotADirectoryError) as error:
        found = "nothing" if isinstance(error, FileNotFoundError) else "a file"
        raise DatasetError(
            f"`{path}` is no folder of a data set (found {found}); check the path, "
            "and pass the folder that the downloads were unpacked in"
        ) from error
    except OSError as error:
        raise DatasetError(_unreadable(path, error)) from error


def check_split(split: str, splits: Iterable[str], dataset: str) -> None:
    """Check that the data set has the split.

    Raises:
        DatasetError: If it has not; the message names those that it has.
    """
    known = tuple(splits)
    if split not in known:
        raise DatasetError(f"{dataset} has no split {split!r}; choose one of {', '.join(known)}")


def first_folder(candidates: Iterable[Path]) -> Path | None:
    """Return the first that is a folder, or None."""
    return next((path for path in candidates if path.is_dir()), None)


def read_bytes(path: Path) -> bytes:
    """Return what the file holds.

    Raises:
        DatasetError: If it cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise DatasetError(_unreadable(path, error)) from error


def read_lines(path: Path) -> list[str]:
    """Return the lines of a text file, without a byte-order mark; line 1 stands first.

    Raises:
        DatasetError: If it cannot be read, or is no UTF-8 text.
    """
    try:
        return read_bytes(path).decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise DatasetError(
            f"`{path}` is no UTF-8 text (byte {error.start}); check that it is the right file"
        ) from error


def _unreadable(path: Path, error: OSError) -> str:
    return f"cannot read `{path}`: {error.strerror}; check the path and its permissions"
