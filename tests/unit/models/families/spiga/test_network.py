"""The reference does what SPEC 2 says, where the golden files cannot show it."""

from __future__ import annotations

import math

import pytest
import torch

from facealign.models.families.spiga.backbone import CoordConv
from facealign.models.families.spiga.network import Spiga, camera, rotation, unit_image

SAME = 1e-5  # max measured 6e-7, tiny networks, torch 2.13 on CPU


def test_unit_image_keeps_bgr_and_divides() -> None:
    blue = torch.zeros(1, 4, 4, 3, dtype=torch.uint8)
    blue[..., 0] = 255

    image = unit_image(blue)

    assert image[0, :, 0, 0].tolist() == [1, 0, 0]


def test_camera_of_full_size_is_that_of_authors() -> None:
    assert camera(64).tolist() == [[96, 0, 32], [0, 96, 32], [0, 0, 1]]


def test_face_that_looks_straight_ahead_has_its_x_towards_the_camera() -> None:
    turned = rotation(torch.zeros(1, 3, dtype=torch.float64))[0]

    right, down, depth = turned.round(decimals=9).tolist()
    assert right == [0, -1, 0]
    assert down == [0, 0, 1]
    assert depth == [-1, 0, 0]


def test_coordinates_vary_along_rows_first_and_radius_is_off_centre() -> None:
    extra = CoordConv(5).extra_channels()[0]

    assert extra[0, :, 0].tolist() == [-1, -0.5, 0, 0.5, 1]
    assert extra[1, 0].tolist() == [-1, -0.5, 0, 0.5, 1]
    assert float(extra[2, 0, 0]) == pytest.approx(math.hypot(1.5, 1.5))


def test_projection_puts_a_point_on_the_axis_into_the_middle(network: Spiga) -> None:
    network.face_model.zero_()
    pose = torch.tensor([[30.0, -20.0, 10.0, 0.0, 0.0, 3.0]])

    landmarks = network.projected(pose)

    torch.testing.assert_close(landmarks, torch.full_like(landmarks, 0.5))


def test_landmarks_take_no_notice_of_neighbours(network: Spiga, crops: torch.Tensor) -> None:
    alone = network(unit_image(crops[1:2]))["step3.landmarks"]

    together = network(unit_image(crops))["step3.landmarks"]

    assert float((together[1:2] - alone).abs().max()) < SAME


def test_landmarks_move_by_half_a_window_at_most(network: Spiga, crops: torch.Tensor) -> None:
    for step in range(network.hyperparameters.step_count):
        network.relations(step).last_product.weight.mul_(30)

    points = network(unit_image(crops))

    move = (points["step1.landmarks"] - points["initial"]).abs().max()

    assert float(move) == pytest.approx(0.125)  # some offset is clipped


def test_pose_comes_from_the_last_stack(network: Spiga, crops: torch.Tensor) -> None:
    expected = network(unit_image(crops))["pose"]
    for parameter in network.visual_cnn.hgs_core[:-1].parameters():
        parameter.zero_()

    assert torch.equal(network(unit_image(crops))["pose"], expected)


def test_relative_positions_stand_in_ascending_order_without_the_landmark_itself(
    network: Spiga,
) -> None:
    count = network.hyperparameters.landmark_count
    landmarks = torch.rand(1, count, 2)
    seen: list[torch.Tensor] = []
    encoder = network.shape_encoder[0]
    encoder.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))

    network.shape_tokens(landmarks, 0)

    others = torch.cat([landmarks[0, :2], landmarks[0, 3:]])
    torch.testing.assert_close(seen[0][0, :, 2], (landmarks[0, 2] - others).flatten())
