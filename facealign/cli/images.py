"""Which images a source has, and what their results are called."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from facealign.datasets import IMAGE_ENDINGS
from facealign.errors import InputError

__all__ = ["OVERLAY_ENDING", "image_paths", "result_names"]

OVERLAY_ENDING = ".landmarks.png"


def image_paths(source: Path) -> list[Path]:
    """Return the images of a folder in order of their names, or `source` itself.

    Overlays of an earlier run are no images.

    Raises:
        InputError: If the folder has no images, or cannot be looked into.
    """
    if not source.is_dir():
        return [source]
    try:
        paths = sorted(path for path in source.iterdir() if _is_image(path))
    except OSError as error:
        raise InputError(
            f"cannot look into folder `{source}`: {error.strerror}; check its permissions"
        ) from error
    if not paths:
        raise InputError(
            f"folder `{source}` has no images (endings {', '.join(IMAGE_ENDINGS)}); check the path"
        )
    return paths


def _is_image(path: Path) -> bool:
    name = path.name.lower()
    return name.endswith(IMAGE_ENDINGS) and not name.endswith(OVERLAY_ENDING) and not path.is_dir()


def result_names(paths: Sequence[Path]) -> list[str]:
    """Return the name of each image's results: its stem, or the whole name where stems coincide.

    Stems that differ in case only coincide, as some file systems do not tell them apart.
    """
    counts = Counter(path.stem.casefold() for path in paths)
    return [path.stem if counts[path.stem.casefold()] == 1 else path.name for path in paths]
