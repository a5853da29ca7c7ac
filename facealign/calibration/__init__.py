"""Ranges of activations over calibration crops: what a scale of INT8 is made from.

`collect_ranges` runs a graph through a callable that it is given, and shows every value to an
`Observer`; `convergence_of` says how many crops that took.
"""

from facealign.calibration.convergence import Convergence, convergence_of, text_of_convergence
from facealign.calibration.observers import Observer, make_observer, observer_names
from facealign.calibration.ranges import (
    Ranges,
    Snapshot,
    json_from_ranges,
    ranges_from_json,
)
from facealign.calibration.run import Calibration, RunFunction, collect_ranges

__all__ = [
    "Calibration",
    "Convergence",
    "Observer",
    "Ranges",
    "RunFunction",
    "Snapshot",
    "collect_ranges",
    "convergence_of",
    "json_from_ranges",
    "make_observer",
    "observer_names",
    "ranges_from_json",
    "text_of_convergence",
]
