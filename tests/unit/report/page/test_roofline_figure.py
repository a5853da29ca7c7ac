from __future__ import annotations

import math
import re

import numpy as np
import pytest
from numpy.typing import NDArray

from facealign.errors import InputError
from facealign.report.page import RoofPoint, roofline_svg

CONV = RoofPoint("Conv", 20.0, 60.0, 0.7, "compute")
SAMPLE = RoofPoint("GridSample", 0.25, 1.0, 0.2, "memory")
NUMBER = r"-?\d+(?:\.\d+)?"


def marks(svg: bytes) -> list[NDArray[np.float64]]:
    """Return the middle of the mark of every point on the page."""
    groups = re.findall(r'<g id="PathCollection_.*?</g>\n', svg.decode(), re.DOTALL)
    paths = re.findall(r'<path d="([^"]+)" clip-path', "".join(groups))
    corners = [np.array(re.findall(NUMBER, path), float).reshape(-1, 2) for path in paths]
    return [(each.min(axis=0) + each.max(axis=0)) / 2 for each in corners]


def axes_patch(svg: bytes) -> str:
    """Return the corners of the axes."""
    found: list[str] = re.findall(r'<g id="patch_2">\n *<path d="([^"]+)"', svg.decode())
    return found[0].replace("L", "M")


def test_points_stand_by_intensity_and_rate_on_logarithmic_axes() -> None:
    third = RoofPoint("MatMul", 20.0 * 80, 60.0**2, 0.1, "compute")

    found = marks(
        roofline_svg([CONV, SAMPLE, third], peak_gflops={"fp32": 5000.0}, bandwidth_gb_s=17.0)
    )

    conv, matmul, sample = found  # those bound by computing first
    np.testing.assert_allclose(matmul - conv, conv - sample, rtol=0, atol=0.02)


def test_roofs_and_the_slowest_operators_are_named() -> None:
    svg = roofline_svg([CONV, SAMPLE], peak_gflops={"fp32": 118, "int8": 402}, bandwidth_gb_s=17.3)

    for text in (
        b"<!-- roof of fp32: 118 GFLOP/s, 17.3 GB/s -->",
        b"<!-- roof of int8: 402 GFLOP/s, 17.3 GB/s -->",
        b"<!-- Conv -->",
        b"<!-- GridSample -->",
        b"<!-- operators bound by computing -->",
        b"<!-- operators bound by memory -->",
    ):
        assert text in svg
    assert b"mathdefault" not in svg


def test_operator_above_the_roof_stays_in_the_picture() -> None:
    cached = RoofPoint("MatMul", 20.0, 900.0, 0.1, "compute")

    svg = roofline_svg([CONV, cached], peak_gflops={"fp32": 118.0}, bandwidth_gb_s=17.3)

    top = min(float(y) for y in re.findall(rf"M {NUMBER} ({NUMBER})", axes_patch(svg)))
    assert marks(svg)[1][1] > top


def test_roof_of_a_large_gpu_is_a_plain_number() -> None:
    svg = roofline_svg([CONV], peak_gflops={"fp16": 165_200.0}, bandwidth_gb_s=4800.0)

    assert b"<!-- roof of fp16: 165,200 GFLOP/s, 4,800 GB/s -->" in svg


@pytest.mark.parametrize(
    ("points", "fine"),
    [([CONV], True), ([CONV, RoofPoint("Add", 0.001, 0.01, 0.1, "memory")], False)],
    ids=["narrow", "wide"],
)
def test_axes_have_a_number_for_every_step_unless_they_are_long(
    points: list[RoofPoint], *, fine: bool
) -> None:
    svg = roofline_svg(points, peak_gflops={"fp32": 118.0}, bandwidth_gb_s=17.3)

    assert (b"<!-- 50 -->" in svg) is fine


@pytest.mark.parametrize(
    ("points", "peaks", "bandwidth"),
    [
        ([], {"fp32": 1.0}, 1.0),
        ([CONV], {}, 1.0),
        ([CONV], {"fp32": 0.0}, 1.0),
        ([CONV], {"fp32": 1.0}, 0.0),
        ([CONV], {"fp32": 1.0}, math.nan),
        ([CONV], {"fp32": math.inf}, 1.0),
        ([RoofPoint("Add", 0.0, 1.0, 0.1, "memory")], {"fp32": 1.0}, 1.0),
    ],
    ids=["no_point", "no_roof", "roof_0", "bandwidth_0", "no_number", "infinite", "intensity_0"],
)
def test_what_a_logarithm_cannot_show_is_refused(
    points: list[RoofPoint], peaks: dict[str, float], bandwidth: float
) -> None:
    with pytest.raises(InputError, match="needs points and roofs above 0"):
        roofline_svg(points, peak_gflops=peaks, bandwidth_gb_s=bandwidth)
