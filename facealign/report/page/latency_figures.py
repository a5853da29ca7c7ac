"""How the times of a run are spread, and how they go on: two figures of latencies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from facealign.errors import InputError
from facealign.report.drawing import COLOURS, DASHES, figures, plain_ticks, svg_from_figure

if TYPE_CHECKING:  # it comes with an extra
    from matplotlib.axes import Axes

__all__ = ["LatencySeries", "latency_course_svg", "latency_spread_svg"]

_WIDTH_INCHES = 4.7  # on a telephone its letters are still 9 px high
_MOST_STEPS = 300  # of a curve: more are not seen, and make the page long
_MOST_BINS = 120
_LOG_FROM = 4.0  # times between the fastest and the slowest from which on the axis is logarithmic
_TAIL_PERCENTILE = 99.0


@dataclass(frozen=True, slots=True, eq=False)
class LatencySeries:
    """The times of one candidate: a label, and ``(R,)`` milliseconds in the order of the runs."""

    label: str
    times_ms: NDArray[np.float64]


def latency_spread_svg(series: Sequence[LatencySeries]) -> bytes:
    """Return the share of runs that took at most x, for each series, as SVG.

    Raises:
        InputError: If there is no series, or one has no run.
        MissingLibraryError: If matplotlib is not installed.
    """
    _check(series)
    ends_ms = [np.percentile(each.times_ms, (0, _TAIL_PERCENTILE)) for each in series]
    low_ms, high_ms = min(low for low, _ in ends_ms), max(high for _, high in ends_ms)
    legend_inches = 0.24 * ((len(series) + 1) // 2)
    with figures(_WIDTH_INCHES, 3.1 + legend_inches) as figure:
        axes = figure.add_subplot()
        for index, each in enumerate(series):
            _draw_spread(axes, each, style=index)
        if high_ms > _LOG_FROM * low_ms:
            axes.set_xscale("log")
            plain_ticks(axes.xaxis, steps=(1.0, 2.0, 5.0))
        room_ms = 0.04 * (high_ms - low_ms) or 0.05 * high_ms
        axes.set(xlim=(max(low_ms - room_ms, 0.9 * low_ms), high_ms + room_ms), ylim=(0, 101))
        axes.set(xlabel="latency, ms", ylabel="share of runs, %")
        axes.grid(visible=True, which="both", alpha=0.3)
        figure.legend(loc="outside lower left", ncols=2, frameon=False, fontsize=9)
        return svg_from_figure(figure)


def latency_course_svg(series: Sequence[LatencySeries]) -> bytes:
    """Return the times in the order of the runs, a strip for each series, as SVG.

    Of many runs, each step shows the median of some neighbours, and a band from the fastest to the
    slowest of them. A strip ends above the 99th percentile, so that one hiccup does not flatten it.

    Raises:
        InputError: If there is no series, or one has no run.
        MissingLibraryError: If matplotlib is not installed.
    """
    _check(series)
    with figures(_WIDTH_INCHES, 0.6 + 0.78 * len(series)) as figure:
        strips = figure.subplots(len(series), 1, squeeze=False)[:, 0]
        longest = max(len(each.times_ms) for each in series)
        for index, (axes, each) in enumerate(zip(strips, series, strict=True)):
            _draw_course(axes, each, style=index)
            axes.set_xlim(1, max(longest, 2))
        for axes in strips[:-1]:
            axes.tick_params(labelbottom=False)
        strips[-1].set_xlabel("run")
        figure.supylabel("latency, ms", fontsize=10)
        return svg_from_figure(figure)


def _check(series: Sequence[LatencySeries]) -> None:
    if not series or not all(len(each.times_ms) for each in series):
        raise InputError("a latency figure needs one series or more with one run or more")


def _draw_spread(axes: Axes, series: LatencySeries, *, style: int) -> None:
    steps = min(len(series.times_ms), _MOST_STEPS)
    shares = np.linspace(0, 100, steps + 1)
    times_ms = np.percentile(series.times_ms, shares, method="inverted_cdf")
    axes.step(
        times_ms,
        shares,
        where="post",
        label=series.label,
        color=COLOURS[style % len(COLOURS)],
        linestyle=DASHES[(style + style // len(COLOURS)) % len(DASHES)],
        linewidth=1.8,
    )


def _draw_course(axes: Axes, series: LatencySeries, *, style: int) -> None:
    colour = COLOURS[style % len(COLOURS)]
    count = len(series.times_ms)
    parts = np.array_split(series.times_ms, min(count, _MOST_BINS))
    ends = np.cumsum([len(part) for part in parts])
    middles = ends - [(len(part) - 1) / 2 for part in parts]
    low_ms = np.array([part.min() for part in parts])
    high_ms = np.array([part.max() for part in parts])
    axes.fill_between(middles, low_ms, high_ms, color=colour, alpha=0.25, linewidth=0)
    axes.plot(middles, [np.median(part) for part in parts], color=colour, linewidth=1.3)
    bottom_ms = float(series.times_ms.min())
    top_ms = float(np.percentile(series.times_ms, _TAIL_PERCENTILE))
    room_ms = 0.12 * (top_ms - bottom_ms) or 0.05 * top_ms
    axes.set(ylim=(bottom_ms - room_ms, top_ms + room_ms))
    axes.locator_params(axis="y", nbins=3)
    axes.tick_params(labelsize=8)
    axes.set_title(series.label, loc="left", fontsize=9, pad=3)
    axes.grid(visible=True, alpha=0.3)
