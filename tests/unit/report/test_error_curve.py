from __future__ import annotations

import re
from collections.abc import Sequence
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from facealign.errors import InputError, MissingLibraryError
from facealign.report import Curve, check_matplotlib, error_curve_svg

WIDTH_POINTS, HEIGHT_POINTS = 518.4, 345.6  # 7.2 x 4.8 inches
POINTS = 0.01  # of the page; the file has six digits
NUMBER = r"-?\d+(?:\.\d+)?"


def svg(curves: Sequence[Curve], *, threshold_percent: float = 10) -> str:
    return error_curve_svg(
        curves, title="on test", x_label="NME, %", threshold_percent=threshold_percent
    ).decode()


def lines(text: str) -> list[np.ndarray]:
    """Return the ``(M, 2)`` points of every long path that is drawn as a curve."""
    paths = re.findall(r'<path d="([^"]+)" clip-path', text)
    found = [np.array(re.findall(NUMBER, path), float).reshape(-1, 2) for path in paths]
    return [each for each in found if len(each) > 2]


def test_curve_steps_where_the_errors_are() -> None:
    curve = Curve("fp32", np.array([4.0, 2.0, 30.0, 2.0]))

    (points,) = lines(svg([curve]))

    left, right = points[0, 0], points[-1, 0]
    bottom, unit = points[0, 1], points[0, 1] - points[-1, 1]
    x_percent = 10 * (points[:, 0] - left) / (right - left)
    share = 0.75 * (bottom - points[:, 1]) / unit  # the last face is beyond the threshold
    at = [share[x_percent <= x + POINTS][-1] for x in (1.9, 2.0, 3.9, 4.0, 10.0)]
    np.testing.assert_allclose(at, [0, 0.5, 0.5, 0.75, 0.75], rtol=0, atol=1e-3)


def test_curve_without_a_good_face_stays_at_the_bottom() -> None:
    (points,) = lines(svg([Curve("fp32", np.array([40.0, 50.0]))]))

    assert np.ptp(points[:, 1]) == 0


def test_curves_of_every_graph_are_drawn_and_differ_in_style() -> None:
    curves = [Curve(name, np.array([3.0, 5.0])) for name in ("fp32", "fp16", "int8")]

    text = svg(curves)

    assert len(lines(text)) == 3
    for colour in ("#000000", "#0072b2", "#d55e00"):
        assert f"stroke: {colour}" in text
    assert text.count("stroke-dasharray") >= 2


def test_more_graphs_than_colours_are_drawn_too() -> None:
    curves = [Curve(str(index), np.array([3.0, 5.0])) for index in range(8)]

    assert len(lines(svg(curves))) == 8


def test_svg_is_well_formed_and_the_same_every_time() -> None:
    curve = Curve("fp32: 5 < 6 & more", np.array([3.0, 5.0]))

    first, second = svg([curve]), svg([curve])

    root = ET.fromstring(first)  # noqa: S314  # our own file
    assert first == second
    assert root.get("width") == f"{WIDTH_POINTS}pt"
    assert root.get("height") == f"{HEIGHT_POINTS}pt"
    assert "dc:date" not in first


def test_dollars_in_a_label_are_no_formula() -> None:
    text = svg([Curve(r"of $\nothing$", np.array([3.0, 5.0]))])

    assert r"<!-- of $\nothing$ -->" in text


@pytest.mark.parametrize("curves", [[], [Curve("fp32", np.empty(0))]], ids=["no-graph", "no-face"])
def test_curve_of_nothing_is_refused(curves: list[Curve]) -> None:
    with pytest.raises(InputError, match="needs one graph or more with one face or more"):
        svg(curves)


def test_missing_matplotlib_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("facealign.report.drawing.find_spec", lambda _name: None)

    with pytest.raises(MissingLibraryError, match=r'pip install "facealign\[report\]"'):
        check_matplotlib()
