"""A family is one folder: a toy's is put beside the others, and no other file is touched."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from make_checkpoint import recipe_state_dict

from facealign.models import families
from facealign.models.checkpoint import read_checkpoint
from facealign.models.detect import detect
from facealign.models.facts import checkpoint_facts
from facealign.models.family import discover_families
from facealign.pipeline.compile import CompileRequest, compile_checkpoint
from facealign.runtime import open_session

TOY = Path(__file__).parent / "toy_family"
MODULE = f"{families.__name__}.toy"


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Return a folder with a toy's checkpoint, while the toy's folder is a family."""
    shutil.copytree(TOY, tmp_path / "families" / "toy")
    monkeypatch.setattr(families, "__path__", [*families.__path__, str(tmp_path / "families")])
    discover_families.cache_clear()
    toy = next(family for family in discover_families() if family.name == "toy")
    network = toy.build_network(toy.tiny()["toy"], {})
    torch.save(recipe_state_dict(network), tmp_path / "toy.pt")
    yield tmp_path
    discover_families.cache_clear()
    sys.modules.pop(MODULE, None)


def test_family_of_one_added_folder_is_exported_and_run(workspace: Path) -> None:
    compiled = compile_checkpoint(CompileRequest(workspace / "toy.pt", workspace / "toy.bundle"))

    photo = np.random.default_rng(0).integers(0, 256, (60, 80, 3), np.uint8)
    with open_session(compiled.folder) as session:
        landmarks = session.run(photo, [[10, 10, 50, 50], [30, 5, 70, 45]])

    assert compiled.manifest.family == "toy"
    assert landmarks.xy.shape == (2, 5, 2)


def test_family_of_one_added_folder_is_told_apart_and_inspected(workspace: Path) -> None:
    checkpoint = read_checkpoint(workspace / "toy.pt")

    facts = checkpoint_facts(checkpoint, detect(checkpoint.shapes))

    assert (facts["family"], facts["variant"]) == ("toy", "Toy with 5 landmarks")
    assert facts["macs"] == 27 * 10
