"""HRNet's hyper-parameters come from shapes alone."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from make_checkpoint import model_detection

from facealign.models.backbones.hrnet import HRNetHyperparameters, HRNetStage
from facealign.models.families.hrnet import FAMILY
from facealign.models.families.hrnet.hyperparameters import HrnetFacialHyperparameters
from facealign.models.families.hrnet.network import HrnetFacial
from facealign.spec import scheme_by_count
from tests.unit.models.networks import published_shapes, shapes_of

TINY = HrnetFacialHyperparameters.tiny()
# SPEC 5: the authors' HRNetV2-W18 for WFLW.
W18 = HrnetFacialHyperparameters(
    landmark_count=98,
    backbone=HRNetHyperparameters(
        stem_channels=64,
        layer1_block_count=4,
        layer1_channels=64,
        stages=(
            HRNetStage(module_count=1, block_count=4, channels=(18, 36)),
            HRNetStage(module_count=4, block_count=4, channels=(18, 36, 72)),
            HRNetStage(module_count=3, block_count=4, channels=(18, 36, 72, 144)),
        ),
    ),
    crop_size_px=256,
)


def _shapes(hyperparameters: HrnetFacialHyperparameters) -> dict[str, tuple[int, ...]]:
    with torch.device("meta"):
        return shapes_of(HrnetFacial(hyperparameters))


def test_checkpoint_of_the_authors_keys_is_recognised() -> None:
    detection = model_detection("hrnet_w18_wflw")

    assert detection.family is FAMILY
    assert detection.hyperparameters == W18


def test_network_has_the_keys_and_shapes_of_the_authors() -> None:
    assert _shapes(W18) == published_shapes("hrnet_w18_wflw")


@pytest.mark.parametrize(
    "built",
    [
        pytest.param(dataclasses.replace(TINY["wflw"], crop_size_px=256), id="tiny"),
        pytest.param(W18, id="WFLW"),
        pytest.param(dataclasses.replace(W18, landmark_count=68), id="300W"),
        pytest.param(dataclasses.replace(W18, landmark_count=29), id="COFW"),
        pytest.param(dataclasses.replace(W18, landmark_count=19), id="AFLW"),
    ],
)
def test_from_shapes_returns_what_the_network_was_built_from(
    built: HrnetFacialHyperparameters,
) -> None:
    assert HrnetFacialHyperparameters.from_shapes(_shapes(built), {}) == built


@pytest.mark.parametrize("count", [98, 68, 29, 19], ids=str)
def test_every_published_landmark_count_has_a_scheme(count: int) -> None:
    assert not scheme_by_count(count).name.startswith("custom")


def test_from_shapes_names_the_missing_key() -> None:
    shapes = _shapes(TINY["aflw"])
    del shapes["head.3.weight"]

    with pytest.raises(KeyError, match=r"head\.3\.weight"):
        HrnetFacialHyperparameters.from_shapes(shapes, {})
