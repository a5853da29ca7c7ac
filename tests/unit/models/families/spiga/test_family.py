"""What SPIGA tells the compiler: keys that may lack, constants that must agree, facts."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from make_checkpoint import model_detection, recipe_state_dict

from facealign.errors import StateDictError
from facealign.models.detect import detect, load_weights
from facealign.models.families.spiga import FAMILY
from facealign.models.families.spiga.hyperparameters import SpigaHyperparameters
from facealign.models.families.spiga.network import Spiga
from facealign.spec import SquareRule

TINY = SpigaHyperparameters.tiny()["wflw"]
EDGES = "visual_cnn.E2Ptransform.edge2point"


def built(sizes: SpigaHyperparameters) -> Spiga:
    return Spiga(sizes, torch.from_numpy(FAMILY.made_up_assets(sizes)["face-model"]))


@pytest.fixture
def state_dict() -> dict[str, torch.Tensor]:
    return {key: value.clone() for key, value in recipe_state_dict(built(TINY)).items()}


@pytest.mark.parametrize(
    "key",
    [
        "diagonal_mask",
        "theta_S.1",
        "visual_cnn.pre.0.xx_channel",
        "visual_cnn.pre.0.yy_channel",
        "visual_cnn.E2Ptransform.ones",
        EDGES,
        "visual_cnn.hgs.0.up1.skip_layer.conv.weight",
    ],
)
def test_checkpoint_may_lack_constants_and_dead_weights(
    state_dict: dict[str, torch.Tensor], key: str
) -> None:
    network = built(TINY)
    expected = network.state_dict()[key].clone()
    del state_dict[key]

    load_weights(network, state_dict, FAMILY)

    assert torch.equal(network.state_dict()[key], expected)


@pytest.mark.parametrize(
    "key", ["visual_cnn.pre.2.skip_layer.conv.weight", "pose_fc.bias", "theta_S.0"]
)
def test_a_live_weight_is_no_dead_one(key: str) -> None:
    shape = built(TINY).state_dict()[key].shape

    assert not FAMILY.is_unused(key, shape)


@pytest.mark.parametrize("key", [EDGES, "theta_S.2", "visual_cnn.pre.0.xx_channel"])
def test_another_constant_is_refused(state_dict: dict[str, torch.Tensor], key: str) -> None:
    state_dict[key][0] += 1

    with pytest.raises(StateDictError, match=key.replace(".", r"\.")):
        load_weights(built(TINY), state_dict, FAMILY)


def test_edges_of_another_landmark_set_come_from_the_checkpoint(
    state_dict: dict[str, torch.Tensor],
) -> None:
    sizes = dataclasses.replace(TINY, landmark_count=29, edge_count=13)
    network = built(sizes)
    state_dict = recipe_state_dict(built(sizes))
    state_dict[EDGES] = (torch.rand(29, 14) < 0.3).float()

    load_weights(network, state_dict, FAMILY)

    assert torch.equal(network.state_dict()[EDGES], state_dict[EDGES])


def test_edges_of_another_landmark_set_must_be_in_the_checkpoint() -> None:
    sizes = dataclasses.replace(TINY, landmark_count=29, edge_count=13)
    state_dict = recipe_state_dict(built(sizes))
    del state_dict[EDGES]

    with pytest.raises(StateDictError, match=EDGES.replace(".", r"\.")):
        load_weights(built(sizes), state_dict, FAMILY)


@pytest.mark.parametrize("model", ["spiga_98", "spiga_68"])
def test_authors_checkpoints_are_recognised(model: str) -> None:
    assert model_detection(model).family is FAMILY


@pytest.mark.parametrize(
    ("counts", "scheme"),
    [((98, 15), "wflw98"), ((68, 13), "300w68"), ((29, 13), "cofw29"), ((19, 6), "aflw19")],
    ids=str,
)
def test_landmark_set_is_found_by_shape(counts: tuple[int, int], scheme: str) -> None:
    sizes = dataclasses.replace(TINY, landmark_count=counts[0], edge_count=counts[1])
    shapes = {key: tuple(value.shape) for key, value in built(sizes).state_dict().items()}

    detection = detect(shapes)

    assert detection.family is FAMILY
    assert FAMILY.scheme(detection.hyperparameters).name == scheme


def test_crop_is_that_of_authors() -> None:
    crop = FAMILY.crop(model_detection("spiga_98").hyperparameters)

    assert crop.from_box == SquareRule(side_factor=1.6, centre="exact")
    assert (crop.size_px, crop.interpolation, crop.border_value) == (256, "nearest", 0)


@pytest.mark.parametrize(
    ("model", "figure"), [("spiga_98", "NME 4.060 %"), ("spiga_68", "NME 2.994 %")]
)
def test_card_gives_accuracy_of_the_landmark_set(model: str, figure: str) -> None:
    card = FAMILY.card(model_detection(model).hyperparameters)

    assert figure in card.published
    assert (card.code, card.code_licence) == ("andresprados/SPIGA", "BSD-3-Clause")
