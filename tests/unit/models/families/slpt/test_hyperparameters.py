"""SLPT's hyper-parameters come from shapes, and from one setting that no shape shows."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from facealign.errors import StateDictError
from facealign.models.families.slpt.hyperparameters import SlptHyperparameters
from facealign.models.families.slpt.network import Slpt


def _shapes(hyperparameters: SlptHyperparameters) -> dict[str, tuple[int, ...]]:
    network = Slpt(hyperparameters, torch.zeros(hyperparameters.landmark_count, 2))
    return {key: tuple(value.shape) for key, value in network.state_dict().items()}


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"landmark_count": 68},
        {"layer_count": 12},
        {"width": 32, "head_count": 8},
        {"ffn_width": 40},
        {"patch_size": 5},
    ],
    ids=lambda changes: ", ".join(changes) or "tiny",
)
def test_from_shapes_returns_what_the_network_was_built_from(changes: dict[str, int]) -> None:
    fields = dataclasses.asdict(SlptHyperparameters.tiny())
    fields["backbone"] = SlptHyperparameters.tiny().backbone
    built = SlptHyperparameters(**{**fields, "crop_size_px": 256, **changes})

    found = SlptHyperparameters.from_shapes(_shapes(built), {"heads": built.head_count})

    assert found == built


def test_from_shapes_takes_the_authors_eight_heads_by_default() -> None:
    found = SlptHyperparameters.from_shapes(_shapes(SlptHyperparameters.tiny()), {})

    assert found.head_count == 8


@pytest.mark.parametrize("heads", [0, 5, 32], ids=str)
def test_from_shapes_refuses_heads_that_do_not_divide_the_width(heads: int) -> None:
    shapes = _shapes(SlptHyperparameters.tiny())

    with pytest.raises(
        StateDictError, match=f"{heads} heads cannot share 16 channels; pass `--set"
    ):
        SlptHyperparameters.from_shapes(shapes, {"heads": heads})


def test_from_shapes_names_the_missing_key() -> None:
    shapes = _shapes(SlptHyperparameters.tiny())
    del shapes["Transformer.landmark_query"]

    with pytest.raises(KeyError, match=r"Transformer\.landmark_query"):
        SlptHyperparameters.from_shapes(shapes, {})
