"""Can parity fail for every family? Faults that any graph can have must be caught in each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from facealign.export.crops import parity_crops
from facealign.export.graph import bytes_from_graph, graph_from_bytes
from facealign.export.parity import PARITY_BAR_PX, ParityReport, measure_parity
from facealign.models.load import Model
from facealign.pipeline.contents import contract
from facealign.runtime.ort_engine import OrtEngine
from tests.conformance.general_faults import GENERAL_FAULTS, Plant

Outputs = dict[str, NDArray[Any]]
Verdict = Callable[[bytes], ParityReport]

LEAST_FAULTS = 16  # those that need no special operator
AUTHORS_CROP_PX = 256


@pytest.fixture(scope="module")
def verdict(model: Model) -> Verdict:
    """Return a function from a graph to its parity, on a sixth of the crops."""
    names = [spec.name for spec in contract(model)[1]]
    known: dict[bytes, Outputs] = {}

    def points(pixels: NDArray[np.uint8]) -> Outputs:
        key = pixels.tobytes()
        if key not in known:  # the same crops come with every fault
            known[key] = model.points(pixels)
        return known[key]

    def measure(graph: bytes) -> ParityReport:
        engine = OrtEngine(graph, input_name="image", output_names=names, max_batch=8, threads=1)
        bar_px = PARITY_BAR_PX * model.crop.size_px / AUTHORS_CROP_PX
        crops = parity_crops(model.crop.size_px)[2::6]
        return measure_parity(points, engine.run, crops, bar_px=bar_px)

    return measure


def test_parity_catches_every_general_fault(graph: bytes, verdict: Verdict) -> None:
    spoiled = {name: planted(graph, plant) for name, plant in GENERAL_FAULTS.items()}

    reports = {name: verdict(found) for name, found in spoiled.items() if found is not None}

    assert len(reports) >= LEAST_FAULTS
    assert [name for name, report in reports.items() if report.passed] == []


def test_parity_passes_what_is_intact(graph: bytes, verdict: Verdict) -> None:
    assert verdict(graph).passed


def planted(graph: bytes, plant: Plant) -> bytes | None:
    """Return the spoiled graph, or nothing where there is nothing to spoil."""
    model = graph_from_bytes(graph)
    return bytes_from_graph(model) if plant(model) else None
