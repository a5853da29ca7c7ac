"""PropNet's hyper-parameters come from shapes alone."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch
from make_checkpoint import model_detection

from facealign.models.detect import detect
from facealign.models.families.propnet import FAMILY
from facealign.models.families.propnet.hyperparameters import PropNetHyperparameters
from facealign.models.families.propnet.network import PropNet
from tests.unit.models.networks import shapes_of

# Table 8 of the paper, and SPEC 6.2 and 6.3.
PUBLISHED = PropNetHyperparameters(
    landmark_count=98,
    boundary_count=15,
    boundary_layer_count=5,
    stack_count=4,
    depth=4,
    propagation_depth=2,
    stem_channels=(64, 128),
    width=256,
    crop_size_px=256,
)


def _shapes(hyperparameters: PropNetHyperparameters) -> dict[str, tuple[int, ...]]:
    with torch.device("meta"):
        return shapes_of(PropNet(hyperparameters))


def test_full_size_network_is_that_of_the_paper() -> None:
    detection = model_detection("propnet_98")

    assert detection.family is FAMILY
    assert detection.hyperparameters == PUBLISHED


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"landmark_count": 68, "boundary_count": 13},
        {"boundary_layer_count": 2},
        {"stack_count": 2},
        {"depth": 3},
        {"propagation_depth": 1},
        {"stem_channels": (32, 64)},
        {"width": 128},
    ],
    ids=lambda changes: ", ".join(changes) or "published",
)
def test_from_shapes_returns_what_the_network_was_built_from(changes: dict[str, Any]) -> None:
    built = dataclasses.replace(PUBLISHED, **changes)

    assert PropNetHyperparameters.from_shapes(_shapes(built), {}) == built


def test_from_shapes_needs_nothing_of_the_last_propagation_module() -> None:
    shapes = {
        key: shape
        for key, shape in _shapes(PUBLISHED).items()
        if not key.startswith("last_propagation.")
    }

    assert PropNetHyperparameters.from_shapes(shapes, {}) == PUBLISHED


def test_checkpoint_is_recognised_without_what_only_a_training_needs() -> None:
    shapes = {
        key: shape
        for key, shape in _shapes(PUBLISHED).items()
        if not key.startswith("last_propagation.") and not key.endswith(".filt")
    }

    detection = detect(shapes)

    assert detection.family is FAMILY
    assert detection.hyperparameters == PUBLISHED


def test_from_shapes_names_the_missing_key() -> None:
    shapes = _shapes(PropNetHyperparameters.tiny()["wflw"])
    del shapes["propagations.0.boundaries.0.weight"]

    with pytest.raises(KeyError, match=r"propagations\.0\.boundaries\.0\.weight"):
        PropNetHyperparameters.from_shapes(shapes, {})
