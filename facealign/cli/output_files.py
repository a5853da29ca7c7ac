"""Writing what a command makes: all of it or nothing."""

from __future__ import annotations

import contextlib
import secrets
import tempfile
from collections.abc import Mapping
from pathlib import Path

from facealign.errors import OutputError

__all__ = ["check_writable", "write_files"]


def check_writable(folder: Path) -> None:
    """Check that something can be written beside `folder`, before a minute of work depends on it.

    Raises:
        OutputError: If not, with the system's reason.
    """
    parents = folder.absolute().parents
    existing = next((parent for parent in parents if parent.exists()), folder)  # `/` has no parent
    try:
        # Made and removed: permission bits do not tell of read-only disks, nor of what root may do.
        tempfile.TemporaryDirectory(prefix=".facealign-", dir=existing).cleanup()
    except OSError as error:
        raise OutputError(
            f"cannot write to `{existing}`: {error.strerror}; pass `--output` another folder"
        ) from error


def write_files(files: Mapping[Path, bytes]) -> None:
    """Write files that belong together: each appears whole, and none if one cannot be written.

    Raises:
        OutputError: If one cannot be written.
    """
    partials = {
        path: path.with_name(f".{path.name}.{secrets.token_hex(4)}.partial") for path in files
    }
    path = next(iter(files))
    try:
        for path, data in files.items():  # the message names it
            path.parent.mkdir(parents=True, exist_ok=True)
            partials[path].write_bytes(data)
        for path, partial in partials.items():  # likewise
            partial.replace(path)
    except OSError as error:
        raise OutputError(
            f"cannot write `{path}`: {error.strerror}; pass `--output` another folder"
        ) from error
    finally:
        for partial in partials.values():
            with contextlib.suppress(OSError):
                partial.unlink(missing_ok=True)
