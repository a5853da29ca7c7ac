"""A graph under the roof of its machine: each operator by its intensity and the rate it reaches."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from facealign.errors import InputError
from facealign.report.drawing import COLOURS, DASHES, figures, plain_ticks, svg_from_figure
from facealign.report.page.numbers import short

if TYPE_CHECKING:  # it comes with an extra
    from matplotlib.axes import Axes

__all__ = ["RoofPoint", "roofline_svg"]

_SIZE_INCHES = (4.7, 4.4)
_NAMED = 6  # points with a name: those that take longest
_FINE_STEPS, _FINE_BELOW = (1.0, 2.0, 5.0), 500.0  # one number alone tells nothing of an axis
_BOUND_MARKERS = {"compute": "o", "memory": "s"}


@dataclass(frozen=True, slots=True)
class RoofPoint:
    """One kind of operator.

    Attributes:
        label: Its name.
        intensity: Operations by byte, above 0; two operations per multiply-accumulate.
        gflops: Operations per nanosecond that it reaches, above 0.
        time_share: Of the time of all operators, 0 to 1; the area of its mark.
        bound: ``compute`` or ``memory``: what holds it up at the roof.
    """

    label: str
    intensity: float
    gflops: float
    time_share: float
    bound: str


def roofline_svg(
    points: Sequence[RoofPoint], *, peak_gflops: Mapping[str, float], bandwidth_gb_s: float
) -> bytes:
    """Return the points under the roofs, both axes logarithmic, as SVG.

    Args:
        points: One or more.
        peak_gflops: Roof of computing by type, above 0, one or more.
        bandwidth_gb_s: Roof of memory, above 0.

    Raises:
        InputError: If there is no point or no roof, or a number is not above 0.
        MissingLibraryError: If matplotlib is not installed.
    """
    values = [*peak_gflops.values(), bandwidth_gb_s]
    values += [value for each in points for value in (each.intensity, each.gflops)]
    if not points or not peak_gflops or not all(0 < value < math.inf for value in values):
        raise InputError("a roofline needs points and roofs above 0; leave out those at 0")
    with figures(*_SIZE_INCHES) as figure:
        axes = figure.add_subplot()
        axes.set(xscale="log", yscale="log")
        low, high = _range(points, peak_gflops, bandwidth_gb_s)
        _draw_roofs(axes, peak_gflops, bandwidth_gb_s, np.geomspace(low, high, 200))
        for bound, marker in _BOUND_MARKERS.items():
            _draw_points(axes, [each for each in points if each.bound == bound], marker, bound)
        _name_points(axes, points)
        axes.set(xlim=(low, high), xlabel="operations by byte", ylabel="GFLOP/s")
        rates = [each.gflops for each in points]
        axes.set_ylim(min(rates) / 3, 2.5 * max(*peak_gflops.values(), *rates))
        for axis, ends in ((axes.xaxis, axes.get_xlim()), (axes.yaxis, axes.get_ylim())):
            plain_ticks(axis, steps=_FINE_STEPS if ends[1] < _FINE_BELOW * ends[0] else (1.0,))
        axes.grid(visible=True, alpha=0.3)
        figure.legend(loc="outside lower left", ncols=1, frameon=False, fontsize=9)
        return svg_from_figure(figure)


def _range(
    points: Sequence[RoofPoint], peak_gflops: Mapping[str, float], bandwidth_gb_s: float
) -> tuple[float, float]:
    """Return where the axis of intensity begins and ends: all points and all bends are on it."""
    bends = [peak / bandwidth_gb_s for peak in peak_gflops.values()]
    found = [*(each.intensity for each in points), *bends]
    return min(found) / 3, max(found) * 4


def _draw_roofs(
    axes: Axes, peak_gflops: Mapping[str, float], bandwidth_gb_s: float, x: np.ndarray
) -> None:
    for index, (name, peak) in enumerate(peak_gflops.items()):
        axes.plot(
            x,
            np.minimum(peak, bandwidth_gb_s * x),
            color=COLOURS[0],
            linestyle=DASHES[index % len(DASHES)],
            linewidth=1.5,
            label=f"roof of {name}: {short(peak)} GFLOP/s, {short(bandwidth_gb_s)} GB/s",
        )


def _draw_points(axes: Axes, points: Sequence[RoofPoint], marker: str, bound: str) -> None:
    if not points:
        return
    colour = COLOURS[1 if bound == "compute" else 2]
    axes.scatter(
        [each.intensity for each in points],
        [each.gflops for each in points],
        s=[_mark_area(each) for each in points],
        marker=marker,
        facecolors="none",
        edgecolors=colour,
        linewidths=1.6,
        label=f"operators bound by {'computing' if bound == 'compute' else bound}",
    )


def _name_points(axes: Axes, points: Sequence[RoofPoint]) -> None:
    """Write names at the points that take longest, above and below in turns, to keep them apart."""
    named = sorted(points, key=lambda each: -each.time_share)[:_NAMED]
    for index, each in enumerate(sorted(named, key=lambda each: -each.intensity)):
        sign = 1 if index % 2 == 0 else -1
        axes.annotate(
            each.label,
            (each.intensity, each.gflops),
            xytext=(0, sign * (_mark_area(each) ** 0.5 / 2 + 3)),
            textcoords="offset points",
            ha="center",
            va="bottom" if sign > 0 else "top",
            fontsize=8,
        )


def _mark_area(point: RoofPoint) -> float:
    """Return the area of a mark, square points."""
    return 18 + 500 * point.time_share
