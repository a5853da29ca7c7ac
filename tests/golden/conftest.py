"""The crops of the recipe, and full-size SLPT of recipe weights, compiled once per run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import make_checkpoint
import numpy as np
import pytest
import recipe
from numpy.typing import NDArray

from facealign.bundle import read_bundle
from facealign.export.crops import parity_crops
from facealign.models.load import Model
from facealign.pipeline.compile import Compiled, CompileRequest, compile_checkpoint, load_model
from tests.golden.full_size import GOLDEN, Points, forget_networks, points_from_file
from tests.reference import REFERENCE


@pytest.fixture(scope="module", autouse=True)
def _forget_networks() -> Iterator[None]:
    """Keep no network longer than the tests of its file."""
    yield
    forget_networks()


@pytest.fixture(scope="session")
def recipe_crops() -> NDArray[np.uint8]:
    """Return the two pictures that the authors' code was run on, ``(2, 256, 256, 3)``."""
    return np.stack([recipe.image(0), recipe.image(1)])


@pytest.fixture(scope="session")
def authors_landmarks() -> Points:
    """Return what the authors' code gave for them: ``stage1`` to ``stage3``, each (2, 98, 2)."""
    return points_from_file(GOLDEN / "slpt_98_dec6.npz")


@pytest.fixture(scope="session")
def slpt_6_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a checkpoint with ``mean_shape.npy`` beside it."""
    return _checkpoint(tmp_path_factory.mktemp("slpt_6"))


@pytest.fixture(scope="session")
def slpt_6(slpt_6_file: Path) -> Model:
    return _model(slpt_6_file, slpt_6_file.with_name("mean_shape.npy"))


@pytest.fixture(scope="session")
def slpt_6_authors_mean_shape(slpt_6_file: Path) -> Model:
    return _model(slpt_6_file, REFERENCE / "data" / "init_98.npz")


@pytest.fixture(scope="session")
def slpt_6_compiled(slpt_6_file: Path) -> Compiled:
    return _compiled(slpt_6_file)


@pytest.fixture(scope="session")
def slpt_6_graph(slpt_6_compiled: Compiled) -> bytes:
    return read_bundle(slpt_6_compiled.folder).read_file("model.fp32.onnx")


def _checkpoint(folder: Path) -> Path:
    path = folder / "slpt.safetensors"
    make_checkpoint.main([str(path), "--model", "slpt_98_dec6"])
    return path


def _model(checkpoint: Path, mean_shape: Path) -> Model:
    _, model = load_model(checkpoint, assets=(f"mean-shape={mean_shape}",))
    return model


def _compiled(checkpoint: Path) -> Compiled:
    mean_shape = checkpoint.with_name("mean_shape.npy")
    with pytest.MonkeyPatch.context() as patch:
        # All 72 take 40 s at this size; the demo is verified on them.
        patch.setattr(
            "facealign.pipeline.verify.parity_crops", lambda size: parity_crops(size)[::3]
        )
        return compile_checkpoint(
            CompileRequest(
                checkpoint=checkpoint,
                folder=checkpoint.with_name("slpt.bundle"),
                assets=(f"mean-shape={mean_shape}",),
            )
        )
