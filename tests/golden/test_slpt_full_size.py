"""SLPT at full size: module and graph against the authors' landmarks, bundle on photographs."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from skimage import data

from facealign.export.graph import graph_from_bytes, node_counts, parameter_count
from facealign.export.lint import contract_problems
from facealign.export.parity_report import PARITY_BAR_PX
from facealign.geometry import crops_from_frame, frame_from_crop, placement_from_boxes
from facealign.models.load import Model
from facealign.pipeline.compile import Compiled
from facealign.runtime import open_session
from facealign.runtime.ort_engine import run_graph
from facealign.spec import contract_input, contract_outputs
from tests.golden.full_size import (
    SIZE_PX,
    Points,
    distance_px,
    points_from_file,
    relative_deviation,
)
from tests.reference import REFERENCE, needs_reference

MODULE_PX = 0.01  # max measured 2.1e-4 px: 3 stages, 2 mean shapes, torch 2.13 on CPU
GRAPH_PX = 0.01  # max measured 1.6e-4 px: 6 and 12 layers, ONNX Runtime 1.31 on CPU
RELATIVE = 1e-4  # of the largest value; max measured 2.2e-6, feature map to stage 3
LARGEST_NODE_COUNT = 1100  # measured 896
LARGEST_FILE_BYTES = 56_000_000  # measured 54.1 million
LEAST_CROP_COUNT = 24  # every third of those of a user's export
SIDE_FRACTION = 4e-5  # of the crop's side, 0.01 px of 256; max measured 2.1e-6
Photograph = tuple[NDArray[np.uint8], list[list[float]]]
FORBIDDEN = {"NonZero", "Loop", "If", "ScatterND", "Einsum"}

pytestmark = pytest.mark.timeout(900)  # a compile of full size, on a busy machine


@pytest.fixture(scope="module")
def points(slpt_6: Model, recipe_crops: NDArray[np.uint8]) -> Points:
    return slpt_6.points(recipe_crops)


@pytest.mark.parametrize("stage", ["stage1", "stage2", "stage3"])
def test_module_gives_landmarks_of_authors(
    points: Points, authors_landmarks: Points, stage: str
) -> None:
    landmarks = points[f"{stage}.landmarks"]

    assert distance_px(landmarks, authors_landmarks[stage]) <= MODULE_PX


def test_module_returns_last_stage(points: Points, authors_landmarks: Points) -> None:
    assert distance_px(points["landmarks"], authors_landmarks["stage3"]) <= MODULE_PX


@pytest.mark.slow
def test_graph_gives_landmarks_of_authors_one_by_one(
    slpt_6_graph: bytes, recipe_crops: NDArray[np.uint8], authors_landmarks: Points
) -> None:
    singles = [run_graph(slpt_6_graph, crop[None])["landmarks"] for crop in recipe_crops]

    assert distance_px(np.concatenate(singles), authors_landmarks["stage3"]) <= GRAPH_PX


@pytest.mark.slow
def test_graph_gives_landmarks_of_authors_in_one_batch(
    slpt_6_graph: bytes, recipe_crops: NDArray[np.uint8], authors_landmarks: Points
) -> None:
    landmarks = run_graph(slpt_6_graph, recipe_crops)["landmarks"]

    assert distance_px(landmarks, authors_landmarks["stage3"]) <= GRAPH_PX


@pytest.mark.slow
def test_graph_holds_contract(slpt_6_graph: bytes) -> None:
    graph = graph_from_bytes(slpt_6_graph)

    problems = contract_problems(graph, contract_input(SIZE_PX), contract_outputs(98))

    assert problems == []


@pytest.mark.slow
def test_graph_is_small_and_standard(slpt_6_graph: bytes) -> None:
    graph = graph_from_bytes(slpt_6_graph)
    operators = node_counts(graph)

    assert len(graph.graph) <= LARGEST_NODE_COUNT
    assert operators["GridSample"] == 3
    assert FORBIDDEN.isdisjoint(operators)
    assert dict(graph.opset_imports) == {"": 19}


@pytest.mark.slow
def test_graph_stores_weights_of_three_stages_once(slpt_6_graph: bytes, slpt_6: Model) -> None:
    learned = sum(parameter.numel() for parameter in slpt_6.network.parameters())

    stored = parameter_count(graph_from_bytes(slpt_6_graph))

    assert len(slpt_6_graph) < LARGEST_FILE_BYTES
    assert stored < 1.05 * learned


@pytest.mark.slow
def test_checkpoint_is_recognised_and_compiled_without_a_flag(slpt_6_compiled: Compiled) -> None:
    compiled = slpt_6_compiled

    assert compiled.manifest.family == "slpt"
    assert compiled.manifest.hyperparameters["layer_count"] == 6
    assert compiled.parity.crop_count >= LEAST_CROP_COUNT
    assert compiled.parity.max_px <= PARITY_BAR_PX
    assert compiled.parity.batch_px <= PARITY_BAR_PX


@pytest.fixture(scope="module")
def authors_points() -> Points:
    return points_from_file(REFERENCE / "golden" / "slpt_98_dec6.npz")


@pytest.fixture(scope="module")
def own_points(slpt_6_authors_mean_shape: Model, recipe_crops: NDArray[np.uint8]) -> Points:
    """Return the module's points with the authors' mean shape, and its projected feature map."""
    model = slpt_6_authors_mean_shape
    found = model.points(recipe_crops)
    with torch.no_grad():
        projected = model.network.get_submodule("backbone.head.3")(
            torch.from_numpy(found["backbone"])
        )
    return {**found, "feature_map": projected.numpy()}


@needs_reference
def test_feature_map_is_that_of_authors(own_points: Points, authors_points: Points) -> None:
    channels = authors_points["feature_map__channels"]

    subset = own_points["feature_map"][0, channels]

    assert relative_deviation(subset, authors_points["feature_map__subset"]) <= RELATIVE


@needs_reference
@pytest.mark.parametrize("moment", ["mean", "std"])
def test_every_channel_of_feature_map_has_moments_of_authors(
    own_points: Points, authors_points: Points, moment: str
) -> None:
    found = getattr(own_points["feature_map"], moment)(axis=(2, 3))

    assert relative_deviation(found, authors_points[f"feature_map__ch_{moment}"]) <= RELATIVE


@needs_reference
@pytest.mark.parametrize(
    ("point", "authors_name"),
    [
        pytest.param("stage1.tokens", "patch_feature0", id="stage1-tokens"),
        pytest.param("stage1.decoded", "decoder_out0_last", id="stage1-decoded"),
        pytest.param("stage2.tokens", "patch_feature1", id="stage2-tokens"),
        pytest.param("stage3.tokens", "patch_feature2", id="stage3-tokens"),
    ],
)
def test_tokens_are_those_of_authors(
    own_points: Points, authors_points: Points, point: str, authors_name: str
) -> None:
    assert relative_deviation(own_points[point][0], authors_points[authors_name]) <= RELATIVE


@needs_reference
@pytest.mark.parametrize(
    ("point", "authors_name"),
    [
        pytest.param("stage1.landmarks", "landmarks0", id="stage1"),
        pytest.param("stage2.landmarks", "landmarks1", id="stage2"),
        pytest.param("stage3.landmarks", "landmarks2", id="stage3"),
    ],
)
def test_landmarks_with_authors_mean_shape_are_those_of_authors(
    own_points: Points, authors_points: Points, point: str, authors_name: str
) -> None:
    last_layer = authors_points[authors_name][:, -1]

    assert distance_px(own_points[point], last_layer) <= MODULE_PX


@pytest.fixture
def astronaut() -> Photograph:
    """Return Eileen Collins (NASA, public domain): her face, and two boxes across the border."""
    frame = np.ascontiguousarray(data.astronaut()[..., ::-1])  # type: ignore[no-untyped-call]  # it has no types
    return frame, [[176, 66, 272, 180], [-40, -30, 120, 160], [400, 380, 560, 540]]


@pytest.fixture
def sports_fan() -> Photograph:
    frame = cv2.imread(str(REFERENCE / "data" / "image_sportsfan.jpg"))
    x, y, width, height = json.loads((REFERENCE / "data" / "bbox_sportsfan.json").read_text())[
        "bbox"
    ]
    return np.asarray(frame, np.uint8), [[x, y, x + width, y + height]]


@pytest.mark.slow
@pytest.mark.parametrize(
    "photograph", ["astronaut", pytest.param("sports_fan", marks=needs_reference)]
)
def test_session_gives_landmarks_of_module_on_a_photograph(
    photograph: str, slpt_6_compiled: Compiled, slpt_6: Model, request: pytest.FixtureRequest
) -> None:
    frame, boxes = request.getfixturevalue(photograph)
    placement = placement_from_boxes(np.array(boxes, float), slpt_6.crop.from_box)
    crops = crops_from_frame(frame, placement, slpt_6.crop)
    expected = frame_from_crop(slpt_6.landmarks(crops), placement)

    with open_session(slpt_6_compiled.folder) as session:
        landmarks = session.run(frame, boxes)

    distance = np.linalg.norm(landmarks.xy - expected, axis=-1) / placement.side[:, None]
    assert distance.max() <= SIDE_FRACTION
    assert landmarks.scheme == "wflw98"
