"""Files that are often saved under a checkpoint's name, told by their first bytes."""

from __future__ import annotations

from facealign.errors import CheckpointError

__all__ = ["check_no_other_format", "kind_of_bytes"]

_TAR_MAGIC = b"ustar"
_NUL = b"\0"
_KNOWN_STARTS = (
    (b"version https://git-lfs", "a git-lfs pointer", "run `git lfs pull`"),
    (b"<!doctype html", "an HTML page", "download the file itself; the link needs a log-in"),
    (b"<html", "an HTML page", "download the file itself; the link needs a log-in"),
    (b"<?xml", "an XML document", "download the file itself; this is often an error page"),
    (b"\x89png\r\n", "a PNG image", "pass the checkpoint"),
    (b"\xff\xd8\xff", "a JPEG image", "pass the checkpoint"),
    (b"%pdf", "a PDF document", "pass the checkpoint"),
    (b"\x89hdf", "an HDF5 file", "convert it to a PyTorch state dict"),
    (b"\x93numpy", "a NumPy array", "pass the checkpoint; an array is an `--asset`"),
    (b"\x1f\x8b", "a gzip archive", "unpack it first"),
    (b"\xfd7zxz", "an xz archive", "unpack it first"),
    (b"7z\xbc\xaf", "a 7z archive", "unpack it first"),
    (b"rar!", "a RAR archive", "unpack it first"),
)


def check_no_other_format(data: bytes, *, name: str) -> None:
    """Raise if a file is of a known format that is no checkpoint.

    Raises:
        CheckpointError: If it is; the text names the format and what to do with it.
    """
    start = data[:64].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    for known, what, advice in _KNOWN_STARTS:
        if start.startswith(known):
            raise CheckpointError(f"`{name}` is {what} (expected a checkpoint); {advice}")
    if data[257:262] == _TAR_MAGIC:
        raise CheckpointError(
            f"`{name}` is a tar archive (expected a checkpoint); unpack it first, "
            "then pass the file inside"
        )


def kind_of_bytes(data: bytes) -> str:
    """Return ``a text file`` or ``a binary file of an unknown kind``."""
    return "a binary file of an unknown kind" if _NUL in data[:4096] else "a text file"
