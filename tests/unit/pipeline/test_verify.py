"""A graph beside its module: a true one, one that is off, and what is said of either."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest
from numpy.typing import NDArray

from facealign.bundle import ParityEntry
from facealign.errors import ParityError
from facealign.export.graph import bytes_from_graph
from facealign.export.parity_report import PARITY_BAR_PX, ParityReport
from facealign.models.load import Model
from facealign.pipeline import verify
from facealign.pipeline.precisions import Reductions
from facealign.pipeline.verify import (
    Points,
    measure_reduced,
    remembered_points,
    verify_graph,
    verify_reduced,
)
from tests.unit.pipeline.small_network import Told, crops_for

CROPS = 72


@pytest.fixture(scope="module")
def points(real_model: Model) -> Points:
    return remembered_points(real_model)


@pytest.fixture(scope="module")
def int8(real_reductions: Reductions) -> bytes:
    """Return a graph that is off by more than parity allows."""
    found = next(each for each in real_reductions.kept if each.precision == "int8")
    return bytes_from_graph(found.shipped)


@pytest.fixture(scope="module")
def off(real_model: Model, int8: bytes, points: Points) -> ParityReport:
    return measure_reduced(real_model, int8, points, Told())


def recorded(report: ParityReport, *, of_px: float) -> ParityEntry:
    return ParityEntry(
        max_px=of_px, p99_px=report.p99_px, crop_count=CROPS, batch_sizes=(1, 2, 3, 8), bar_px=None
    )


def with_noise(monkeypatch: pytest.MonkeyPatch, noise_px: float) -> None:
    def noise(_model: Model, _crops: NDArray[np.uint8]) -> float:
        return noise_px

    monkeypatch.setattr(verify, "rounding_noise_px", noise)


def test_remembered_points_computes_a_batch_once(
    real_model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    computed: list[int] = []
    plain = Model.points

    def count(model: Model, crops: NDArray[np.uint8]) -> object:
        computed.append(len(crops))
        return plain(model, crops)

    monkeypatch.setattr(Model, "points", count)
    points = remembered_points(real_model)
    crops = crops_for(3, size_px=real_model.crop.size_px)

    first, again, other = points(crops), points(crops.copy()), points(crops[:2])

    assert computed == [3, 2]
    assert list(first) == ["landmarks"]
    np.testing.assert_array_equal(first["landmarks"], again["landmarks"])
    assert len(other["landmarks"]) == 2


def test_verify_graph_says_how_near_the_graph_is(
    real_model: Model, real_graph: ir.Model, points: Points
) -> None:
    told = Told()

    report = verify_graph(real_model, bytes_from_graph(real_graph), told, points=points)

    assert report.passed
    assert told.texts == [
        (
            f"{CROPS} crops in batches of 1, 2, 3, 8: max {report.max_px:.4f} px, "
            f"p99 {report.p99_px:.4f} px (bar 0.01 px)"
        )
    ]
    assert (told.done, told.totals) == (3 * CROPS, {3 * CROPS})


def test_verify_graph_refuses_another_graph_and_says_where_it_begins(
    real_model: Model, int8: bytes, points: Points, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_noise(monkeypatch, 0.0)

    with pytest.raises(ParityError, match=r"px at landmark .*; first difference at `\w+.*between"):
        verify_graph(real_model, int8, Told(), points=points)


def test_verify_graph_cautions_where_the_module_is_as_noisy_as_the_graph_is_off(
    real_model: Model,
    int8: bytes,
    off: ParityReport,
    points: Points,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with_noise(monkeypatch, off.max_px)
    told = Told()

    report = verify_graph(real_model, int8, told, points=points)

    assert report.noise_px == off.max_px
    assert "; CAUTION: this network amplifies rounding" in told.texts[-1]


def test_verify_reduced_accepts_what_was_recorded(
    real_model: Model, int8: bytes, off: ParityReport, points: Points
) -> None:
    entry = recorded(off, of_px=off.max_px)

    report = verify_reduced(real_model, int8, entry, points, Told())

    assert report == off
    assert off.max_px > PARITY_BAR_PX


def test_verify_reduced_refuses_what_is_clearly_further_off_than_recorded(
    real_model: Model, int8: bytes, off: ParityReport, points: Points
) -> None:
    entry = recorded(off, of_px=(off.max_px - PARITY_BAR_PX) / 1.6)

    with pytest.raises(ParityError, match=r"at landmark \d+ of crop .* the checkpoint is another"):
        verify_reduced(real_model, int8, entry, points, Told())
