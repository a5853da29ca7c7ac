"""The peak of a heat map becomes a landmark, the same way in both forms; ties are seen."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from torch import Tensor

from facealign.models.blocks.heat_map_decode import (
    HeatMapDecode,
    PeakRule,
    decode_heat_maps,
    undecided_peaks,
)

HEIGHT, WIDTH = 8, 16
ROUNDING = 1e-6  # of the crop; max measured 6e-8, 400 maps of 5 x 7
OPEN, MASKED = PeakRule(), PeakRule(masks_nonpositive=True)
RULES = [pytest.param(OPEN, id="open"), pytest.param(MASKED, id="masked")]


def planted(values: dict[tuple[int, int], float], *, ground: float = 0.0) -> Tensor:
    """Return a (1, 1, 8, 16) map of `ground` with values at ``(x, y)``."""
    heat_map = torch.full((1, 1, HEIGHT, WIDTH), ground)
    for (x, y), value in values.items():
        heat_map[0, 0, y, x] = value
    return heat_map


def cells(heat_maps: Tensor, rule: PeakRule) -> tuple[float, float]:
    """Return the first landmark in cells, 0 at the middle of the first."""
    landmarks, _ = decode_heat_maps(heat_maps, rule)
    x, y = landmarks[0, 0].tolist()
    return x * WIDTH - 0.5, y * HEIGHT - 0.5


@pytest.mark.parametrize(
    ("values", "place"),
    [
        pytest.param({(5, 3): 2.0, (6, 3): 1.0}, (5.25, 3), id="right is higher"),
        pytest.param({(5, 3): 2.0, (4, 3): 1.0}, (4.75, 3), id="left is higher"),
        pytest.param({(5, 3): 2.0, (5, 4): 1.0}, (5, 3.25), id="lower is higher"),
        pytest.param({(5, 3): 2.0, (5, 2): 1.0}, (5, 2.75), id="upper is higher"),
        pytest.param({(5, 3): 2.0, (4, 3): -1.0, (5, 4): -1.0}, (5.25, 2.75), id="other is lower"),
        pytest.param({(5, 3): 2.0}, (5, 3), id="equal neighbours"),
        pytest.param({(5, 3): 2.0, (6, 3): 2.0}, (5.25, 3), id="first of two equal peaks"),
        pytest.param({(9, 2): 2.0, (3, 4): 2.0}, (9, 2), id="first row of two equal peaks"),
        pytest.param({(0, 3): 2.0, (1, 3): 1.0, (0, 4): 1.0}, (0, 3), id="left border"),
        pytest.param({(15, 3): 2.0, (14, 3): 1.0, (15, 4): 1.0}, (15, 3), id="right border"),
        pytest.param({(5, 0): 2.0, (6, 0): 1.0, (5, 1): 1.0}, (5, 0), id="upper border"),
        pytest.param({(5, 7): 2.0, (6, 7): 1.0, (5, 6): 1.0}, (5, 7), id="lower border"),
        pytest.param({(15, 7): 2.0}, (15, 7), id="last corner"),
        pytest.param({(1, 1): 2.0, (0, 1): 1.0, (1, 0): 1.0}, (0.75, 0.75), id="first inner cell"),
        pytest.param({(14, 6): 2.0, (15, 6): 1.0}, (14.25, 6), id="last inner cell"),
    ],
)
@pytest.mark.parametrize("rule", RULES)
def test_decode_moves_a_peak_to_its_higher_neighbour(
    values: dict[tuple[int, int], float], place: tuple[float, float], rule: PeakRule
) -> None:
    assert cells(planted(values), rule) == pytest.approx(place, abs=1e-5)


@pytest.mark.parametrize(
    ("rule", "place"),
    [
        pytest.param(OPEN, (5.25, 3), id="open"),
        pytest.param(MASKED, (-1, -1), id="masked"),
    ],
)
@pytest.mark.parametrize("peak", [0.0, -0.5], ids=["zero", "negative"])
def test_decode_masks_a_peak_that_is_not_positive(
    rule: PeakRule, place: tuple[float, float], peak: float
) -> None:
    heat_maps = planted({(5, 3): peak, (6, 3): -1.0}, ground=-2.0)

    assert cells(heat_maps, rule) == pytest.approx(place, abs=1e-5)


def test_decode_gives_the_peak_as_score_even_below_zero() -> None:
    _, score = decode_heat_maps(planted({(5, 3): -0.5}, ground=-2.0), MASKED)

    assert score.tolist() == [[-0.5]]


def test_decode_adds_the_offset_of_its_rule() -> None:
    landmarks, _ = decode_heat_maps(planted({(5, 3): 1.0}), PeakRule(cell_offset=0.0))

    assert landmarks.flatten().tolist() == [5 / WIDTH, 3 / HEIGHT]


@pytest.mark.parametrize("rule", RULES)
@given(
    heat_maps=arrays(
        np.float32, (2, 3, 5, 7), elements=st.integers(-2, 2).map(float), fill=st.nothing()
    )
)
def test_traced_decode_agrees_on_maps_full_of_ties(
    rule: PeakRule, heat_maps: NDArray[np.float32]
) -> None:
    maps = torch.from_numpy(heat_maps)
    expected, expected_score = decode_heat_maps(maps, rule)

    landmarks, score = HeatMapDecode(5, 7, rule)(maps)

    assert float((landmarks - expected).abs().max()) <= ROUNDING
    assert torch.equal(score, expected_score)


@pytest.mark.parametrize("rule", RULES)
def test_traced_decode_finds_every_cell(rule: PeakRule) -> None:
    maps = torch.eye(HEIGHT * WIDTH).reshape(1, -1, HEIGHT, WIDTH)

    landmarks, _ = HeatMapDecode(HEIGHT, WIDTH, rule)(maps)

    expected, _ = decode_heat_maps(maps, rule)
    assert len({tuple(place) for place in landmarks[0].tolist()}) == HEIGHT * WIDTH
    assert torch.equal(landmarks, expected)


SLOPE = {(6, 3): 0.5, (5, 4): 0.5}  # two neighbours of (5, 3) that decide its quarter cells
NEAR, FAR = 5e-5, 2e-4  # of a range of 1: below and above the margin


@pytest.mark.parametrize(
    ("values", "is_undecided"),
    [
        pytest.param({(5, 3): 1.0, **SLOPE}, False, id="clear"),
        pytest.param({(5, 3): 1.0, (9, 6): 1.0, **SLOPE}, True, id="two equal peaks"),
        pytest.param({(5, 3): 1.0, (9, 6): 1 - NEAR, **SLOPE}, True, id="second peak is near"),
        pytest.param({(5, 3): 1.0, (9, 6): 1 - FAR, **SLOPE}, False, id="second peak is far"),
        pytest.param({(5, 3): 1.0, (5, 4): 0.5}, True, id="equal in x"),
        pytest.param({(5, 3): 1.0, (6, 3): 0.5}, True, id="equal in y"),
        pytest.param({(5, 3): 1.0, **SLOPE, (4, 3): 0.5 - NEAR}, True, id="near in x"),
        pytest.param({(5, 3): 1.0, **SLOPE, (4, 3): 0.5 - FAR}, False, id="far in x"),
        pytest.param({(5, 3): 1.0, **SLOPE, (5, 2): 0.5 + NEAR}, True, id="near in y"),
        pytest.param({(5, 3): 1.0, **SLOPE, (5, 2): 0.5 + FAR}, False, id="far in y"),
        pytest.param({(0, 3): 1.0}, False, id="border, where nothing shifts"),
        pytest.param({}, True, id="flat map"),
    ],
)
@pytest.mark.parametrize("ground", [0.0, 7.0], ids=["from 0", "from 7"])
def test_undecided_is_what_hangs_on_a_small_difference(
    values: dict[tuple[int, int], float], is_undecided: bool, ground: float
) -> None:
    heat_maps = planted(values) + ground

    assert undecided_peaks(heat_maps, OPEN).tolist() == [[is_undecided]]


@pytest.mark.parametrize(
    ("peak", "is_undecided"),
    [
        pytest.param(FAR, False, id="surely seen"),
        pytest.param(NEAR, True, id="hardly seen"),
        pytest.param(-NEAR, True, id="hardly masked"),
        pytest.param(-FAR, False, id="surely masked"),
    ],
)
def test_undecided_sees_a_peak_near_the_mask(peak: float, is_undecided: bool) -> None:
    heat_maps = planted({(5, 3): peak, (6, 3): -0.5, (5, 4): -0.5}, ground=-1.0)

    assert undecided_peaks(heat_maps, MASKED).tolist() == [[is_undecided]]


def test_undecided_takes_no_notice_of_ties_under_a_sure_mask() -> None:
    heat_maps = planted({(5, 3): -0.5, (9, 6): -0.5}, ground=-1.0)

    assert undecided_peaks(heat_maps, MASKED).tolist() == [[False]]
    assert undecided_peaks(heat_maps, OPEN).tolist() == [[True]]


def test_undecided_measures_by_the_range_of_its_own_crop() -> None:
    quiet = planted({(5, 3): 1.0, (9, 6): 1 - FAR, **SLOPE})
    loud = planted({(5, 3): 100.0, (6, 3): 50.0, (5, 4): 50.0})
    crops = torch.cat([torch.cat([quiet, loud], dim=1), torch.cat([quiet, quiet], dim=1)])

    assert undecided_peaks(crops, OPEN).tolist() == [[True, False], [False, False]]
