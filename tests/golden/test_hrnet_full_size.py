"""HRNet-W18 heat maps at full size: the authors' keys, and the graph against the module."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from make_checkpoint import recipe_state_dict
from numpy.typing import NDArray

from facealign.export.graph import graph_from_bytes, node_counts, parameter_count
from facealign.export.lint import contract_problems
from facealign.models.checkpoint import Checkpoint
from facealign.models.detect import detect
from facealign.models.families.hrnet.hyperparameters import HrnetFacialHyperparameters
from facealign.models.families.hrnet.network import HrnetFacial
from facealign.models.load import Model, assemble
from facealign.pipeline.contents import contract
from facealign.runtime.ort_engine import run_graph
from tests.conformance.tiny import traced_bytes

SIZE_PX = 256
GRAPH_PX = 0.01  # measured 0 px: all landmarks that are decided, batches of 1 and 2
SCORE = 1e-5  # of the largest; measured 1.2e-6
LARGEST_UNDECIDED_SHARE = 0.1  # measured 0.051
LARGEST_NODE_COUNT = 820  # measured 797
KEYS = json.loads((Path(__file__).parent / "keys" / "hrnet_w18_wflw.json").read_text())
FORBIDDEN = {"NonZero", "GatherND", "ScatterND", "If", "Shape", "Expand"}

pytestmark = pytest.mark.timeout(900)  # a trace of full size, on a busy machine


@pytest.fixture(scope="module")
def checkpoint() -> Checkpoint:
    state_dict = recipe_state_dict(HrnetFacial(HrnetFacialHyperparameters.published()))
    digest = hashlib.sha256(b"recipe").hexdigest()
    return Checkpoint(Path("HR18-WFLW.pth"), digest, state_dict, wrapper=None, prefix="")


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


def test_checkpoint_of_the_authors_keys_is_recognised() -> None:
    shapes = {key: tuple(facts["shape"]) for key, facts in KEYS.items()}

    detection = detect(shapes)

    assert detection.family.name == "hrnet"
    assert detection.hyperparameters == HrnetFacialHyperparameters.published()


def test_network_has_the_keys_and_shapes_of_the_authors(checkpoint: Checkpoint) -> None:
    shapes = {key: list(shape) for key, shape in checkpoint.shapes.items()}

    assert shapes == {key: facts["shape"] for key, facts in KEYS.items()}


def test_landmarks_of_the_module_are_mostly_decided_and_differ(
    points: dict[str, NDArray[np.float32]],
) -> None:
    moves = np.linalg.norm(points["landmarks"][0] - points["landmarks"][1], axis=-1) * SIZE_PX

    assert points["undecided"].mean() <= LARGEST_UNDECIDED_SHARE
    assert moves.mean() > 1  # measured 33 px


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
def test_graph_is_small_and_standard(graph: bytes, model: Model) -> None:
    traced = graph_from_bytes(graph)
    learned = sum(parameter.numel() for parameter in model.network.parameters())

    assert len(traced.graph) <= LARGEST_NODE_COUNT
    assert FORBIDDEN.isdisjoint(node_counts(traced))
    assert parameter_count(traced) < 1.06 * learned
