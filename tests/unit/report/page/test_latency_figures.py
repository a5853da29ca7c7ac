from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from facealign.errors import InputError
from facealign.report.page import LatencySeries, latency_course_svg, latency_spread_svg

Draw = Callable[[Sequence[LatencySeries]], bytes]
POINTS = 0.05  # of the page; the file has six digits
NUMBER = r"-?\d+(?:\.\d+)?"


def lines(svg: bytes) -> list[np.ndarray]:
    """Return the ``(M, 2)`` points of every long open path that is drawn inside the axes."""
    paths = re.findall(r'<path d="([^"z]+)" clip-path', svg.decode())
    found = [np.array(re.findall(NUMBER, path), float).reshape(-1, 2) for path in paths]
    return [each for each in found if len(each) > 2]


def test_spread_steps_up_at_every_time() -> None:
    series = LatencySeries("fp32", np.array([3.0, 1.0, 2.0, 2.0]))

    (points,) = lines(latency_spread_svg([series]))

    x = (points[:, 0] - points[0, 0]) / (points[-1, 0] - points[0, 0])  # 1 ms to 3 ms
    share = (points[:, 1] - points[0, 1]) / (points[-1, 1] - points[0, 1])
    at_2_ms = share[np.abs(x - 0.5) < 1e-3]
    np.testing.assert_allclose([at_2_ms.min(), at_2_ms.max()], [0.25, 0.75], rtol=0, atol=1e-3)


def test_axis_is_logarithmic_once_times_are_far_apart_and_has_plain_numbers() -> None:
    near, far = (
        latency_spread_svg([LatencySeries("a", np.array([1.0])), LatencySeries("b", np.array([b]))])
        for b in (3.0, 40.0)
    )

    assert b"<!-- 5 -->" in far
    assert b"<!-- 5 -->" not in near
    assert b"mathdefault" not in far


def test_course_shows_a_climb_and_its_band() -> None:
    times_ms = np.repeat(np.linspace(1, 2, 120), 10)

    (points,) = lines(latency_course_svg([LatencySeries("fp32", times_ms)]))

    assert len(points) == 120
    assert np.all(np.diff(points[:, 1]) < POINTS)  # upwards on the page is less
    assert points[0, 1] - points[-1, 1] > 10


def test_course_has_a_strip_for_each_series_on_one_axis_of_runs() -> None:
    series = [LatencySeries(f"c{i}", np.linspace(1, 2, 10 * (i + 1))) for i in range(3)]

    short, _, long = lines(latency_course_svg(series))

    assert (long[-1, 0] - long[0, 0]) / (short[-1, 0] - short[0, 0]) == pytest.approx(29 / 9, 1e-3)


@pytest.mark.parametrize("draw", [latency_spread_svg, latency_course_svg])
def test_figure_is_well_formed_the_same_every_time_and_takes_any_label(draw: Draw) -> None:
    series = [LatencySeries("a < b & $c$ -->", np.array([1.0, 2.0])) for _ in range(8)]

    first, second = draw(series), draw(series)

    ET.fromstring(first)  # noqa: S314  # our own file
    assert first == second
    assert b"<dc:date>" not in first


@pytest.mark.parametrize("draw", [latency_spread_svg, latency_course_svg])
@pytest.mark.parametrize(
    "series", [[], [LatencySeries("a", np.empty(0))]], ids=["no_series", "no_run"]
)
def test_figure_of_nothing_is_refused(draw: Draw, series: list[LatencySeries]) -> None:
    with pytest.raises(InputError, match="needs one series or more with one run or more"):
        draw(series)


def test_one_run_is_drawn() -> None:
    series = [LatencySeries("once", np.array([5.0]))]

    assert latency_course_svg(series).endswith(b"</svg>\n")
    assert latency_spread_svg(series).endswith(b"</svg>\n")
