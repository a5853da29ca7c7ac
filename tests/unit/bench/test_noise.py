from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from facealign.bench.noise import (
    CpuShares,
    CpuTimes,
    cpu_shares,
    drift_percent,
    noise_flags,
    read_cpu_times,
    scatter_percent,
    slowness_of,
)

_ROUNDS = 24
_QUIET = CpuShares(foreign_percent=1.0, steal_percent=0.2)


@pytest.fixture
def quiet_ms(rng: np.random.Generator) -> NDArray[np.float64]:
    """Return rounds as a quiet machine gives them: 0.5 % around 10 ms."""
    return rng.normal(10, 0.05, _ROUNDS)


def test_noise_flags_finds_nothing_on_a_quiet_machine(quiet_ms: NDArray[np.float64]) -> None:
    assert noise_flags({"onnxruntime": [quiet_ms]}, _QUIET, cores=8) == ()


def test_noise_flags_finds_nothing_on_an_idle_virtual_machine(rng: np.random.Generator) -> None:
    shared = rng.normal(1, 0.12, _ROUNDS)  # 6 to 19 % measured, of rounds on 2 cores
    rounds_ms = [run_ms * shared * rng.normal(1, 0.1, _ROUNDS) for run_ms in (7.0, 50.0, 9.0)]

    assert noise_flags({"onnxruntime": rounds_ms}, _QUIET, cores=2) == ()


def test_noise_flags_does_not_mind_a_few_interrupted_rounds(quiet_ms: NDArray[np.float64]) -> None:
    quiet_ms[[3, 11, 17]] = 40.0

    assert noise_flags({"onnxruntime": [quiet_ms]}, _QUIET) == ()


@pytest.mark.parametrize(
    ("foreign_percent", "cores", "took", "most"),
    [(48.04, 2, "48.0", "5"), (3.125, 32, "3.1", "1.56")],
    ids=["much", "one core of 32"],
)
def test_noise_flags_names_a_planted_load(
    foreign_percent: float, cores: int, took: str, most: str
) -> None:
    flags = noise_flags({}, CpuShares(foreign_percent, steal_percent=0.0), cores=cores)

    (flag,) = flags
    assert flag == (
        f"other processes took {took} % of the time of all cores (more than {most} %); end them, "
        "`top` names them"
    )


@pytest.mark.parametrize(("foreign_percent", "cores"), [(4.9, 2), (1.5, 32)])
def test_noise_flags_lets_little_pass(foreign_percent: float, cores: int) -> None:
    assert noise_flags({}, CpuShares(foreign_percent, steal_percent=0.0), cores=cores) == ()


def test_noise_flags_tells_other_guests_from_other_processes() -> None:
    flags = noise_flags({}, CpuShares(foreign_percent=7.0, steal_percent=6.0))

    (flag,) = flags
    assert flag == (
        "the host gave 6.0 % of the time of all cores to other guests (more than 1 %); wait until "
        "they are done, or take a machine of your own"
    )


def test_noise_flags_says_that_the_processor_was_hot() -> None:
    flags = noise_flags({}, None, throttled=3)

    assert flags == ("the processor was slowed down for its heat; let it cool down",)


def test_noise_flags_names_the_engine_that_was_throttled(quiet_ms: NDArray[np.float64]) -> None:
    throttled = np.linspace(1, 1.3, _ROUNDS)
    rounds_ms = {
        "onnxruntime": [quiet_ms] * 6,
        "tensorrt": [quiet_ms * throttled, 5 * quiet_ms * throttled],
        "openvino": [quiet_ms / throttled],
    }

    flags = noise_flags(rounds_ms, _QUIET)

    assert [re.sub(r"\d+ %", "N %", flag) for flag in flags] == [
        f"the last third of the rounds on {engine} was N % {how} than the first (more than N %); "
        "heat or other work came or went, so wait until it is steady"
        for engine, how in (("tensorrt", "slower"), ("openvino", "faster"))
    ]


