"""What the tests of an evaluation share."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from facealign.bundle import Manifest
from tests.unit.evaluation_data import write_faces, write_two_graphs

SHIFT_NORM = 0.01


@pytest.fixture
def two_graphs(tmp_path: Path, tiny_manifest: Manifest, tiny_files: dict[str, bytes]) -> Path:
    """Return a bundle whose ``int8`` finds landmarks 0.01 of the crop, 0.16 px, further right."""
    return write_two_graphs(
        tmp_path / "two.bundle", tiny_manifest, tiny_files, shift_norm=SHIFT_NORM
    )


@pytest.fixture
def faces(tmp_path: Path, two_graphs: Path, frame: NDArray[np.uint8]) -> Path:
    """Return a WFLW of 12 faces in two images."""
    return write_faces(tmp_path / "faces", two_graphs, frame)


@pytest.fixture
def boxed(tmp_path: Path, faces: Path) -> Path:
    """Return a folder of one of these images with two boxes, and no labels."""
    folder = tmp_path / "boxed"
    folder.mkdir()
    (folder / "a.png").write_bytes((faces / "WFLW_images" / "a.png").read_bytes())
    (folder / "boxes.csv").write_text("image,x,y,w,h\na.png,5.5,4,65,62\na.png,25,16,65,62\n")
    return folder
