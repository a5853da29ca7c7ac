"""Write a bundle so that, whatever happens, there is a whole one or none."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
from collections.abc import Mapping
from pathlib import Path

import msgspec

from facealign.bundle.manifest import (
    CHECKSUM_NAME,
    MANIFEST_NAME,
    FileEntry,
    Manifest,
    json_from_manifest,
    manifest_from_json,
)
from facealign.bundle.read import checksum_line
from facealign.errors import IntegrityError, OutputError
from facealign.new_folder import hidden_sibling, names_in

__all__ = ["check_replaceable", "write_bundle", "write_folder"]


def write_bundle(folder: Path, manifest: Manifest, files: Mapping[str, bytes]) -> Path:
    """Write a bundle atomically and return its folder.

    Everything goes to a hidden folder beside `folder` first, which is then renamed. On any error,
    and on Ctrl-C, the hidden folder is removed and what was at `folder` is still there. A bundle
    that is replaced goes as a whole, with files of other origin that lay in it.

    Args:
        folder: Where the bundle will be: nothing, an empty folder or an older bundle.
        manifest: Its `files` are filled in here, from `files`.
        files: From name, such as ``golden/crops.npy``, to content.

    Raises:
        OutputError: If `folder` holds something else, or cannot be written.
        ValueError: If `read_bundle` would refuse what is asked for.
    """
    folder = Path(os.path.realpath(folder))
    check_replaceable(folder)
    entries = {name: _entry(data) for name, data in sorted(files.items())}
    manifest_json = json_from_manifest(msgspec.structs.replace(manifest, files=entries))
    try:
        manifest_from_json(manifest_json)
    except IntegrityError as error:
        raise ValueError(f"cannot be a bundle: {error}") from error
    own = {MANIFEST_NAME: manifest_json, CHECKSUM_NAME: checksum_line(manifest_json)}
    write_folder(folder, {**files, **own}, what="the bundle")
    return folder


def write_folder(folder: Path, files: Mapping[str, bytes], *, what: str) -> None:
    """Write a folder by rename; what was there before goes as a whole, or stays on any error.

    Raises:
        OutputError: If it cannot be written; says `what` cannot.
    """
    folder = Path(os.path.realpath(folder))  # a link stays, what it points to is replaced
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with hidden_sibling(folder) as partial:
            _write_files(partial, files)
            _put_in_place(partial, folder)
    except OSError as error:
        raise OutputError(
            f"cannot write {what} `{folder}`: {error.strerror or error}; nothing was changed"
        ) from error


def check_replaceable(folder: Path) -> None:
    """Check that a bundle may be written to `folder`, before hours of work depend on it.

    Raises:
        OutputError: If there is something that is neither an empty folder nor a bundle.
    """
    names = names_in(folder)
    if names and not {MANIFEST_NAME, CHECKSUM_NAME} <= names:
        raise OutputError(
            f"`{folder}` is not empty and not a bundle, so it is left alone; "
            "choose another folder, or empty it"
        )


def _entry(data: bytes) -> FileEntry:
    return FileEntry(sha256=hashlib.sha256(data).hexdigest(), size=len(data))


def _write_files(folder: Path, files: Mapping[str, bytes]) -> None:
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    for parent in {(folder / name).parent for name in files}:
        _sync_folder(parent)


def _put_in_place(partial: Path, folder: Path) -> None:
    """Rename `partial` to `folder`; what was there steps aside first and comes back on failure."""
    old = partial.with_suffix(".old")
    try:
        if folder.exists():
            folder.rename(old)
        partial.rename(folder)
    finally:
        if old.exists() and not folder.exists():
            old.rename(folder)
        shutil.rmtree(old, ignore_errors=True)
    _sync_folder(folder.parent)


def _sync_folder(folder: Path) -> None:
    """Make the names in `folder` survive a power cut, where the system can."""
    with contextlib.suppress(
        OSError
    ):  # Windows cannot open a folder, some file systems cannot sync
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