def test_noise_flags_finds_a_throttle_that_comes_and_goes(quiet_ms: NDArray[np.float64]) -> None:
    waves = np.where(np.arange(_ROUNDS) // 3 % 2, 1.5, 1.0)

    flags = noise_flags({"onnxruntime": [quiet_ms * waves, quiet_ms * waves]}, _QUIET)

    assert len(flags) == 1
    assert re.fullmatch(
        r"rounds on onnxruntime scatter by 3\d % around their median \(more than 25 %\); fix the "
        "clocks, or take a machine that nobody shares",
        flags[0],
    )


def test_slowness_of_is_what_the_candidates_share() -> None:
    shared = np.array([1.0, 1.0, 2.0, 1.0, 1.0])
    alone = np.array([1.0, 4.0, 1.0, 1.0, 1.0])

    found = slowness_of([7.0 * shared, 50.0 * shared * alone])

    np.testing.assert_allclose(found, [1.0, 2.0, 2.0, 1.0, 1.0])


def test_drift_percent_is_signed() -> None:
    steps = np.repeat([10.0, 11.0, 12.0], 8)

    assert drift_percent(steps) == pytest.approx(20.0)
    assert drift_percent(steps[::-1]) == pytest.approx(-100 / 6)


def test_drift_percent_is_seldom_found_in_noise(rng: np.random.Generator) -> None:
    found = [drift_percent(rng.normal(10, 2, _ROUNDS)) for _ in range(100)]

    assert sum(each is not None for each in found) <= 5  # 1 of 100 by its construction


def test_drift_percent_needs_three_rounds() -> None:
    assert drift_percent(np.array([1.0, 9.0])) is None


def test_scatter_percent_is_the_deviation_of_a_normal_distribution(
    rng: np.random.Generator,
) -> None:
    found = scatter_percent(rng.normal(100, 3, 10_000))

    assert found == pytest.approx(3.0, rel=0.05)


def test_read_cpu_times_counts_guests_once_and_no_waiting(tmp_path: Path) -> None:
    (tmp_path / "proc").mkdir()
    line = "cpu  100 20 30 1000 50 6 4 40 90 10\ncpu0 1 2 3\n"
    (tmp_path / "proc/stat").write_text(line)

    found = read_cpu_times(tmp_path)

    assert found is not None
    assert found.busy_s / found.total_s == pytest.approx(160 / 1250)
    assert found.steal_s / found.total_s == pytest.approx(40 / 1250)


@pytest.mark.parametrize("text", ["", "cpu 1 2 3\n", "cpu a b c d e f g h i j\n", "intr 1\n"])
def test_read_cpu_times_is_none_where_the_file_says_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/stat").write_text(text)

    assert read_cpu_times(tmp_path) is None


def test_read_cpu_times_is_none_without_the_file(tmp_path: Path) -> None:
    assert read_cpu_times(tmp_path) is None


def test_cpu_shares_takes_the_measurement_off() -> None:
    looks = [
        (CpuTimes(10, 1, 100), CpuTimes(12, 1.5, 108)),
        (CpuTimes(99, 1, 300), CpuTimes(103, 1.5, 312)),  # what was between is nobody's
    ]

    found = cpu_shares(looks, own_s=5.0)

    assert found is not None
    assert found.foreign_percent == pytest.approx(10.0)  # 1 s of processes and 1 of guests
    assert found.steal_percent == pytest.approx(5.0)


def test_cpu_shares_is_not_below_zero() -> None:
    found = cpu_shares([(CpuTimes(10, 1, 100), CpuTimes(14, 1, 120))], own_s=4.1)

    assert found == CpuShares(0.0, 0.0)


@pytest.mark.parametrize(
    ("before", "after"),
    [(None, CpuTimes(1, 1, 1)), (CpuTimes(1, 1, 1), None), (CpuTimes(1, 0, 5), CpuTimes(1, 0, 5))],
    ids=["not before", "not after", "stands still"],
)
def test_cpu_shares_is_none_where_it_cannot_be_known(
    before: CpuTimes | None, after: CpuTimes | None
) -> None:
    assert cpu_shares([(before, after)], own_s=1.0) is None
