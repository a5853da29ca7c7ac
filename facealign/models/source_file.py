"""Reading a file that a user named, and the nearest names when there is none."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path

from facealign.errors import CheckpointError

__all__ = ["checkpoint_stem", "did_you_mean", "nearest_name", "read_source_file"]

_CHECKPOINT_ENDINGS = (".tar", ".pth", ".pt", ".safetensors", ".bin", ".ckpt")

_NAMES_SHOWN = 5


def read_source_file(
    path: Path,
    *,
    meaning: str,
    largest_mib: int,
    error: type[CheckpointError] = CheckpointError,
) -> bytes:
    """Return the whole content of a file, in one read.

    Args:
        path: What the user named.
        meaning: What the file should be, for the message: ``"checkpoint"``.
        largest_mib: Larger files are refused before they are read.
        error: Class of what is raised.

    Raises:
        CheckpointError: As `error`: no such file, no regular file, unreadable, empty or too large.
    """
    try:
        if not path.exists():
            raise error(f"{meaning} `{path}` does not exist; {_files_nearby(path)}")
        if not path.is_file():
            kind = "a folder" if path.is_dir() else "a device, pipe or socket"
            raise error(f"{meaning} `{path}` is {kind} (expected a file); {_files_inside(path)}")
        size = path.stat().st_size
        if size > largest_mib << 20:
            raise error(
                f"{meaning} `{path}` has {size >> 20} MiB (expected at most {largest_mib} MiB); "
                "check that it is the right file"
            )
        data = path.read_bytes()
    except OSError as caught:
        reason = caught.strerror or type(caught).__name__
        raise error(
            f"{meaning} `{path}` cannot be read: {reason}; check its permissions and its disk"
        ) from caught
    if not data:
        raise error(f"{meaning} `{path}` is empty (0 bytes); download or copy it again")
    return data


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """Return ``did you mean `x`?``, or, where nothing is near, a list of what exists."""
    known = sorted(names)
    nearest = nearest_name(name, known)
    if nearest is not None:
        return f"did you mean `{nearest}`?"
    if not known:
        return "there are none"
    shown = ", ".join(f"`{each}`" for each in known[:_NAMES_SHOWN])
    more = len(known) - _NAMES_SHOWN
    return f"there are {shown}" + (f" and {more} more" if more > 0 else "")


def nearest_name(name: str, names: Iterable[str]) -> str | None:
    """Return the nearest of `names`, whatever its case, or None if nothing is near."""
    by_lower_case = {each.lower(): each for each in names}
    found = difflib.get_close_matches(name.lower(), by_lower_case, n=1)
    return by_lower_case[found[0]] if found else None


def _files_nearby(path: Path) -> str:
    folder = path.parent
    if not folder.is_dir():
        return f"its folder `{folder}` does not exist either"
    files = sorted(each.name for each in folder.iterdir() if each.is_file())
    return f"in `{folder}`: {did_you_mean(path.name, files)}"


def _files_inside(path: Path) -> str:
    if not path.is_dir():
        return "pass a file"
    files = sorted(each.name for each in path.iterdir() if each.is_file())
    return f"pass one of its files: {did_you_mean('', files)}"


def checkpoint_stem(name: str) -> str:
    """Return the name of a checkpoint without its endings; ``best.pth.tar`` has two."""
    for ending in _CHECKPOINT_ENDINGS:
        name = name.removesuffix(ending)
    return name or "model"
