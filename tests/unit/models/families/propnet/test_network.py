"""The network has the size that the paper's Table 8 gives, and its parts act on each other."""

from __future__ import annotations

import pytest
import torch
from make_checkpoint import model_detection
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from facealign.models.families.propnet.hyperparameters import PropNetHyperparameters
from facealign.models.families.propnet.network import PropNet, image_from_crops, position_maps
from tests.unit.models.networks import with_recipe_weights

PAPER_PARAMETERS = 36.30e6  # Table 8
PAPER_MACS = 42.83e9  # Table 8; it writes FLOPs and means multiply-adds (SPEC 6.2)
SHARE = 0.01  # measured: 36.272 million parameters, 42.637e9 multiply-adds
PRUNED_MACS = 38.656e9  # measured, without the last propagation module


@pytest.fixture(scope="module")
def published() -> PropNet:
    """Return the network of full size, without memory for its weights."""
    with torch.device("meta"):
        return PropNet(model_detection("propnet_98").hyperparameters).eval()


def macs(network: PropNet, *, with_last_propagation: bool) -> float:
    image = torch.zeros(1, 3, 256, 256, device="meta")
    with FlopCounterMode(display=False) as counter:
        network(image, with_last_propagation=with_last_propagation)
    return float(counter.get_total_flops()) / 2


@pytest.fixture
def tiny() -> PropNet:
    return with_recipe_weights(PropNet(PropNetHyperparameters.tiny()["wflw"]))


@pytest.fixture
def image() -> Tensor:
    return torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))


def test_network_has_as_many_parameters_as_the_paper_says(published: PropNet) -> None:
    count = sum(parameter.numel() for parameter in published.parameters())

    assert count == pytest.approx(PAPER_PARAMETERS, rel=SHARE)


def test_network_does_as_many_operations_as_the_paper_says(published: PropNet) -> None:
    assert macs(published, with_last_propagation=True) == pytest.approx(PAPER_MACS, rel=SHARE)


def test_inference_leaves_out_the_last_propagation_module(published: PropNet) -> None:
    assert macs(published, with_last_propagation=False) == pytest.approx(PRUNED_MACS, rel=1e-3)


def test_last_propagation_module_changes_no_heat_map(tiny: PropNet, image: Tensor) -> None:
    short, full = tiny(image), tiny(image, with_last_propagation=True)

    assert set(full) - set(short) == {"stack2.boundaries"}
    assert torch.equal(short["stack2.heat_maps"], full["stack2.heat_maps"])


def test_points_have_the_shapes_that_are_documented(tiny: PropNet, image: Tensor) -> None:
    shapes = {name: tuple(point.shape) for name, point in tiny(image).items()}

    assert shapes == {
        "stem": (2, 16, 16, 16),
        "stack1.heat_maps": (2, 98, 16, 16),
        "stack1.boundaries": (2, 15, 16, 16),
        "stack1.gated": (2, 16, 16, 16),
        "stack2.heat_maps": (2, 98, 16, 16),
    }


def test_boundaries_weight_the_features_of_the_next_hourglass(tiny: PropNet, image: Tensor) -> None:
    before = tiny(image)
    torch.nn.init.zeros_(tiny.propagations[0].get_parameter("boundaries.2.bias"))

    after = tiny(image)

    assert torch.equal(after["stack1.heat_maps"], before["stack1.heat_maps"])
    assert not torch.equal(after["stack1.gated"], before["stack1.gated"])
    assert not torch.equal(after["stack2.heat_maps"], before["stack2.heat_maps"])


def test_position_maps_are_row_column_and_radius() -> None:
    positions = position_maps(3, 5)

    assert positions.shape == (1, 3, 3, 5)
    assert positions[0, :, 0, 0].tolist() == pytest.approx([-1, -1, 1])
    assert positions[0, :, 1, 4].tolist() == pytest.approx([0, 1, 0.5**0.5])
    assert positions[0, :, 1, 2].tolist() == pytest.approx([0, 0, 0])


def test_image_is_rgb_from_0_to_1() -> None:
    blue = torch.zeros(1, 4, 4, 3, dtype=torch.uint8)
    blue[..., 0] = 255

    assert image_from_crops(blue)[0, :, 0, 0].tolist() == [0, 0, 1]
