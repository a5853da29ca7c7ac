"""Small system files as text: read whole or not at all, whatever is in them."""

from __future__ import annotations

from pathlib import Path

__all__ = ["ROOT", "line_from_file", "number_from_file", "text_from_file"]

ROOT = Path("/")
_MAX_BYTES = 2**20  # /proc/cpuinfo of a server with hundreds of cores has a third of that


def text_from_file(path: Path, *, max_bytes: int = _MAX_BYTES) -> str:
    """Return the beginning of a file as text; empty if it cannot be read.

    Bytes that are no UTF-8 become replacement characters: a broken file must not stop a diagnosis.
    """
    try:
        with path.open("rb") as file:
            return file.read(max_bytes).decode("utf-8", "replace")
    except (OSError, ValueError):  # a path with a NUL is a ValueError
        return ""


def line_from_file(path: Path) -> str | None:
    """Return the first line without what cannot be printed; a device tree ends texts by NUL."""
    lines = text_from_file(path, max_bytes=4096).splitlines()
    line = "".join(character for character in lines[0] if character.isprintable()) if lines else ""
    return line.strip() or None


def number_from_file(path: Path) -> int | None:
    """Return the number that is all of a file, such as one below ``/sys``."""
    text = text_from_file(path, max_bytes=64).strip()
    return int(text) if text.isascii() and text.isdecimal() else None
