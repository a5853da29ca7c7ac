from __future__ import annotations

import base64
import math
import re
from xml.etree import ElementTree as ET

import cv2
import numpy as np
import pytest

from facealign.errors import ShapeError
from facealign.report.page import LandmarkDistances, landmark_svg, magnification

SVG = "{http://www.w3.org/2000/svg}"
CROP = np.random.default_rng(5).integers(0, 256, (64, 64, 3), dtype=np.uint8)
LANDMARKS = np.array([[0.25, 0.5], [0.75, 0.125]], np.float32)


def distances(*p99_px: float) -> LandmarkDistances:
    p99 = np.array(p99_px)
    return LandmarkDistances(mean_px=p99 / 2, p99_px=p99)


def test_disc_and_ring_have_the_magnified_radii_at_the_landmark() -> None:
    root = ET.fromstring(landmark_svg(CROP, LANDMARKS, distances(0.02, 0.04), factor=100))  # noqa: S314  # ours

    circles = [
        tuple(float(each.attrib[key]) for key in ("cx", "cy", "r"))
        for each in root.iter(f"{SVG}circle")
    ]
    assert circles == [
        *[(16, 32, 2), (16, 32, 2), (16, 32, 1)],  # the rim of the ring, the ring, the disc
        *[(48, 8, 4), (48, 8, 4), (48, 8, 2)],
    ]


def test_crop_is_in_the_picture() -> None:
    svg = landmark_svg(CROP, LANDMARKS, distances(1, 1), factor=1).decode()

    data = base64.b64decode(re.findall(r'base64,([^"]+)"', svg)[0])
    picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert picture is not None
    assert picture.shape == CROP.shape


def test_landmark_that_is_undecided_is_left_out() -> None:
    landmarks = LANDMARKS.copy()
    landmarks[0] = np.nan

    assert landmark_svg(CROP, landmarks, distances(1, 1), factor=1).count(b"<circle") == 3


@pytest.mark.parametrize(
    ("largest_px", "factor"),
    [
        (0.0, 1),
        (math.nan, 1),
        (math.inf, 1),
        (0.08, 100),
        (0.07, 200),
        (7.0, 2),
        (15.36, 1),
        (100.0, 0.1),
    ],
)
def test_magnification_is_a_round_number_that_keeps_rings_apart(
    largest_px: float, factor: float
) -> None:
    assert magnification(distances(largest_px, 0.0), size_px=256) == pytest.approx(factor)


def test_shapes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ShapeError, match=r"got \(64, 64, 3\) and \(2, 2\) for 3 distances"):
        landmark_svg(CROP, LANDMARKS, distances(1, 1, 1), factor=1)
