"""SCC: its three forms are found by their keys, folded as they were, and described."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from make_checkpoint import model_detection
from torch import Tensor

from facealign.errors import StateDictError
from facealign.models.detect import detect
from facealign.models.families.scc import FAMILY
from facealign.models.families.scc.hyperparameters import SccHyperparameters
from facealign.models.families.scc.network import Scc
from tests.unit.models.families.exportable import exportable_points, point_deviations
from tests.unit.models.networks import shapes_of, tiny_network

RELATIVE = 1e-5  # of the largest value; max measured 8.8e-7, seeds 20 to 24
FORMS = ("scc", "biased", "weighted")
PUBLISHED_PARAMETERS = 24_678_260  # SPEC 1: without the classifier of the backbone
each_form = pytest.mark.parametrize("form", FORMS)


def tiny(form: str) -> SccHyperparameters:
    return SccHyperparameters.tiny()[form]


def network(form: str) -> Scc:
    found = tiny_network(FAMILY, form)
    assert isinstance(found, Scc)
    return found


@each_form
def test_form_is_found_with_its_sizes(form: str) -> None:
    detection = detect(shapes_of(network(form)))

    assert detection.family is FAMILY
    assert detection.hyperparameters == tiny(form)


@pytest.mark.parametrize(
    ("model", "has_bias"), [("sdfl_resnet34_scc", False), ("sdfl_resnet34_semv2b", True)]
)
def test_published_form_is_found(model: str, *, has_bias: bool) -> None:
    found = model_detection(model).hyperparameters

    assert found.embedding.has_bias is has_bias
    assert (found.landmark_count, found.graph.edge_count, found.crop_size_px) == (98, 470, 256)
    assert found.in_channels == (128, 256, 512)


def test_published_form_has_parameters_of_the_paper() -> None:
    sizes = model_detection("sdfl_resnet34_scc").hyperparameters
    with torch.device("meta"):
        found = FAMILY.build_network(sizes, FAMILY.made_up_assets(sizes))

    counts = {key: value.numel() for key, value in found.named_parameters()}

    used = {key: count for key, count in counts.items() if "backbone.fc" not in key}
    assert sum(used.values()) == PUBLISHED_PARAMETERS


@each_form
def test_exportable_gives_every_point_of_network(form: str, crops: Tensor) -> None:
    reference = network(form)

    found = exportable_points(FAMILY.build_exportable(reference), crops)

    deviations = point_deviations(found, FAMILY.reference(reference, crops))
    assert max(deviations.values()) <= RELATIVE
    assert {"backbone", "middle", "fine", "nodes", "graph"} < set(found)


@each_form
def test_exportable_is_finite_on_flat_crops(form: str) -> None:
    exportable = FAMILY.build_exportable(network(form))
    flat = torch.full((2, 64, 64, 3), 255, dtype=torch.uint8)

    landmarks = exportable(flat)[0]

    assert landmarks.isfinite().all()


def test_weighted_rows_sum_to_one() -> None:
    points = network("weighted")(torch.randn(2, 3, 64, 64))

    torch.testing.assert_close(points["adjacency"].sum(dim=2), torch.ones(2, 29))


def test_weighted_graph_depends_on_features_of_landmarks() -> None:
    learner = network("weighted").predictor.relation_learner
    assert learner is not None
    nodes = torch.rand(1, 29, 16)
    hidden = nodes.clone()
    hidden[:, 5] = 0

    assert not torch.allclose(learner(nodes), learner(hidden))


def test_weighted_graph_is_not_symmetric() -> None:
    graph = FAMILY.made_up_assets(tiny("weighted"))["graph"]

    assert (graph.sum(axis=1) == 4).all()
    assert (graph != graph.T).any()


def test_gate_lets_pass_what_both_attentions_do() -> None:
    gate = network("scc").predictor.map_to_node.att34
    maps, steering = torch.rand(1, 12, 4, 4), torch.randn(1, 12, 4, 4)

    found = gate(maps, steering)

    mean, largest = steering.mean(dim=(2, 3)), steering.flatten(2).max(dim=2).values
    by_channel = torch.sigmoid(gate.fc(mean) + gate.fc(largest))[0]
    over = torch.stack([steering.mean(dim=1), steering.max(dim=1).values], dim=1)
    by_place = gate.spatial_att(over)[0, 0]
    expected = maps[0, 2, 1, 3] * by_channel[2] * (1 + by_place[1, 3])
    torch.testing.assert_close(found[0, 2, 1, 3], expected)


def test_backbone_of_too_few_maps_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    given = shapes_of(network("scc"))
    monkeypatch.setattr(SccHyperparameters, "in_channels", (512,))

    with pytest.raises(StateDictError, match=r"reads the last 3 maps .*`resnet` gives 1"):
        detect(given, family="scc")


@pytest.mark.parametrize(
    ("form", "written_from", "note"),
    [
        pytest.param("scc", "the authors' code", "one adjacency for all images", id="code"),
        pytest.param("weighted", "the paper", "a reading of the paper", id="paper"),
    ],
)
def test_card_says_what_it_was_written_from(form: str, written_from: str, note: str) -> None:
    card = FAMILY.card(tiny(form))

    assert card.written_from == written_from
    assert note in card.notes
    assert "define no crop" in card.notes


def test_description_tells_the_form() -> None:
    texts = [FAMILY.describe(tiny(form)) for form in FORMS]

    assert [text.partition(" with ")[2] for text in texts] == [
        "a learned graph, 29 landmarks, 133 edges",
        "a learned graph and biased convolutions, 29 landmarks, 133 edges",
        "the paper's graph, 29 landmarks, 116 edges",
    ]


def test_other_number_of_blocks_is_found() -> None:
    sizes = tiny("weighted")
    deeper = replace(sizes, graph=replace(sizes.graph, block_count=3))
    built = FAMILY.build_network(deeper, FAMILY.made_up_assets(deeper))

    detection = detect(shapes_of(built))

    assert detection.hyperparameters == deeper
