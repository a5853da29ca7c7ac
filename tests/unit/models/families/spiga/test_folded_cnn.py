"""The rewritten convolutional half equals the plain one, part by part."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from facealign.models.families.spiga.backbone import EdgeToPoint
from facealign.models.families.spiga.folded_cnn import (
    FoldedCnn,
    FoldedLink,
    FoldedStem,
    folded_edge_to_point,
)
from facealign.models.families.spiga.hyperparameters import SpigaHyperparameters
from facealign.models.families.spiga.network import Spiga, unit_image
from tests.unit.models.families.spiga.lively import relative_deviation

REWRITE_BAR = 1e-5  # of the largest value; max measured 1.4e-6, torch 2.13 on CPU


def test_grey_levels_and_a_map_of_biases_do_for_coordinates_and_norm(
    network: Spiga, crops: torch.Tensor
) -> None:
    stem = FoldedStem(network.visual_cnn)

    found = stem(crops.permute(0, 3, 1, 2).float())

    assert relative_deviation(found, network.visual_cnn.pre(unit_image(crops))) < REWRITE_BAR


def test_bias_map_has_one_crop_for_all(network: Spiga) -> None:
    stem = FoldedStem(network.visual_cnn)

    sizes = network.hyperparameters
    half = sizes.crop_size_px // 2
    assert stem.bias.shape == (1, sizes.stem_channels[0], half, half)


@pytest.mark.parametrize("counts", [(98, 15), (68, 13), (29, 13)], ids=str)
def test_edge_table_is_a_convolution(counts: tuple[int, int]) -> None:
    sizes = dataclasses.replace(
        SpigaHyperparameters.tiny()["wflw"], landmark_count=counts[0], edge_count=counts[1]
    )
    transform = EdgeToPoint(sizes)
    transform.edge2point.copy_((torch.rand(transform.edge2point.shape) < 0.2).float())
    edges = torch.rand(2, counts[1], sizes.map_size, sizes.map_size)

    found = torch.clamp(folded_edge_to_point(transform)(edges), 0, 1)

    torch.testing.assert_close(found, transform(edges))


def test_link_gives_what_the_next_hourglass_sees(network: Spiga, field: torch.Tensor) -> None:
    cnn, x = network.visual_cnn, field.flip(0)

    found = FoldedLink(cnn, 0)(x, field)

    predictions = cnn.outs_features[0](field) * cnn.outs_points[0](field)
    predictions = predictions * cnn.E2Ptransform(cnn.outs_edges[0](field))
    expected = x + cnn.merge_preds[0](predictions) + cnn.merge_features[0](field)
    assert relative_deviation(found, expected) < REWRITE_BAR


def test_folded_cnn_gives_the_last_field_and_core(network: Spiga, crops: torch.Tensor) -> None:
    field, core = FoldedCnn(network.visual_cnn)(crops)

    expected = network.visual_cnn(unit_image(crops))
    assert relative_deviation(field, expected.fields[-1]) < REWRITE_BAR
    assert relative_deviation(core, expected.cores[-1]) < REWRITE_BAR


def test_folded_cnn_leaves_out_the_other_cores(network: Spiga) -> None:
    dead = {id(parameter) for parameter in network.visual_cnn.hgs_core[:-1].parameters()}

    kept = {id(parameter) for parameter in FoldedCnn(network.visual_cnn).parameters()}

    assert not dead & kept
