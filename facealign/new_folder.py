"""What folders that appear whole or not at all have in common: data sets and bundles."""

from __future__ import annotations

import contextlib
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

from facealign.errors import OutputError

__all__ = ["hidden_sibling", "names_in"]


@contextlib.contextmanager
def hidden_sibling(folder: Path) -> Iterator[Path]:
    """Yield a new folder beside `folder`, and remove what is left of it whatever happens."""
    partial = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}.partial")
    try:
        partial.mkdir()
        yield partial
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def names_in(folder: Path) -> set[str]:
    """Return the names in `folder`; none if it is not there yet.

    Raises:
        OutputError: If it is a file or below one, or cannot be looked into.
    """
    try:
        return {path.name for path in folder.iterdir()}
    except FileNotFoundError:
        return set()
    except NotADirectoryError:
        raise OutputError(f"`{folder}` is a file, or below one; choose another folder") from None
    except OSError as error:
        raise OutputError(
            f"cannot look into `{folder}`: {error.strerror}; choose another folder"
        ) from error
