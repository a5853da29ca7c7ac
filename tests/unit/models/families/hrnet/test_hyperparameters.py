"""HRNet's hyper-parameters come from shapes alone."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from facealign.models.families.hrnet.hyperparameters import HrnetFacialHyperparameters
from facealign.models.families.hrnet.network import HrnetFacial
from facealign.spec import scheme_by_count

TINY = HrnetFacialHyperparameters.tiny()


def _shapes(hyperparameters: HrnetFacialHyperparameters) -> dict[str, tuple[int, ...]]:
    with torch.device("meta"):
        network = HrnetFacial(hyperparameters)
    return {key: tuple(value.shape) for key, value in network.state_dict().items()}


@pytest.mark.parametrize(
    "built",
    [
        pytest.param(dataclasses.replace(TINY["wflw"], crop_size_px=256), id="tiny"),
        pytest.param(HrnetFacialHyperparameters.published(), id="WFLW"),
        pytest.param(HrnetFacialHyperparameters.published(68), id="300W"),
        pytest.param(HrnetFacialHyperparameters.published(29), id="COFW"),
        pytest.param(HrnetFacialHyperparameters.published(19), id="AFLW"),
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
