"""The module that is traced computes what the authors' network computes."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from facealign.models.blocks.imagenet import normalised_image
from facealign.models.families.slpt.exportable import ExportableSlpt
from facealign.models.families.slpt.hyperparameters import SlptHyperparameters
from facealign.models.families.slpt.network import Slpt

# Of the largest value of a point; max measured 1.5e-6, seeds 0 to 4, torch 2.13 on CPU.
POINT_BAR = 2e-5


@pytest.fixture
def network() -> Slpt:
    """Return a tiny network with lively weights: no norm, bias or statistic is trivial."""
    torch.manual_seed(0)
    hyperparameters = SlptHyperparameters.tiny()
    network = Slpt(hyperparameters, torch.rand(hyperparameters.landmark_count, 2))
    for name, value in network.state_dict().items():
        if value.is_floating_point():
            spread = 0.5 + torch.rand(value.shape)
            is_scale = value.ndim == 1 and name.endswith(("weight", "running_var"))
            value.copy_(spread if is_scale else torch.randn(value.shape) * _std(value))
    return network.eval().requires_grad_(requires_grad=False)


def _std(value: torch.Tensor) -> float:
    return 0.1 if value.ndim < 2 else float(value[0].numel()) ** -0.5


@pytest.fixture
def crops(rng: np.random.Generator) -> torch.Tensor:
    size_px = SlptHyperparameters.tiny().crop_size_px
    return torch.from_numpy(rng.integers(0, 256, (3, size_px, size_px, 3), dtype=np.uint8))


def test_exportable_gives_every_point_of_the_network(network: Slpt, crops: torch.Tensor) -> None:
    exportable = ExportableSlpt(network)

    found = dict(zip(exportable.output_names, exportable(crops), strict=True))

    expected = network(normalised_image(crops))
    expected["landmarks"] = expected["stage3.landmarks"]
    deviations = {
        name: float((point.reshape(expected[name].shape) - expected[name]).abs().max())
        / float(expected[name].abs().max())
        for name, point in found.items()
    }
    assert max(deviations.values()) < POINT_BAR
    assert len(deviations) == 1 + 1 + 3 * 3 - 1


def test_exportable_puts_landmarks_far_outside_the_crop_on_its_border(
    network: Slpt, crops: torch.Tensor
) -> None:
    network.mean_shape += 3.0
    exportable = ExportableSlpt(network)

    points = dict(zip(exportable.output_names, exportable(crops), strict=True))

    assert torch.equal(points["stage1.landmarks"], torch.ones(3, 98, 2))
    assert float(points["landmarks"].min()) < 1.0


def test_normalised_image_is_imagenet_rgb() -> None:
    blue = torch.zeros(1, 4, 4, 3, dtype=torch.uint8)
    blue[..., 0] = 255

    image = normalised_image(blue)

    pixel = image[0, :, 0, 0].tolist()
    assert pixel == pytest.approx([-0.485 / 0.229, -0.456 / 0.224, (1 - 0.406) / 0.225])
