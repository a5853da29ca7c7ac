"""Ranges of activations over calibration crops: what a scale of INT8 is made from.

`curate` chooses the faces. `collect_ranges` runs a graph through a
callable that it is given, and shows every value to an `Observer`; `convergence_of` says how many
crops that took. `check_disjoint` keeps the images of an evaluation apart.
"""

from facealign.calibration.budget import CostedBlock, Loss, Search, Trial, largest_share
from facealign.calibration.convergence import Convergence, convergence_of, text_of_convergence
from facealign.calibration.curate import CalibrationSet, curate
from facealign.calibration.disjoint import check_disjoint, split_by_content
from facealign.calibration.observers import Observer, make_observer, observer_names
from facealign.calibration.ranges import (
    Ranges,
    Snapshot,
    json_from_ranges,
    ranges_from_json,
)
from facealign.calibration.run import Calibration, RunFunction, collect_ranges
from facealign.calibration.set_manifest import (
    CalibrationManifest,
    json_from_set_manifest,
    set_manifest_from_json,
    text_of_set,
)

__all__ = [
    "Calibration",
    "CalibrationManifest",
    "CalibrationSet",
    "Convergence",
    "CostedBlock",
    "Loss",
    "Observer",
    "Ranges",
    "RunFunction",
    "Search",
    "Snapshot",
    "Trial",
    "check_disjoint",
    "collect_ranges",
    "convergence_of",
    "curate",
    "json_from_ranges",
    "json_from_set_manifest",
    "largest_share",
    "make_observer",
    "observer_names",
    "ranges_from_json",
    "set_manifest_from_json",
    "split_by_content",
    "text_of_convergence",
    "text_of_set",
]
