"""What a report of parity says, and when it has passed."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from facealign.errors import ParityError
from facealign.export.parity_report import PARITY_BAR_PX, ParityReport, check_parity


@pytest.fixture
def report() -> ParityReport:
    return ParityReport(
        max_px=0.5,
        p99_px=0.25,
        batch_px=0.0,
        worst_crop="grey 11",
        worst_landmark=3,
        worst_batch=2,
        crop_count=20,
        bar_px=PARITY_BAR_PX,
        landmark_count=100,
    )


def test_check_parity_names_place_and_bar(report: ParityReport) -> None:
    with pytest.raises(
        ParityError,
        match=r"graph and module differ by 0\.5 px at landmark 3 of crop 'grey 11' at batch 2 "
        r"\(allowed 0\.01 px, 99 % of landmarks are within 0\.25 px\)",
    ):
        check_parity(report)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"max_px": 0.01, "batch_px": 0.0}, id="max"),
        pytest.param({"max_px": 0.0, "batch_px": 0.01}, id="batch"),
    ],
)
def test_check_parity_passes_what_is_on_the_bar(
    report: ParityReport, change: dict[str, float]
) -> None:
    check_parity(dataclasses.replace(report, **change))  # type: ignore[arg-type]  # all are floats


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"max_px": np.nan, "batch_px": 0.0}, id="max"),
        pytest.param({"max_px": 0.0, "batch_px": np.nan}, id="batch"),
    ],
)
def test_report_that_is_no_number_has_not_passed(
    report: ParityReport, change: dict[str, float]
) -> None:
    assert not dataclasses.replace(report, **change).passed  # type: ignore[arg-type]  # floats


def test_report_with_small_noise_keeps_its_bar(report: ParityReport) -> None:
    noisy = report.with_noise(0.002)

    assert (noisy.bar_px, noisy.noise_px) == (PARITY_BAR_PX, 0.002)
    assert not noisy.passed


def test_report_with_noise_as_large_as_its_distance_passes(report: ParityReport) -> None:
    noisy = report.with_noise(0.2)

    assert noisy.bar_px == pytest.approx(0.8)
    check_parity(noisy)


@pytest.mark.parametrize("noise_px", [np.inf, np.nan])
def test_report_with_noise_that_is_no_number_keeps_its_bar(
    report: ParityReport, noise_px: float
) -> None:
    assert report.with_noise(noise_px).bar_px == PARITY_BAR_PX
