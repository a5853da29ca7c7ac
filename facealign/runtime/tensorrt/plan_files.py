"""Reading and writing the two files of a plan: no links, all or nothing."""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from facealign.errors import IntegrityError, OutputError

__all__ = ["check_folder", "read_plain", "remove", "write_all"]


def read_plain(path: Path, *, max_bytes: int) -> bytes:
    """Return a plain file, at most `max_bytes` + 1 of it.

    Raises:
        IntegrityError: If it is missing, a link or anything else, or cannot be read.
    """
    try:
        with open(path, "rb", opener=_open_plain) as file:  # Path.open has no opener
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise IntegrityError(f"`{path}` is not a plain file; run `facealign build` again")
            return file.read(max_bytes + 1)
    except OSError as error:
        what = "is a link" if path.is_symlink() else f"cannot be read: {error.strerror}"
        raise IntegrityError(f"`{path}` {what}; run `facealign build` again") from error


def _open_plain(path: str, flags: int) -> int:
    # A pipe would block for ever and a link could point anywhere, but for these.
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOFOLLOW", 0))


def check_folder(folder: Path) -> None:
    """Make `folder` and check that files can be written to it, before minutes depend on that.

    Raises:
        OutputError: If not, with the system's reason.
    """
    try:
        folder.mkdir(exist_ok=True)
        # Made and removed: permission bits tell neither of read-only disks nor of what root may do.
        tempfile.TemporaryDirectory(prefix=".facealign-", dir=folder).cleanup()
    except OSError as error:
        raise OutputError(_cannot_write(folder, error)) from error


def write_all(files: Mapping[Path, bytes]) -> None:
    """Write files that belong together; each appears whole, and none if one cannot be written.

    Raises:
        OutputError: If one cannot be written.
    """
    token = secrets.token_hex(4)
    partials = {path: path.with_name(f".{path.name}.{token}.partial") for path in files}
    path = next(iter(files))
    try:
        for path, data in files.items():  # the message names it
            _write_synced(partials[path], data)
        _put_in_place(partials)
    except OSError as error:
        raise OutputError(_cannot_write(path, error)) from error
    finally:
        remove(partials.values())


def _write_synced(path: Path, data: bytes) -> None:
    with path.open("xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _put_in_place(partials: Mapping[Path, Path]) -> None:
    """Rename all; where one fails, or Ctrl-C falls between two, neither old nor new are left.

    A plan beside the sidecar of another would be refused as tampered with.
    """
    try:
        for path, partial in partials.items():
            partial.replace(path)
    except BaseException:
        remove(partials)
        raise
    _sync_folder(next(iter(partials)).parent)


def _sync_folder(folder: Path) -> None:
    """Make the names survive a power cut, where the system can."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def remove(paths: Iterable[Path]) -> None:
    """Remove what is there of some files."""
    for path in paths:
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)


def _cannot_write(path: Path, error: OSError) -> str:
    return (
        f"cannot write `{path}`: {error.strerror or error}; no plan was written. Make room, or "
        "copy the bundle to where it can be written"
    )
