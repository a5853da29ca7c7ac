"""Numbers as people read them: few digits, and never in powers of ten."""

from __future__ import annotations

import math

__all__ = ["NONE", "counted", "interval", "points", "short", "thousands", "times"]

NONE = "\u2013"  # what stands for a number that there is not
_NOT_FINITE = "not finite"  # a graph that overflows is not to look like one that was left out
_TIMES = "\u00d7"
_DIGITS = 3
_PLACES = 3  # at most: a thousandth of a millisecond, a pixel or a percent tells nobody anything


def short(value: float | None) -> str:
    """Return a number with three digits, to a thousandth at most; a dash for none.

    Example:
        >>> short(0.00012), short(0.012345), short(1.0), short(12.345), short(123456.7), short(0)
        ('<0.001', '0.012', '1.00', '12.3', '123,457', '0')
        >>> short(None), short(float("nan"))
        ('\u2013', 'not finite')
    """
    if value is None:
        return NONE
    if not math.isfinite(value):
        return _NOT_FINITE
    if value == 0:
        return "0"
    if abs(value) < 10.0**-_PLACES:
        return f"{'<' if value > 0 else '>-'}{10.0**-_PLACES:g}"
    places = _DIGITS - 1 - math.floor(math.log10(abs(value)))
    return f"{value:,.{min(max(places, 0), _PLACES)}f}"


def thousands(value: int) -> str:
    """Return a whole number with commas.

    Example:
        >>> thousands(181671360)
        '181,671,360'
    """
    return f"{value:,}"


def counted(count: int, one: str) -> str:
    """Return how many there are of something whose plural has an s.

    Example:
        >>> counted(1, "face"), counted(1234, "face")
        ('1 face', '1,234 faces')
    """
    return f"{thousands(count)} {one}{'' if count == 1 else 's'}"


def points(value: float | None) -> str:
    """Return a change in percentage points, with its sign unless it rounds to nothing.

    Example:
        >>> points(0.030445), points(-0.0012), points(-0.0001)
        ('+0.030', '-0.001', '0.000')
    """
    if value is None:
        return NONE
    if not math.isfinite(value):
        return _NOT_FINITE
    text = f"{value:+.{_PLACES}f}"
    return text if float(text) else text[1:]


def times(value: float) -> str:
    """Return a ratio with the sign of multiplication behind it."""
    return f"{short(value)}{_TIMES}"


def interval(low: str, high: str) -> str:
    """Return an interval of two numbers that are texts already."""
    return f"{low} to {high}"
