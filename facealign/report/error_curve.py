"""The cumulative error curve of one or more graphs, as SVG."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from facealign.errors import InputError
from facealign.report.drawing import COLOURS, DASHES, figures, svg_from_figure

if TYPE_CHECKING:  # it comes with an extra
    from matplotlib.axes import Axes

__all__ = ["Curve", "error_curve_svg"]

# Later curves are thinner and broken, so that those beneath show where two lie on each other, as
# those of FP32 and FP16 do.
_WIDTHS = (3.2, 2.2, 1.8, 1.6, 1.5, 1.4)
_SIZE_INCHES = (7.2, 4.8)


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """The errors of one graph.

    Attributes:
        label: For the legend.
        errors_percent: ``(F,)`` float64, one per face, percent, 0 or more.
    """

    label: str
    errors_percent: NDArray[np.float64]


def error_curve_svg(
    curves: Sequence[Curve], *, title: str, x_label: str, threshold_percent: float
) -> bytes:
    """Return the share of faces whose error is at most x, for x from 0 to the threshold, as SVG.

    The same curves give the same bytes with the same matplotlib; no date is written.

    Args:
        curves: One or more, the reference first.
        title: Above the axes.
        x_label: What the errors are.
        threshold_percent: Where the x axis ends, above 0.

    Raises:
        InputError: If there is no curve, or one has no face.
        MissingLibraryError: If matplotlib is not installed.
    """
    if not curves or not all(len(curve.errors_percent) for curve in curves):
        raise InputError("an error curve needs one graph or more with one face or more; pass them")
    with figures(*_SIZE_INCHES) as figure:
        axes = figure.add_subplot()
        for index, curve in enumerate(curves):
            _draw(axes, curve, style=index % len(COLOURS), threshold_percent=threshold_percent)
        axes.set(xlim=(0, threshold_percent), ylim=(0, 101), xlabel=x_label, title=title)
        axes.set_ylabel("share of faces, %")
        axes.grid(visible=True, alpha=0.3)
        axes.legend(loc="lower right")
        return svg_from_figure(figure)


def _draw(axes: Axes, curve: Curve, *, style: int, threshold_percent: float) -> None:
    x, share = _steps(curve.errors_percent, threshold_percent)
    axes.step(
        x,
        100 * share,
        where="post",
        label=curve.label,
        color=COLOURS[style],
        linestyle=DASHES[style],
        linewidth=_WIDTHS[style],
    )


def _steps(
    errors_percent: NDArray[np.float64], threshold_percent: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return where the curve steps up to the threshold, and the share of faces from there on."""
    errors = np.sort(np.asarray(errors_percent, np.float64))
    shares = np.arange(1, len(errors) + 1) / len(errors)
    shown = errors <= threshold_percent
    last = shares[shown][-1] if shown.any() else 0.0
    x = np.concatenate([[0.0], errors[shown], [threshold_percent]])
    return x, np.concatenate([[0.0], shares[shown], [last]])
