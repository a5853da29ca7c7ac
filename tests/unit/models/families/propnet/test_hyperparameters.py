"""PropNet's hyper-parameters come from shapes alone."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch

from facealign.models.families.propnet.hyperparameters import PropNetHyperparameters
from facealign.models.families.propnet.network import PropNet

PUBLISHED = PropNetHyperparameters.published()


def _shapes(hyperparameters: PropNetHyperparameters) -> dict[str, tuple[int, ...]]:
    with torch.device("meta"):
        network = PropNet(hyperparameters)
    return {key: tuple(value.shape) for key, value in network.state_dict().items()}


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


def test_from_shapes_names_the_missing_key() -> None:
    shapes = _shapes(PropNetHyperparameters.tiny()["wflw"])
    del shapes["propagations.0.boundaries.0.weight"]

    with pytest.raises(KeyError, match=r"propagations\.0\.boundaries\.0\.weight"):
        PropNetHyperparameters.from_shapes(shapes, {})
