from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from facealign.errors import InputError, ShapeError
from facealign.evaluation import jitter

EXACT_PX = 1e-9  # measured 3e-14
NOISE = 0.02  # of the RMS, over 200 steps of 4 x 68 landmarks; measured 0.0012
STEPS = np.arange(200.0)


def sequence(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return one face of five landmarks that all move by ``(T,)`` x."""
    landmarks = np.zeros((1, len(x), 5, 2))
    landmarks[..., 0] = x[:, None]
    return landmarks


@pytest.mark.parametrize(
    "x",
    [
        pytest.param(np.full(200, 7.0), id="at-rest-in-the-wrong-place"),
        pytest.param(0.3 * STEPS, id="steady-motion"),
    ],
)
def test_jitter_is_nothing_where_nothing_trembles(x: NDArray[np.float64]) -> None:
    found = jitter(sequence(x))

    assert found.rms_px == pytest.approx(0, abs=EXACT_PX)


def test_jitter_of_white_noise_is_as_strong_as_the_noise(rng: np.random.Generator) -> None:
    noise = rng.normal(0, 0.5, (4, 200, 68, 2))

    found = jitter(noise + rng.normal(0, 30, (4, 1, 68, 2)))

    assert found.rms_px == pytest.approx(0.5 * 2**0.5, rel=NOISE)  # two axes
    assert (found.face_count, found.step_count) == (4, 200)


@pytest.mark.parametrize(
    ("period", "gain"),
    [
        pytest.param(2, 4 / 6**0.5, id="every-other-step"),
        pytest.param(20, 4 * np.sin(np.pi / 20) ** 2 / 6**0.5, id="slow"),
    ],
)
def test_jitter_of_a_swing_is_the_filters_gain(period: int, gain: float) -> None:
    swing = np.cos(2 * np.pi * STEPS[:102] / period)  # 100 steps between: whole swings

    found = jitter(sequence(swing))

    rms = 1.0 if period == 2 else 0.5**0.5
    assert found.rms_px == pytest.approx(gain * rms, abs=EXACT_PX)


def test_jitter_passes_hardly_anything_of_a_slow_swing() -> None:
    swing = np.cos(2 * np.pi * STEPS[:102] / 20)

    found = jitter(sequence(swing))

    assert found.rms_px / 0.5**0.5 == pytest.approx(0.04, abs=0.001)


def test_jitter_finds_the_face_and_the_landmark_that_tremble(rng: np.random.Generator) -> None:
    landmarks = np.zeros((3, 50, 68, 2))
    landmarks[1, :, 9] = rng.normal(0, 1, (50, 2))

    found = jitter(landmarks)

    assert (found.worst_face, found.worst_landmark) == (1, 9)
    assert found.worst_face_rms_px == pytest.approx(3**0.5 * found.rms_px)
    assert found.worst_landmark_rms_px == pytest.approx(68**0.5 * found.rms_px)


@pytest.mark.parametrize(
    "shape", [(32, 68, 2), (1, 2, 68, 2), (1, 32, 68, 3), (1, 32, 0, 2)], ids=str
)
def test_jitter_refuses_what_is_no_sequence(shape: tuple[int, ...]) -> None:
    with pytest.raises(ShapeError, match=r"must be \(K, T, N, 2\) with T of 3 or more, got"):
        jitter(np.zeros(shape))


def test_jitter_refuses_no_face() -> None:
    with pytest.raises(InputError, match="`landmarks_px` has no face; pass one or more"):
        jitter(np.zeros((0, 5, 68, 2)))


def test_jitter_refuses_what_is_no_number() -> None:
    with pytest.raises(InputError, match="must be finite, got inf at face 1"):
        jitter(np.stack([np.zeros((5, 68, 2)), np.full((5, 68, 2), np.inf)]))
