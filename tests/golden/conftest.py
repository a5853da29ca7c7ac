"""Full-size SLPT of recipe weights, compiled once per run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import make_checkpoint
import numpy as np
import pytest
import recipe
from numpy.typing import NDArray

from facealign.models.load import Model
from facealign.pipeline.compile import Compiled, CompileRequest, compile_checkpoint, load_model

HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class FullSize:
    """What compiling one full-size checkpoint gave, and its graph as bytes."""

    checkpoint: Path
    compiled: Compiled
    graph: bytes


@pytest.fixture(scope="session")
def recipe_crops() -> NDArray[np.uint8]:
    """Return the two pictures that the authors' code was run on, ``(2, 256, 256, 3)``."""
    return np.stack([recipe.image(0), recipe.image(1)])


@pytest.fixture(scope="session")
def authors_landmarks() -> dict[str, NDArray[np.float32]]:
    """Return what the authors' code gave for them: ``stage1`` to ``stage3``, each (2, 98, 2)."""
    with np.load(HERE / "slpt_98_dec6.npz") as file:
        return {name: file[name] for name in file.files}


@pytest.fixture(scope="session")
def slpt_6_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _checkpoint(tmp_path_factory.mktemp("slpt_6"), layers="6")


@pytest.fixture(scope="session")
def slpt_6_model(slpt_6_file: Path) -> Model:
    """Return the reference network; nothing is traced."""
    _, model = load_model(slpt_6_file, assets=_assets(slpt_6_file))
    return model


@pytest.fixture(scope="session")
def slpt_6(slpt_6_file: Path) -> FullSize:
    return _compiled(slpt_6_file)


@pytest.fixture(scope="session")
def slpt_12(tmp_path_factory: pytest.TempPathFactory) -> FullSize:
    return _compiled(_checkpoint(tmp_path_factory.mktemp("slpt_12"), layers="12"))


def _checkpoint(folder: Path, *, layers: str) -> Path:
    path = folder / "slpt.safetensors"
    make_checkpoint.main([str(path), "--layers", layers])
    return path


def _compiled(checkpoint: Path) -> FullSize:
    folder = checkpoint.with_name("slpt.facealign")
    compiled = compile_checkpoint(
        CompileRequest(checkpoint, folder, assets=_assets(checkpoint))
    )
    return FullSize(checkpoint, compiled, (compiled.folder / "model.fp32.onnx").read_bytes())


def _assets(checkpoint: Path) -> tuple[str, ...]:
    return (f"mean-shape={checkpoint.with_name('mean_shape.npy')}",)
