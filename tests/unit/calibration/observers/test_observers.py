"""What holds for every observer."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from facealign.calibration.observers import ObserverState, make_observer, observer_names
from facealign.errors import CalibrationError

every_observer = pytest.mark.parametrize("name", observer_names())


def observed(name: str, *parts: NDArray[np.floating]) -> float:
    observer = make_observer(name)
    for part in parts:
        observer.observe(part)
    return observer.range()


@pytest.fixture
def values(rng: np.random.Generator) -> NDArray[np.float32]:
    """Return numbers whose magnitude grows, so that histograms must widen."""
    numbers = rng.normal(size=4096) * np.geomspace(1e-3, 30, 4096)
    return numbers.astype(np.float32)


def test_observers_are_found_by_their_files() -> None:
    assert observer_names() == ("entropy", "min_max", "mse", "percentile")


def test_make_observer_lists_what_there_is() -> None:
    with pytest.raises(CalibrationError, match=r"no observer 'median'; choose one of \['entropy'"):
        make_observer("median")


@every_observer
@pytest.mark.parametrize("parts", [2, 7, 500])
def test_observer_sees_the_same_in_parts_as_in_one(
    name: str, parts: int, values: NDArray[np.float32]
) -> None:
    assert observed(name, *np.array_split(values, parts)) == observed(name, values)


@every_observer
def test_observer_does_not_depend_on_order(name: str, values: NDArray[np.float32]) -> None:
    assert observed(name, values[::-1]) == observed(name, values)


@every_observer
@pytest.mark.parametrize("cut", [1, 2000, 4095])
def test_observer_merges_to_what_one_would_have_seen(
    name: str, cut: int, values: NDArray[np.float32]
) -> None:
    first, second = make_observer(name), make_observer(name)
    first.observe(values[:cut])
    second.observe(values[cut:])

    second.merge(first.state())

    assert second.range() == observed(name, values)


@every_observer
def test_observer_goes_on_from_its_written_state(name: str, values: NDArray[np.float32]) -> None:
    before = make_observer(name)
    before.observe(values[:1000])
    written = msgspec.msgpack.encode(before.state())

    after = type(before)(msgspec.msgpack.decode(written, type=ObserverState))
    after.observe(values[1000:])

    assert after.range() == observed(name, values)


@every_observer
def test_observer_of_zeros_or_nothing_gives_zero(name: str) -> None:
    assert observed(name) == 0
    assert observed(name, np.zeros((3, 4), np.float32)) == 0


@every_observer
def test_observer_looks_at_magnitudes(name: str, values: NDArray[np.float32]) -> None:
    assert observed(name, -np.abs(values)) == observed(name, np.abs(values))


@every_observer
def test_observer_scales_with_what_it_sees(name: str, values: NDArray[np.float32]) -> None:
    assert observed(name, values * 8) == pytest.approx(8 * observed(name, values), rel=1e-6)


@every_observer
def test_observer_reads_half_precision(name: str, values: NDArray[np.float32]) -> None:
    half = values.astype(np.float16)

    assert observed(name, half) == observed(name, half.astype(np.float32))


@every_observer
def test_observer_survives_the_ends_of_float32(name: str) -> None:
    ends = np.array([1e-45, 1e-38, 1.0, 3e38], np.float32)

    assert 0 < observed(name, ends) <= 3.0000001e38


@every_observer
@pytest.mark.parametrize("number", [0.7, 1.0, 3e-5])
def test_observer_of_one_number_keeps_it(name: str, number: float) -> None:
    found = observed(name, np.full(100, number, np.float32))

    assert 127 / 128 * number <= found <= number * 1.01
