"""What each share of reduced work costs: every trial of a search, and which was chosen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from facealign.errors import InputError
from facealign.report.drawing import COLOURS, MARKERS, figures, svg_from_figure

if TYPE_CHECKING:  # it comes with an extra
    from matplotlib.axes import Axes

__all__ = ["TradeOff", "trade_off_svg"]

_WIDTH_INCHES, _HEIGHT_INCHES = 4.7, 3.5  # without the legend, of which a row is so high:
_ROW_INCHES = 0.19
_OFFSET_PERCENT = 0.6  # between precisions of the same share, so that their intervals stay apart


@dataclass(frozen=True, slots=True)
class TradeOff:
    """One trial.

    Attributes:
        share: Of the work in the reduced precision, 0 to 1.
        change_points: What it costs.
        low_points: Lower end of its interval.
        high_points: Upper end.
        is_chosen: Whether it ships.
    """

    share: float
    change_points: float
    low_points: float
    high_points: float
    is_chosen: bool


def trade_off_svg(
    trials: Mapping[str, Sequence[TradeOff]], *, limits: Mapping[str, float], y_label: str
) -> bytes:
    """Return the cost of each trial over its share, with its interval, as SVG.

    Args:
        trials: By precision, one or more in all.
        limits: What a trial may cost, by precision; drawn as broken lines.
        y_label: What the cost is.

    Raises:
        InputError: If there is no trial.
        MissingLibraryError: If matplotlib is not installed.
    """
    if not any(trials.values()):
        raise InputError("a figure of trials needs one trial or more; pass them")
    legend_inches = _ROW_INCHES * (len(trials) // 2 + 1)  # two in a row, and one for the ring
    with figures(_WIDTH_INCHES, _HEIGHT_INCHES + legend_inches) as figure:
        axes = figure.add_subplot()
        for index, (name, own) in enumerate(trials.items()):
            _draw(axes, name, own, index)
        for points in sorted(set(limits.values())):
            names = ", ".join(name for name in limits if limits[name] == points)
            axes.axhline(points, color=COLOURS[0], linestyle="--", linewidth=1)
            axes.annotate(
                f"limit of {names}",
                (0.01, points),
                xycoords=("axes fraction", "data"),
                xytext=(0, 3),
                textcoords="offset points",
                fontsize=8,
            )
        axes.plot([], [], "o", color=COLOURS[0], markersize=12, fillstyle="none", label="chosen")
        axes.axhline(0, color=COLOURS[0], linewidth=0.8)
        axes.set(xlim=(0, 104), xlabel="share of the work in the precision, %", ylabel=y_label)
        axes.margins(y=0.12)
        axes.grid(visible=True, alpha=0.3)
        figure.legend(loc="outside lower left", ncols=2, frameon=False, fontsize=9)
        return svg_from_figure(figure)


def _draw(axes: Axes, name: str, trials: Sequence[TradeOff], index: int) -> None:
    colour, marker = COLOURS[(index + 1) % len(COLOURS)], MARKERS[index % len(MARKERS)]
    shares = [100 * each.share + index * _OFFSET_PERCENT for each in trials]
    changes = [each.change_points for each in trials]
    below = [max(0.0, each.change_points - each.low_points) for each in trials]
    above = [max(0.0, each.high_points - each.change_points) for each in trials]
    axes.errorbar(
        shares,
        changes,
        yerr=[below, above],
        color=colour,
        marker=marker,
        markersize=5,
        linestyle="none",
        capsize=3,
        label=name,
    )
    chosen = [at for at, each in zip(shares, trials, strict=True) if each.is_chosen]
    axes.plot(
        chosen,
        [each.change_points for each in trials if each.is_chosen],
        color=COLOURS[0],
        marker="o",
        markersize=12,
        markerfacecolor="none",
        linestyle="none",
    )
