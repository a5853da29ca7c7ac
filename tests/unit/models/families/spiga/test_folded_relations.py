"""Perceptrons and graph attention equal the plain ones after folding."""

from __future__ import annotations

from typing import cast

import pytest
import torch
from torch import nn

from facealign.models.families.spiga.folded_relations import (
    FoldedLayer,
    FoldedRelations,
    folded_perceptron,
)
from facealign.models.families.spiga.network import RelationLayer, Spiga
from tests.unit.models.families.spiga.lively import relative_deviation

REWRITE_BAR = 1e-5  # of the largest value; max measured 9e-7, torch 2.13 on CPU


def random_tokens(network: Spiga, channels: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(2)
    return torch.randn(2, channels, network.hyperparameters.landmark_count, generator=generator)


@pytest.mark.parametrize("index", [0, 1], ids=["with another width", "of the same width"])
def test_layer_gives_what_interleaved_heads_and_a_merge_give(network: Spiga, index: int) -> None:
    layer = cast("RelationLayer", network.relations(0).gat[index])
    tokens = random_tokens(network, layer.attention.attn.merge.in_channels)

    found = FoldedLayer(layer)(tokens)

    assert relative_deviation(found, layer(tokens)) < REWRITE_BAR


def test_attention_of_a_layer_matters(network: Spiga) -> None:
    layer = cast("RelationLayer", network.relations(0).gat[0])
    tokens = random_tokens(network, network.hyperparameters.token_width)
    expected = layer(tokens)
    folded = FoldedLayer(layer)
    folded.projections.weight.copy_(folded.projections.weight.flip(0))

    assert relative_deviation(folded(tokens), expected) > 100 * REWRITE_BAR


def test_perceptron_has_its_norms_in_its_products(network: Spiga) -> None:
    encoder = cast("nn.Sequential", network.shape_encoder[0].get_submodule("encoder"))
    values = random_tokens(network, 2 * (network.hyperparameters.landmark_count - 1))

    folded = folded_perceptron(encoder)

    assert relative_deviation(folded(values), encoder(values)) < REWRITE_BAR
    assert {type(module) for module in folded} == {nn.Conv1d, nn.ReLU}


def test_perceptron_takes_inputs_in_another_order_and_scales_outputs(network: Spiga) -> None:
    encoder = cast("nn.Sequential", network.shape_encoder[0].get_submodule("encoder"))
    values = random_tokens(network, 2 * (network.hyperparameters.landmark_count - 1))
    order = torch.randperm(values.shape[1], generator=torch.Generator().manual_seed(3))

    folded = folded_perceptron(encoder, input_order=order, factor=0.25)

    assert relative_deviation(folded(values[:, order]), encoder(values) / 4) < REWRITE_BAR


@pytest.mark.parametrize("reach", [0.125, 0.03125])
def test_offsets_are_clipped_to_half_a_window(network: Spiga, reach: float) -> None:
    relations = network.relations(0)
    relations.last_product.weight.mul_(4)
    tokens = random_tokens(network, network.hyperparameters.token_width)

    related, offset = FoldedRelations(relations, reach=reach)(tokens)

    expected_related, expected = relations(tokens)
    assert relative_deviation(related, expected_related) < REWRITE_BAR
    torch.testing.assert_close(offset, reach * torch.clamp(expected, -1, 1), atol=1e-6, rtol=1e-5)
    assert 0 < float((offset.abs() == reach).float().mean()) < 1
