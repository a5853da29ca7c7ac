"""The module that is traced computes what the authors' network computes; so does each rewrite."""

from __future__ import annotations

import pytest
import torch

from facealign.models.families.spiga.exportable import ExportableSpiga, FoldedStep
from facealign.models.families.spiga.network import Spiga, unit_image
from tests.unit.models.families.spiga.lively import relative_deviation

POINT_BAR = 2e-4  # of the largest value; max measured 1.5e-5, two variants, torch 2.13 on CPU
REWRITE_BAR = 1e-5  # max measured 1.3e-6
each_step = pytest.mark.parametrize("step", [0, 1, 2])


def test_exportable_gives_every_point_of_the_network(network: Spiga, crops: torch.Tensor) -> None:
    exportable = ExportableSpiga(network)

    found = dict(zip(exportable.output_names, exportable(crops), strict=True))

    expected = network(unit_image(crops))
    expected["landmarks"] = expected["step3.landmarks"]
    deviations = {name: relative_deviation(found[name], expected[name]) for name in found}
    assert max(deviations.values()) < POINT_BAR
    assert list(found)[:2] == ["landmarks", "pose"]


@each_step
def test_clamped_zero_padded_samples_are_those_of_border_padding(
    network: Spiga, field: torch.Tensor, landmarks: torch.Tensor, step: int
) -> None:
    found = FoldedStep(network, step).visual_tokens(field, landmarks)

    expected = network.visual_tokens(field, landmarks, step).transpose(1, 2)
    assert relative_deviation(found, expected) < REWRITE_BAR


def test_samples_beyond_the_border_are_those_of_the_outer_cells(
    network: Spiga, field: torch.Tensor
) -> None:
    step = FoldedStep(network, 0)
    outside = torch.full((3, network.hyperparameters.landmark_count, 2), 50.0)

    tokens = step.visual_tokens(field, outside)

    patch = network.hyperparameters.patch_size
    corner = field[:, :, -1:, -1:].expand(-1, -1, patch, patch)
    expected = network.conv_window[0](corner).flatten(1).unsqueeze(2).expand_as(tokens)
    assert relative_deviation(tokens, expected) < REWRITE_BAR


@each_step
def test_gathered_differences_are_those_behind_the_mask(
    network: Spiga, landmarks: torch.Tensor, step: int
) -> None:
    found = FoldedStep(network, step).shape_tokens(landmarks.transpose(1, 2))

    expected = network.shape_tokens(landmarks, step).transpose(1, 2)
    assert relative_deviation(found, expected) < REWRITE_BAR


def test_every_product_of_a_step_has_its_norm_folded_in(network: Spiga) -> None:
    step = FoldedStep(network, 0)

    assert not any("BatchNorm" in type(module).__name__ for module in step.modules())
