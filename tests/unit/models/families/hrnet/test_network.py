"""The plain network normalises, and its landmarks lie where the authors' arithmetic puts them."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from make_checkpoint import model_detection

from facealign.geometry import frame_from_crop, placement_from_boxes
from facealign.models.blocks.heat_map_decode import decode_heat_maps
from facealign.models.blocks.imagenet import normalised_image
from facealign.models.families.hrnet.card import crop_spec
from facealign.models.families.hrnet.hyperparameters import HrnetFacialHyperparameters
from facealign.models.families.hrnet.network import PEAK_RULE, HrnetFacial

CELLS = 64
BOX = (110.3, 70.1, 310.9, 230.4)
FRAME_PX = 1e-6  # max measured 6e-14 px
Place = tuple[float, float]


def authors_frame_position(heat_map: torch.Tensor, box: tuple[float, ...]) -> Place:
    """Return what SPEC 5 describes, number by number: frame pixels counted from 1."""
    centre = ((box[0] + box[2]) / 2, (box[1] + box[3]) / 2)
    scale = max(box[2] - box[0], box[3] - box[1]) / 200 * 1.25
    flat = int(heat_map.flatten().argmax())
    column, row = flat % CELLS, flat // CELLS
    place = [column + 1.0, row + 1.0]  # cells are counted from 1
    if float(heat_map.max()) <= 0:
        place = [0.0, 0.0]
    elif 1 < place[0] < CELLS and 1 < place[1] < CELLS:
        right_left = heat_map[row, column + 1] - heat_map[row, column - 1]
        down_up = heat_map[row + 1, column] - heat_map[row - 1, column]
        place[0] += 0.25 * float(torch.sign(right_left))
        place[1] += 0.25 * float(torch.sign(down_up))
    cell_px = 200 * scale / CELLS
    x, y = ((p + 0.5 - 1 - CELLS / 2) * cell_px + c + 1 for p, c in zip(place, centre, strict=True))
    return x, y


@pytest.mark.parametrize(
    ("x", "y", "level"),
    [
        pytest.param(20, 40, 1.0, id="inside"),
        pytest.param(0, 40, 1.0, id="left border"),
        pytest.param(63, 63, 1.0, id="last corner"),
        pytest.param(62, 1, 1.0, id="next to the border"),
        pytest.param(20, 40, -9.0, id="masked"),
    ],
)
def test_landmark_lies_one_pixel_before_where_the_authors_count_from_one(
    x: int, y: int, level: float
) -> None:
    heat_map = torch.rand(CELLS, CELLS, generator=torch.Generator().manual_seed(0))
    heat_map[y, x] += 1
    heat_map += level - 1
    crop = crop_spec(model_detection("hrnet_w18_wflw").hyperparameters)
    placement = placement_from_boxes(np.array([BOX]), crop.from_box)

    landmarks, _ = decode_heat_maps(heat_map[None, None], PEAK_RULE)

    frame = frame_from_crop(landmarks.numpy(), placement)[0, 0]
    authors = authors_frame_position(heat_map, BOX)
    assert math.dist(frame, (authors[0] - 1, authors[1] - 1)) <= FRAME_PX


def test_normalised_image_is_imagenet_rgb() -> None:
    blue = torch.zeros(1, 4, 4, 3, dtype=torch.uint8)
    blue[..., 0] = 255

    image = normalised_image(blue)

    pixel = image[0, :, 0, 0].tolist()
    assert pixel == pytest.approx([-0.485 / 0.229, -0.456 / 0.224, (1 - 0.406) / 0.225])


def test_network_gives_one_map_of_a_quarter_size_per_landmark() -> None:
    network = HrnetFacial(HrnetFacialHyperparameters.tiny()["aflw"]).eval()

    with torch.no_grad():
        points = network(torch.zeros(2, 3, 64, 64))

    assert {name: tuple(point.shape) for name, point in points.items()} == {
        "stage2": (2, 4, 16, 16),
        "stage3": (2, 4, 16, 16),
        "stage4": (2, 4, 16, 16),
        "heat_maps": (2, 19, 16, 16),
    }
