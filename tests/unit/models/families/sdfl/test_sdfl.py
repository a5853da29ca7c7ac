"""SDFL: every head is found by its keys, folded as it was, and described."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from make_checkpoint import model_detection, model_keys
from torch import Tensor

from facealign.errors import StateDictError, UnknownFamilyError
from facealign.models.backbone import BackboneChoice
from facealign.models.detect import detect, load_weights
from facealign.models.families.sdfl import FAMILY
from facealign.models.families.sdfl.heads import HEADS
from facealign.models.families.sdfl.hyperparameters import SdflHyperparameters
from facealign.models.families.sdfl.network import Sdfl
from tests.unit.models.families.exportable import exportable_points, point_deviations
from tests.unit.models.networks import shapes_of, tiny_network

RELATIVE = 1e-5  # of the largest value; max measured 5.7e-7, seeds 20 to 24
AUTHORS_CROP_PX = 256
each_head = pytest.mark.parametrize("head", [head.name for head in HEADS])


def tiny(head: str) -> SdflHyperparameters:
    return SdflHyperparameters.tiny()[head]


def network(head: str) -> Sdfl:
    found = tiny_network(FAMILY, head)
    assert isinstance(found, Sdfl)
    return found


@each_head
def test_head_is_found_with_its_sizes(head: str) -> None:
    detection = detect(shapes_of(network(head)))

    assert detection.family is FAMILY
    assert detection.hyperparameters == tiny(head)


@pytest.mark.parametrize(
    ("model", "head", "landmarks", "edges"),
    [
        pytest.param("sdfl_resnet34_lgrl", "l-grl", 98, 470, id="l-grl"),
        pytest.param("sdfl_resnet34_lgrl_98predef", "l-grl", 98, 388, id="predefined graph"),
        pytest.param("sdfl_resnet34_lgrl_68", "l-grl", 68, 266, id="68"),
        pytest.param("sdfl_resnet34_lgrl_29", "l-grl", 29, 133, id="29"),
        pytest.param("sdfl_resnet34_fc", "fc", 98, None, id="fc"),
        pytest.param("sdfl_resnet34_dynamic", "dynamic", 98, 470, id="dynamic"),
    ],
)
def test_published_form_is_found(model: str, head: str, landmarks: int, edges: int | None) -> None:
    found = model_detection(model).hyperparameters

    assert found.head_name == head
    assert found.sizes.landmark_count == landmarks
    assert found.sizes.edge_count == edges
    assert found.crop_size_px == AUTHORS_CROP_PX


@each_head
def test_exportable_gives_every_point_of_network(head: str, crops: Tensor) -> None:
    reference = network(head)

    found = exportable_points(FAMILY.build_exportable(reference), crops)

    deviations = point_deviations(found, FAMILY.reference(reference, crops))
    assert max(deviations.values()) <= RELATIVE
    assert len(found) >= 3


@each_head
def test_exportable_is_finite_on_flat_crops(head: str) -> None:
    exportable = FAMILY.build_exportable(network(head))
    flat = torch.full((2, 64, 64, 3), 255, dtype=torch.uint8)

    landmarks = exportable(flat)[0]

    assert landmarks.isfinite().all()


def test_only_heads_with_a_graph_need_one() -> None:
    needed = {head.name: [spec.name for spec in FAMILY.assets(tiny(head.name))] for head in HEADS}

    assert needed == {"l-grl": ["graph"], "fc": [], "dynamic": ["graph"]}


def test_unknown_backbone_is_named_as_what_is_missing() -> None:
    renamed = {
        key.replace("layer2", "stage2"): shape for key, shape in shapes_of(network("l-grl")).items()
    }

    with pytest.raises(
        UnknownFamilyError, match=r"no whole `sdfl`.*`backbone\.\* of one known backbone"
    ):
        detect(renamed)


def test_backbone_of_another_checkpoint_is_refused() -> None:
    spoiled = {**shapes_of(network("fc")), "predictor.fc1.weight": (12, 41)}

    with pytest.raises(StateDictError, match=r"takes 41 values .*backbone's 10 channels"):
        detect(spoiled)


def test_identities_may_be_absent() -> None:
    own = network("dynamic")
    state_dict = {key: value for key, value in own.state_dict().items() if key[-2:] != ".M"}

    load_weights(own, state_dict, FAMILY)

    assert len(state_dict) == len(own.state_dict()) - 6


def test_identity_of_another_value_is_refused() -> None:
    own = network("dynamic")
    key = "predictor.g_net.g_out.M"
    state_dict = {**own.state_dict(), key: torch.ones(29, 29)}

    with pytest.raises(StateDictError, match=r"`predictor.g_net.g_out.M` hold other values"):
        load_weights(own, state_dict, FAMILY)


def test_classifier_of_backbone_may_be_absent() -> None:
    own = network("l-grl")
    state_dict = {key: value for key, value in own.state_dict().items() if "backbone.fc" not in key}

    load_weights(own, state_dict, FAMILY)

    assert len(state_dict) == len(own.state_dict()) - 2


def test_dynamic_columns_sum_to_one() -> None:
    points = network("dynamic")(torch.randn(2, 3, 64, 64))

    torch.testing.assert_close(points["adjacency"].sum(dim=1), torch.ones(2, 29))


def test_dynamic_graph_depends_on_image() -> None:
    points = network("dynamic")(torch.randn(2, 3, 64, 64))

    assert not torch.equal(points["adjacency"][0], points["adjacency"][1])


@pytest.mark.parametrize(
    ("head", "text"),
    [
        ("l-grl", "SDFL, ResNet-12 with a learned graph, 29 landmarks, 133 edges"),
        ("fc", "SDFL, ResNet-12 with two fully connected layers, 29 landmarks"),
    ],
)
def test_description_tells_the_variant(head: str, text: str) -> None:
    assert FAMILY.describe(tiny(head)) == text


def test_crop_is_the_middle_of_authors_training_pictures() -> None:
    crop = FAMILY.crop(model_detection("sdfl_resnet34_lgrl").hyperparameters)

    assert crop.size_px == AUTHORS_CROP_PX
    assert crop.from_box == crop.from_landmarks
    assert crop.from_box.side_factor == pytest.approx(1.024)
    assert (crop.from_box.centre, crop.interpolation, crop.border_value) == ("exact", "bilinear", 0)


def test_card_says_that_crop_is_ours_and_what_dynamic_departs_from() -> None:
    card = FAMILY.card(tiny("dynamic"))

    assert "define no crop" in card.notes
    assert "normalises the columns" in card.notes
    assert "normalises the columns" not in FAMILY.card(tiny("l-grl")).notes


def test_card_of_backbone_from_paper_says_so() -> None:
    res2net = SdflHyperparameters.tiny()["l-grl-res2net-bottleneck"]

    assert FAMILY.card(res2net).written_from == "the paper"
    assert FAMILY.card(tiny("l-grl")).written_from == "the authors' code"


def test_sizes_of_head_and_backbone_are_independent() -> None:
    sizes = tiny("l-grl")
    wider = replace(sizes.backbone.sizes, channels=(4, 6, 8, 12))

    found = FAMILY.build_network(
        replace(sizes, backbone=BackboneChoice("resnet", wider)), FAMILY.made_up_assets(sizes)
    )

    key = "predictor.map_to_node.conv_out.0.weight"
    assert tuple(found.state_dict()[key].shape) == (6, 12, 3, 3)


def test_recipe_keys_of_published_model_mark_its_head_only() -> None:
    keys = model_keys("sdfl_resnet34_dynamic")

    assert [head.name for head in HEADS if all(key in keys for key in head.keys)] == ["dynamic"]
