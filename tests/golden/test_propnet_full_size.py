"""PropNet at full size: the graph against the module, without its last propagation module."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
from make_checkpoint import recipe_state_dict
from numpy.typing import NDArray

from facealign.export.graph import graph_from_bytes, node_counts, parameter_count
from facealign.export.lint import contract_problems
from facealign.models.checkpoint import Checkpoint
from facealign.models.detect import detect
from facealign.models.families.propnet.hyperparameters import PropNetHyperparameters
from facealign.models.families.propnet.network import PropNet
from facealign.models.load import Model, assemble
from facealign.pipeline.contents import contract
from facealign.runtime.ort_engine import run_graph
from tests.conformance.tiny import traced_bytes

SIZE_PX = 256
GRAPH_PX = 0.01  # measured 0 px: all landmarks that are decided, batches of 1 and 2
SCORE = 1e-4  # of the largest; measured 1.6e-5
LARGEST_UNDECIDED_SHARE = 0.1  # measured 0.031
LARGEST_NODE_COUNT = 1100  # measured 1066
FORBIDDEN = {"NonZero", "GatherND", "ScatterND", "If", "Shape", "Expand"}

pytestmark = pytest.mark.timeout(900)  # a trace of full size, on a busy machine


@pytest.fixture(scope="module")
def checkpoint() -> Checkpoint:
    state_dict = recipe_state_dict(PropNet(PropNetHyperparameters.published()))
    digest = hashlib.sha256(b"recipe").hexdigest()
    return Checkpoint(Path("propnet.pth"), digest, state_dict, wrapper=None, prefix="")


@pytest.fixture(scope="module")
def model(checkpoint: Checkpoint) -> Model:
    return assemble(checkpoint, detect(checkpoint.shapes), {})


@pytest.fixture(scope="module")
def graph(model: Model, checkpoint: Checkpoint) -> bytes:
    return traced_bytes(model, checkpoint)


@pytest.fixture(scope="module")
def points(model: Model, recipe_crops: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
    return model.points(recipe_crops)


def distance_px(
    landmarks: NDArray[np.float32], points: dict[str, NDArray[np.float32]]
) -> NDArray[np.float32]:
    """Return the distance of every landmark that is decided."""
    distance = np.linalg.norm(landmarks - points["landmarks"], axis=-1) * SIZE_PX
    return np.asarray(distance[~points["undecided"].astype(bool)])


def test_checkpoint_is_recognised_without_what_only_a_training_needs(
    checkpoint: Checkpoint,
) -> None:
    shapes = {
        key: shape
        for key, shape in checkpoint.shapes.items()
        if not key.startswith("last_propagation.") and not key.endswith(".filt")
    }

    detection = detect(shapes)

    assert detection.family.name == "propnet"
    assert detection.hyperparameters == PropNetHyperparameters.published()


def test_landmarks_of_the_module_are_mostly_decided_and_differ(
    points: dict[str, NDArray[np.float32]],
) -> None:
    moves = np.linalg.norm(points["landmarks"][0] - points["landmarks"][1], axis=-1) * SIZE_PX

    assert points["undecided"].mean() <= LARGEST_UNDECIDED_SHARE
    assert moves.mean() > 1  # measured 9 px


@pytest.mark.slow
def test_graph_gives_landmarks_of_module_one_by_one(
    graph: bytes, recipe_crops: NDArray[np.uint8], points: dict[str, NDArray[np.float32]]
) -> None:
    landmarks = np.concatenate([run_graph(graph, crop[None])["landmarks"] for crop in recipe_crops])

    assert distance_px(landmarks, points).max() <= GRAPH_PX


@pytest.mark.slow
def test_graph_gives_landmarks_and_scores_of_module_in_one_batch(
    graph: bytes, recipe_crops: NDArray[np.uint8], points: dict[str, NDArray[np.float32]]
) -> None:
    found = run_graph(graph, recipe_crops)

    assert distance_px(found["landmarks"], points).max() <= GRAPH_PX
    deviation = np.abs(found["score"] - points["score"]).max() / np.abs(points["score"]).max()
    assert deviation <= SCORE


@pytest.mark.slow
def test_graph_holds_contract(graph: bytes, model: Model) -> None:
    assert contract_problems(graph_from_bytes(graph), *contract(model)) == []


@pytest.mark.slow
def test_graph_is_standard_and_has_no_last_propagation_module(graph: bytes, model: Model) -> None:
    traced = graph_from_bytes(graph)
    last = model.network.get_submodule("last_propagation")
    pruned = sum(parameter.numel() for parameter in last.parameters())
    learned = sum(parameter.numel() for parameter in model.network.parameters()) - pruned

    assert len(traced.graph) <= LARGEST_NODE_COUNT
    assert FORBIDDEN.isdisjoint(node_counts(traced))
    assert parameter_count(traced) < 1.2 * learned  # measured 1.16: the maps of the positions
