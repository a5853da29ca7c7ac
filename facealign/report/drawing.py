"""What every figure shares: colours, dashes, letters, and one way to an SVG file."""

from __future__ import annotations

import importlib
import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING

from facealign.errors import MissingLibraryError

if TYPE_CHECKING:  # it comes with an extra
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

__all__ = [
    "COLOURS",
    "DASHES",
    "MARKERS",
    "check_matplotlib",
    "figures",
    "plain_ticks",
    "svg_from_figure",
]

# Okabe and Ito's colours, which also the colour-blind tell apart. No two lines that share a figure
# are told apart by colour alone: each has its own dash, and each point its own marker.
COLOURS = ("#000000", "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00")
DASHES = ("-", (0, (6, 2)), (0, (2, 1.5)), (0, (6, 1.5, 1.5, 1.5)), (0, (1, 2)), (0, (9, 3)))
MARKERS = ("o", "s", "^", "D", "v", "P")
_SETTINGS = {
    "svg.hashsalt": "facealign",  # clip paths are named by random numbers without a salt
    "text.parse_math": False,  # a folder's name may hold dollars
    "font.family": "DejaVu Sans",
    "font.size": 10,
}


def check_matplotlib() -> None:
    """Check that figures can be drawn, before an hour of work depends on it.

    Raises:
        MissingLibraryError: If matplotlib is not installed, or does not load.
    """
    if find_spec("matplotlib") is None:
        raise MissingLibraryError(
            "drawing figures needs `matplotlib`, which is not installed; "
            'install it with `pip install "facealign[report]"`'
        )
    try:
        importlib.import_module("matplotlib")
    except (ImportError, ValueError, OSError) as error:  # a `MPLBACKEND` it does not know, say
        reason = " ".join(str(error).split())
        raise MissingLibraryError(
            f"drawing figures needs `matplotlib`, which does not load: {reason}; "
            "mend that, or try without the variables `MPLBACKEND` and `MATPLOTLIBRC`"
        ) from error


@contextmanager
def figures(width_inches: float, height_inches: float) -> Iterator[Figure]:
    """Return an empty figure of that size; it is saved inside, as the settings hold until then.

    They are matplotlib's own with ours: a file of settings of the user changes nothing.

    Raises:
        MissingLibraryError: If matplotlib is not installed, or does not load.
    """
    check_matplotlib()
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(_SETTINGS)  # type: ignore[arg-type]  # its keys are a Literal of hundreds
        # Not pyplot: it keeps figures for the whole process and asks for a screen.
        yield Figure(figsize=(width_inches, height_inches), layout="constrained")


def plain_ticks(axis: Axis, *, steps: tuple[float, ...] = (1.0,)) -> None:
    """Write the ticks of a logarithmic axis as plain numbers: `steps` of every power of ten.

    Without this they are formulas, which `text.parse_math` leaves unread.
    """
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axis.set_major_locator(LogLocator(subs=steps))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


def svg_from_figure(figure: Figure) -> bytes:
    """Return the figure as SVG; the same figure gives the same bytes, as no date is written.

    What the one font has no letters for, such as a data set's name in Chinese, becomes boxes.
    """
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        # A line on the terminal for every such letter; the name stands beside the figure as text.
        warnings.filterwarnings(
            "ignore", message=r"Glyph .* missing from font", category=UserWarning
        )
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    return buffer.getvalue()
