from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from numpy.typing import NDArray

from facealign.errors import InputError, ShapeError
from facealign.evaluation import (
    Trembling,
    jitter,
    reference_px_from_crops,
    trembling_crops,
    trembling_placement,
)
from facealign.geometry import Placement, crop_from_frame, crops_from_frame
from facealign.spec import CropSpec, SquareRule

RULE = SquareRule(1.0, "exact")
SPEC = CropSpec(32, RULE, RULE)
STILL = Trembling(pan_px=0, zoom=0, noise_grey=0)
EXACT_PX = 1e-9  # measured 3e-14


@pytest.fixture
def placement() -> Placement:
    return Placement(np.array([[80.3, 60.2]]), np.array([50.7]))


def test_a_face_that_does_not_tremble_gives_its_own_crop_every_time(
    frame: NDArray[np.uint8], placement: Placement
) -> None:
    crops, squares = trembling_crops(frame, placement, SPEC, STILL)

    expected = crops_from_frame(frame, placement, SPEC)
    np.testing.assert_array_equal(crops, np.tile(expected, (32, 1, 1, 1)))
    assert len(squares) == 32


def test_squares_swing_by_the_pan_in_crop_pixels(placement: Placement) -> None:
    motion = Trembling(step_count=400, pan_px=2, zoom=0)

    squares = trembling_placement(placement, motion, size_px=32)

    swing_px = (squares.centre - placement.centre) * 32 / 50.7
    np.testing.assert_allclose(np.abs(swing_px).max(axis=0), [2, 2], atol=0.01)
    np.testing.assert_array_equal(squares.side, placement.side[0])


def test_squares_swing_by_the_zoom(placement: Placement) -> None:
    motion = Trembling(step_count=400, pan_px=0, zoom=0.05)

    squares = trembling_placement(placement, motion, size_px=32)

    assert squares.side.max() / 50.7 == pytest.approx(1.05, abs=0.001)
    assert squares.side.min() / 50.7 == pytest.approx(0.95, abs=0.001)
    np.testing.assert_array_equal(squares.centre, np.tile(placement.centre, (400, 1)))


def test_squares_move_by_less_than_a_pixel_from_step_to_step(placement: Placement) -> None:
    squares = trembling_placement(placement, Trembling(step_count=400), size_px=32)

    steps_px = np.abs(np.diff(squares.centre, axis=0)) * 32 / 50.7
    assert 0.25 < steps_px.max() < 0.28  # 2 sin(pi / 23)


def test_no_two_crops_are_alike(frame: NDArray[np.uint8], placement: Placement) -> None:
    crops, _ = trembling_crops(frame, placement, SPEC, Trembling(noise_grey=0))

    assert len({crop.tobytes() for crop in crops}) == 32


def test_noise_is_as_strong_as_asked(frame: NDArray[np.uint8], placement: Placement) -> None:
    motion = dataclasses.replace(STILL, noise_grey=3)
    clean = crops_from_frame(frame, placement, SPEC).astype(float)

    crops, _ = trembling_crops(frame, placement, SPEC, motion)

    inside = (clean > 20) & (clean < 235)  # where nothing is clipped
    noise = (crops - clean)[np.broadcast_to(inside, crops.shape)]
    assert noise.mean() == pytest.approx(0, abs=0.05)
    assert noise.std() == pytest.approx((9 + 1 / 12) ** 0.5, rel=0.02)  # rounding adds 1/12


def test_crops_are_the_same_for_the_same_seed_only(
    frame: NDArray[np.uint8], placement: Placement
) -> None:
    first, _ = trembling_crops(frame, placement, SPEC, Trembling(seed=1))
    again, _ = trembling_crops(frame, placement, SPEC, Trembling(seed=1))
    other, _ = trembling_crops(frame, placement, SPEC, Trembling(seed=2))

    np.testing.assert_array_equal(first, again)
    assert np.any(first != other)


def test_landmarks_found_rightly_in_every_crop_do_not_move(placement: Placement) -> None:
    squares = trembling_placement(placement, Trembling(), size_px=32)
    landmarks = np.array([[70.0, 50.0], [95.5, 71.25]])
    matrices = crop_from_frame(squares, 32)  # (T, 2, 3)
    found = np.einsum("tij,nj->tni", matrices[:, :, :2], landmarks) + matrices[:, None, :, 2]

    mapped = reference_px_from_crops(found / 32, squares, placement, size_px=32)

    own = crop_from_frame(placement, 32)[0]
    expected = landmarks @ own[:, :2].T + own[:, 2]
    np.testing.assert_allclose(mapped, np.tile(expected, (32, 1, 1)), rtol=0, atol=EXACT_PX)
    assert jitter(mapped[None]).rms_px == pytest.approx(0, abs=EXACT_PX)


def test_landmarks_stuck_to_the_crop_tremble_with_it(placement: Placement) -> None:
    squares = trembling_placement(placement, Trembling(zoom=0), size_px=32)
    stuck = np.full((32, 1, 2), 0.5)

    mapped = reference_px_from_crops(stuck, squares, placement, size_px=32)

    pan_px = (squares.centre - placement.centre) * 32 / 50.7
    np.testing.assert_allclose(mapped[:, 0] - 16, pan_px, rtol=0, atol=EXACT_PX)
    assert jitter(mapped[None]).rms_px > 0.01


@pytest.mark.parametrize(
    ("trembling", "message"),
    [
        pytest.param(Trembling(step_count=2), "`step_count` must be 3 or more, got 2", id="steps"),
        pytest.param(Trembling(pan_px=-1), "pan, zoom and noise must be 0 or more", id="pan"),
        pytest.param(
            Trembling(noise_grey=float("nan")), "pan, zoom and noise must be 0 or more", id="noise"
        ),
        pytest.param(Trembling(zoom=1), "`zoom` must be below 1, got 1; pass", id="zoom"),
    ],
)
def test_trembling_refuses_numbers_out_of_range(
    placement: Placement, trembling: Trembling, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        trembling_placement(placement, trembling, size_px=32)


def test_trembling_refuses_two_squares() -> None:
    two = Placement(np.zeros((2, 2)), np.ones(2))

    with pytest.raises(ShapeError, match="must be one square, got 2; pass one at a time"):
        trembling_placement(two, Trembling(), size_px=32)
