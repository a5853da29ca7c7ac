"""SPIGA's hyper-parameters come from shapes, and from one setting that no shape shows."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch
from make_checkpoint import model_detection

from facealign.errors import StateDictError
from facealign.models.families.spiga.hyperparameters import SpigaHyperparameters
from facealign.models.families.spiga.network import Spiga

TINY = SpigaHyperparameters.tiny()["wflw"]


def shapes_of(sizes: SpigaHyperparameters) -> dict[str, tuple[int, ...]]:
    with torch.device("meta"):
        network = Spiga(sizes, torch.zeros(sizes.landmark_count, 3))
    return {key: tuple(value.shape) for key, value in network.state_dict().items()}


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"landmark_count": 68, "edge_count": 13},
        {"landmark_count": 29, "edge_count": 13},
        {"landmark_count": 19, "edge_count": 6},
        {"stem_channels": (4, 10, 14)},
        {"stack_count": 4},
        {"depth": 4},
        {"token_width": 24},
        {"patch_size": 5},
        {"shape_widths": (6, 10, 4)},
        {"relation_widths": (8, 16, 12)},
        {"decoder_widths": (10,)},
        {"step_count": 2},
        {"head_count": 2},
    ],
    ids=lambda changes: ", ".join(changes) or "tiny",
)
def test_from_shapes_returns_what_the_network_was_built_from(changes: dict[str, Any]) -> None:
    built = dataclasses.replace(TINY, **changes)

    found = SpigaHyperparameters.from_shapes(shapes_of(built), {"heads": built.head_count})

    assert found == built


@pytest.mark.parametrize(
    ("model", "landmark_count", "edge_count"), [("spiga_98", 98, 15), ("spiga_68", 68, 13)]
)
def test_from_shapes_reads_the_authors_checkpoints(
    model: str, landmark_count: int, edge_count: int
) -> None:
    found = model_detection(model).hyperparameters

    assert found == SpigaHyperparameters(
        landmark_count=landmark_count,
        edge_count=edge_count,
        stem_channels=(64, 128, 256),
        stack_count=4,
        depth=4,
        token_width=512,
        patch_size=7,
        shape_widths=(256, 256),
        relation_widths=(256,) * 4,
        decoder_widths=(256, 128, 64, 32),
        step_count=3,
        head_count=4,
    )


def test_crop_is_as_large_as_the_depth_needs() -> None:
    sizes = dataclasses.replace(TINY, depth=4)

    assert (sizes.crop_size_px, sizes.map_size) == (256, 64)


def test_windows_are_16_8_and_4_cells_of_64() -> None:
    assert [64 * window for window in TINY.windows] == [16, 8, 4]


@pytest.mark.parametrize("heads", [0, 3, 16], ids=str)
def test_from_shapes_refuses_heads_that_do_not_divide_the_width(heads: int) -> None:
    with pytest.raises(
        StateDictError, match=rf"{heads} heads cannot share \d+ channels; pass `--set heads=`"
    ):
        SpigaHyperparameters.from_shapes(shapes_of(TINY), {"heads": heads})


@pytest.mark.parametrize(
    "key",
    [
        "conv_window.0.weight",
        "visual_cnn.pre.3.conv.weight",
        "visual_cnn.outs_edges.0.0.conv.weight",
        "gcn.0.gat.0.attention.mlp.3.weight",
    ],
)
def test_from_shapes_names_the_missing_key(key: str) -> None:
    shapes = shapes_of(TINY)
    del shapes[key]

    with pytest.raises(KeyError, match=key.replace(".", r"\.")):
        SpigaHyperparameters.from_shapes(shapes, {})
