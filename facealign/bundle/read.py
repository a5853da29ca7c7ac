"""Read a bundle strictly: what is used is what was checked, and a changed byte is refused."""

from __future__ import annotations

import hashlib
import os
import stat
from dataclasses import dataclass
from pathlib import Path

from facealign.bundle.golden import Golden, golden_from_files
from facealign.bundle.manifest import CHECKSUM_NAME, MANIFEST_NAME, Manifest, manifest_from_json
from facealign.errors import IntegrityError, UsageError

__all__ = ["Bundle", "checksum_line", "read_bundle"]

_MAX_MANIFEST_BYTES = 16 * 2**20  # a manifest is some kB; this bounds what a forged one may cost


@dataclass(frozen=True, slots=True)
class Bundle:
    """A folder whose manifest has been checked."""

    folder: Path
    manifest: Manifest

    def read_file(self, name: str) -> bytes:
        """Return a file that the manifest lists, checked again as it is read.

        The bytes that are hashed are the bytes that are returned, so a file that is exchanged
        after `read_bundle` is refused too.

        Raises:
            UsageError: If the manifest does not list `name`; nothing else is ever read.
            IntegrityError: If the file is missing, a link, or not what the manifest says.
        """
        entry = self.manifest.files.get(name)
        if entry is None:
            listed = ", ".join(sorted(self.manifest.files))
            raise UsageError(f"the bundle has no file `{name}`; it has {listed}")
        data = _read_plain(self.folder, name, max_bytes=entry.size)
        if len(data) != entry.size or hashlib.sha256(data).hexdigest() != entry.sha256:
            raise IntegrityError(_changed(self.folder, name))
        return data

    def golden(self) -> Golden:
        """Return the inputs of the self-test and the landmarks they must give.

        Raises:
            IntegrityError: If the arrays do not fit the manifest or each other.
        """
        golden = golden_from_files(self.read_file, self.manifest.golden)
        size_px, count = self.manifest.crop.size_px, self.manifest.landmark_count
        if golden.crops.shape[1:3] != (size_px, size_px) or golden.landmarks.shape[1] != count:
            raise IntegrityError(
                f"golden crops {golden.crops.shape} and landmarks {golden.landmarks.shape} do not "
                f"fit crops of {size_px} px and {count} landmarks; compile again"
            )
        return golden


def read_bundle(folder: Path | str) -> Bundle:
    """Return the bundle in `folder`, after every file of it has been checked.

    Files that the manifest does not list are never read.

    A folder that is no bundle at all is a `UsageError`.

    Raises:
        IntegrityError: If a file is missing, changed, a link or not a plain file, or if the
            manifest is malformed or from a newer facealign.
    """
    folder = Path(folder)
    _check_is_bundle(folder)
    data = _read_plain(folder, MANIFEST_NAME, max_bytes=_MAX_MANIFEST_BYTES)
    checksum = _read_plain(folder, CHECKSUM_NAME, max_bytes=len(checksum_line(b"")))
    if checksum != checksum_line(data):
        raise IntegrityError(_changed(folder, MANIFEST_NAME))
    bundle = Bundle(folder, manifest_from_json(data))
    for name in sorted(bundle.manifest.files):
        bundle.read_file(name)
    return bundle


def checksum_line(manifest_json: bytes) -> bytes:
    """Return what `manifest.sha256` holds, as ``sha256sum -c`` reads it."""
    return f"{hashlib.sha256(manifest_json).hexdigest()}  {MANIFEST_NAME}\n".encode()


def _check_is_bundle(folder: Path) -> None:
    advice = "compile one with `facealign export CHECKPOINT`"
    if not folder.exists():
        raise UsageError(f"there is no bundle at `{folder}`; {advice}")
    if not folder.is_dir():
        raise UsageError(f"`{folder}` is a file and a bundle is a folder; {advice}")
    if not os.path.lexists(folder / MANIFEST_NAME) and not os.path.lexists(folder / CHECKSUM_NAME):
        raise UsageError(f"`{folder}` is not a bundle, it has no `{MANIFEST_NAME}`; {advice}")


def _read_plain(folder: Path, name: str, *, max_bytes: int) -> bytes:
    """Return a plain file that is reached through plain folders, at most `max_bytes` + 1 of it.

    Raises:
        IntegrityError: If it cannot be read, or is anything but a plain file.
    """
    _check_no_link(folder, name)
    # A pipe would block for ever and a link made after the check would be followed, but for these.
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOFOLLOW", 0)
    try:
        descriptor = os.open(folder / name, flags | getattr(os, "O_BINARY", 0))
        with os.fdopen(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise IntegrityError(
                    f"`{folder / name}` is not a plain file; copy the bundle again"
                )
            return file.read(max_bytes + 1)
    except OSError as error:
        raise IntegrityError(
            f"cannot read `{folder / name}`: {error.strerror}; copy the bundle again"
        ) from error


def _check_no_link(folder: Path, name: str) -> None:
    path = folder
    for part in name.split("/"):
        path /= part
        if path.is_symlink():
            raise IntegrityError(
                f"`{path}` is a link, and a bundle has none; copy what it points to in its place"
            )


def _changed(folder: Path, name: str) -> str:
    return (
        f"`{folder / name}` is not what the bundle was made with (size or SHA-256 differs); "
        "copy the bundle again, or compile it again"
    )
