"""The full-size networks with recipe weights, their graphs, and how far their points may be off.

A name is that of a list of keys, such as ``spiga_98``.
"""

from __future__ import annotations

import gc
import hashlib
from collections.abc import Mapping
from functools import cache, lru_cache
from pathlib import Path

import make_checkpoint
import numpy as np
import recipe
from numpy.typing import NDArray

from facealign.bundle import npy_from_array
from facealign.models.checkpoint import Checkpoint
from facealign.models.landmark_graph import graph_from_edges
from facealign.models.load import Asset, Model, assemble
from tests.conformance.tiny import traced_bytes

__all__ = [
    "GOLDEN",
    "SIZE_PX",
    "Points",
    "distance_px",
    "forget_networks",
    "graph_bytes",
    "model_with",
    "points_from_file",
    "recipe_model",
    "relative_deviation",
]

GOLDEN = Path(__file__).parent
SIZE_PX = 256
Points = dict[str, NDArray[np.float32]]


@lru_cache(maxsize=1)
def recipe_model(name: str) -> Model:
    """Return a network with recipe weights and the recipe's side files; the last one is kept."""
    detection = make_checkpoint.model_detection(name)
    count = detection.family.scheme(detection.hyperparameters).landmark_count
    return model_with(
        name,
        {
            "face-model": recipe.face_model(count).astype(np.float32),
            "graph": graph_from_edges(recipe.edges(count), count),
        },
    )


def model_with(name: str, arrays: Mapping[str, NDArray[np.float32]]) -> Model:
    """Return a network with recipe weights and those of the given side files that it needs."""
    detection = make_checkpoint.model_detection(name)
    assets = {
        spec.name: _asset(spec.name, arrays[spec.name])
        for spec in detection.family.assets(detection.hyperparameters)
    }
    return assemble(_checkpoint(name), detection, assets)


@cache
def graph_bytes(name: str) -> bytes:
    """Return the ONNX file of `recipe_model`, by the stages of `compile_checkpoint`."""
    return traced_bytes(recipe_model(name), _checkpoint(name))


def forget_networks() -> None:
    """Free the memory of every network and graph made so far."""
    for made in (recipe_model, graph_bytes, _checkpoint):
        made.cache_clear()
    gc.collect()  # which may be far off, see conftest.py


@lru_cache(maxsize=1)
def _checkpoint(name: str) -> Checkpoint:
    state_dict = make_checkpoint.model_state_dict(name)
    digest = hashlib.sha256(name.encode()).hexdigest()
    return Checkpoint(Path(f"{name}.pt"), digest, state_dict, wrapper=None, prefix="")


def _asset(name: str, array: NDArray[np.float32]) -> Asset:
    return Asset(array, f"{name}.npy", hashlib.sha256(npy_from_array(array)).hexdigest())


def points_from_file(path: Path) -> Points:
    """Return every array of an ``.npz``."""
    with np.load(path) as file:
        return {name: file[name] for name in file.files}


def distance_px(found: NDArray[np.float32], expected: NDArray[np.float32]) -> float:
    """Return the largest distance of two ``(..., 2)`` landmarks, fractions of the crop."""
    return float(np.linalg.norm(found - expected, axis=-1).max()) * SIZE_PX


def relative_deviation(found: NDArray[np.float32], expected: NDArray[np.float32]) -> float:
    """Return the largest deviation, of the largest value."""
    assert found.shape == expected.shape
    return float(np.abs(found - expected).max() / np.abs(expected).max())
