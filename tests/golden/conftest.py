"""Full-size SLPT of recipe weights, made and traced once per run."""

from __future__ import annotations

from pathlib import Path

import make_checkpoint
import numpy as np
import pytest
import recipe
from numpy.typing import NDArray

from facealign.export.graph import bytes_from_graph, finish_graph
from facealign.export.passes.simplify import simplify
from facealign.export.trace import trace
from facealign.models.load import Model
from facealign.pipeline.compile import load_model
from tests.reference import REFERENCE

HERE = Path(__file__).parent


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
    """Return a checkpoint with ``mean_shape.npy`` beside it."""
    return _checkpoint(tmp_path_factory.mktemp("slpt_6"), layers="6")


@pytest.fixture(scope="session")
def slpt_6(slpt_6_file: Path) -> Model:
    return _model(slpt_6_file, slpt_6_file.with_name("mean_shape.npy"))


@pytest.fixture(scope="session")
def slpt_12(tmp_path_factory: pytest.TempPathFactory) -> Model:
    path = _checkpoint(tmp_path_factory.mktemp("slpt_12"), layers="12")
    return _model(path, path.with_name("mean_shape.npy"))


@pytest.fixture(scope="session")
def slpt_6_authors_mean_shape(slpt_6_file: Path) -> Model:
    return _model(slpt_6_file, REFERENCE / "data" / "init_98.npz")


@pytest.fixture(scope="session")
def slpt_6_graph(slpt_6: Model) -> bytes:
    return _graph(slpt_6)


@pytest.fixture(scope="session")
def slpt_12_graph(slpt_12: Model) -> bytes:
    return _graph(slpt_12)


def _checkpoint(folder: Path, *, layers: str) -> Path:
    path = folder / "slpt.safetensors"
    make_checkpoint.main([str(path), "--layers", layers])
    return path


def _model(checkpoint: Path, mean_shape: Path) -> Model:
    _, model = load_model(checkpoint, assets=(f"mean-shape={mean_shape}",))
    return model


def _graph(model: Model) -> bytes:
    """Return the ONNX file; as the pipeline makes it."""
    traced = trace(model.exportable, size_px=model.crop.size_px, output_names=model.output_names)
    graph = finish_graph(
        simplify(traced, outputs=("landmarks",)),
        metadata={"facealign_version": "test", "family": model.family.name},
    )
    return bytes_from_graph(graph)
