"""The cumulative error curve of one or more graphs, as SVG."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from facealign.errors import InputError, MissingLibraryError

if TYPE_CHECKING:  # it comes with an extra
    from matplotlib.axes import Axes

__all__ = ["Curve", "check_matplotlib", "error_curve_svg"]

# Okabe and Ito's colours, which also the colour-blind tell apart. Later curves are thinner and
# broken, so that those beneath show where two lie on each other, as those of FP32 and FP16 do.
_COLOURS = ("#000000", "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00")
_DASHES = ("-", (0, (6, 2)), (0, (2, 1.5)), (0, (6, 1.5, 1.5, 1.5)), (0, (1, 2)), (0, (9, 3)))
_WIDTHS = (3.2, 2.2, 1.8, 1.6, 1.5, 1.4)
_SIZE_INCHES = (7.2, 4.8)
_SETTINGS = {
    "svg.hashsalt": "facealign",  # clip paths are named by random numbers without a salt
    "text.parse_math": False,  # a folder's name may hold dollars
    "font.family": "DejaVu Sans",
    "font.size": 10,
}


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """The errors of one graph.

    Attributes:
        label: For the legend.
        errors_percent: ``(F,)`` float64, one per face, percent, 0 or more.
    """

    label: str
    errors_percent: NDArray[np.float64]


def check_matplotlib() -> None:
    """Check that figures can be drawn, before an hour of work depends on it.

    Raises:
        MissingLibraryError: If matplotlib is not installed.
    """
    if find_spec("matplotlib") is None:
        raise MissingLibraryError(
            "drawing an error curve needs `matplotlib`, which is not installed; "
            'install it with `pip install "facealign[report]"`'
        )


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
    check_matplotlib()
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context(_SETTINGS):  # type: ignore[arg-type]  # its keys are a Literal of hundreds
        # Not pyplot: it keeps figures for the whole process and asks for a screen.
        figure = Figure(figsize=_SIZE_INCHES, layout="constrained")
        axes = figure.add_subplot()
        for index, curve in enumerate(curves):
            _draw(axes, curve, style=index % len(_COLOURS), threshold_percent=threshold_percent)
        axes.set(xlim=(0, threshold_percent), ylim=(0, 101), xlabel=x_label, title=title)
        axes.set_ylabel("share of faces, %")
        axes.grid(visible=True, alpha=0.3)
        axes.legend(loc="lower right")
        buffer = io.BytesIO()
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    return buffer.getvalue()


def _draw(axes: Axes, curve: Curve, *, style: int, threshold_percent: float) -> None:
    x, share = _steps(curve.errors_percent, threshold_percent)
    axes.step(
        x,
        100 * share,
        where="post",
        label=curve.label,
        color=_COLOURS[style],
        linestyle=_DASHES[style],
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
