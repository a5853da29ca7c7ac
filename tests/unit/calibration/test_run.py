from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from facealign.calibration import (
    Calibration,
    Ranges,
    collect_ranges,
    json_from_ranges,
    observer_names,
)
from facealign.errors import CalibrationError
from tests.unit.calibration.conftest import FakeNetwork

Crops = NDArray[np.uint8]
NAMES = ("x2", "x1", "x3")


def batches(crops: Crops, size: int) -> Iterator[Crops]:
    return (crops[start : start + size] for start in range(0, len(crops), size))


def calibration(state: Path | None = None, **changes: object) -> Calibration:
    given = {"graph_sha256": "0" * 64, "observer": "min_max", "save_every": 1, "state_path": state}
    return Calibration(**(given | changes))  # type: ignore[arg-type]  # of every field


def interrupted(network: FakeNetwork, crops: Crops, how: Calibration, *, runs: int) -> None:
    """Calibrate until Ctrl-C."""
    network.asked.clear()
    network.fail_after = runs
    with pytest.raises(KeyboardInterrupt):
        collect_ranges(network, NAMES, batches(crops, 2), how)
    network.fail_after = None
    network.asked.clear()


def test_collect_ranges_gives_the_range_of_every_tensor(network: FakeNetwork, crops: Crops) -> None:
    found = collect_ranges(network, NAMES, batches(crops, 3), calibration())

    largest = float(crops.max())
    assert found.amax == {"x1": largest, "x2": 2 * largest, "x3": 3 * largest}
    assert (found.observer, found.crop_count) == ("min_max", 13)


def test_collect_ranges_asks_for_a_few_tensors_at_a_time(
    network: FakeNetwork, crops: Crops
) -> None:
    collect_ranges(network, NAMES, [crops[:1]], calibration(names_per_run=2))

    assert network.asked == [(1, ("x1", "x2")), (1, ("x3",))]


@pytest.mark.parametrize("observer", observer_names())
@pytest.mark.parametrize("size", [1, 5, 13])
def test_collect_ranges_does_not_depend_on_batches(
    network: FakeNetwork, crops: Crops, observer: str, size: int
) -> None:
    how = calibration(observer=observer)

    found = collect_ranges(network, NAMES, batches(crops, size), how)

    expected = collect_ranges(network, reversed(NAMES), batches(crops, 2), how)
    assert json_from_ranges(found) == json_from_ranges(expected)


def test_collect_ranges_hashes_shape_and_pixels(network: FakeNetwork, crops: Crops) -> None:
    found = collect_ranges(network, NAMES, batches(crops, 4), calibration())

    digest = hashlib.sha256(b"(4, 4, 3)" + crops.tobytes()).hexdigest()
    assert found.crops_sha256 == digest


def test_collect_ranges_keeps_ranges_on_the_way(network: FakeNetwork, crops: Crops) -> None:
    found = collect_ranges(network, ["x1"], batches(crops, 13), calibration())

    counts = [snapshot.crop_count for snapshot in found.snapshots]
    assert counts == [1, 2, 4, 8, 13]
    assert [s.amax[0] for s in found.snapshots] == [float(crops[:n].max()) for n in counts]


def test_collect_ranges_of_a_power_of_two_takes_its_last_ranges_once(
    network: FakeNetwork, crops: Crops
) -> None:
    found = collect_ranges(network, ["x1"], batches(crops[:8], 3), calibration())

    assert [snapshot.crop_count for snapshot in found.snapshots] == [1, 2, 4, 8]


def test_collect_ranges_reports_every_crop(network: FakeNetwork, crops: Crops) -> None:
    done: list[int] = []

    collect_ranges(network, NAMES, batches(crops, 4), calibration(), progress=done.append)

    assert sum(done) == 13


@pytest.mark.parametrize("observer", observer_names())
@pytest.mark.parametrize(("runs", "left"), [(1, 12), (3, 9), (6, 3)])
def test_collect_ranges_resumes_to_the_same_bytes(
    network: FakeNetwork, crops: Crops, tmp_path: Path, observer: str, runs: int, left: int
) -> None:
    straight = collect_ranges(network, NAMES, batches(crops, 2), calibration(observer=observer))
    how = calibration(tmp_path / "state", observer=observer)
    interrupted(network, crops, how, runs=runs)

    resumed = collect_ranges(network, NAMES, batches(crops, 3), how)

    assert json_from_ranges(resumed) == json_from_ranges(straight)
    assert sum(count for count, _ in network.asked) == left


def test_collect_ranges_saves_no_more_often_than_asked(
    network: FakeNetwork, crops: Crops, tmp_path: Path
) -> None:
    how = calibration(tmp_path / "state", save_every=100)

    interrupted(network, crops, how, runs=5)

    assert list(tmp_path.iterdir()) == []


def test_collect_ranges_removes_its_state_in_the_end(
    network: FakeNetwork, crops: Crops, tmp_path: Path
) -> None:
    how = calibration(tmp_path / "state")
    interrupted(network, crops, how, runs=3)
    assert how.state_path is not None
    assert how.state_path.exists()

    collect_ranges(network, NAMES, batches(crops, 2), how)

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        pytest.param({"graph_sha256": "f" * 64}, "graph", id="graph"),
        pytest.param({"observer": "mse"}, "observer", id="observer"),
    ],
)
def test_collect_ranges_refuses_a_state_of_other_settings(
    network: FakeNetwork, crops: Crops, tmp_path: Path, changes: dict[str, str], what: str
) -> None:
    interrupted(network, crops, calibration(tmp_path / "state"), runs=3)

    with pytest.raises(CalibrationError, match=f"belongs to other {what}; delete it"):
        collect_ranges(
            network, NAMES, batches(crops, 2), calibration(tmp_path / "state", **changes)
        )


def test_collect_ranges_refuses_a_state_of_other_tensors(
    network: FakeNetwork, crops: Crops, tmp_path: Path
) -> None:
    how = calibration(tmp_path / "state")
    interrupted(network, crops, how, runs=3)

    with pytest.raises(CalibrationError, match="belongs to other tensors; delete it"):
        collect_ranges(network, NAMES[1:], batches(crops, 2), how)


@pytest.mark.parametrize("kept", [slice(1, None), slice(None, 3), slice(None, None, -1)])
def test_collect_ranges_refuses_a_state_of_other_crops(
    network: FakeNetwork, crops: Crops, tmp_path: Path, kept: slice
) -> None:
    how = calibration(tmp_path / "state")
    interrupted(network, crops, how, runs=3)

    with pytest.raises(CalibrationError, match="belongs to other crops; delete it"):
        collect_ranges(network, NAMES, batches(crops[kept], 2), how)


def test_collect_ranges_refuses_no_crops(network: FakeNetwork) -> None:
    with pytest.raises(CalibrationError, match="no calibration crops; give some hundred faces"):
        collect_ranges(network, NAMES, [], calibration())


def test_collect_ranges_refuses_an_unknown_observer(network: FakeNetwork, crops: Crops) -> None:
    with pytest.raises(CalibrationError, match="no observer 'median'"):
        collect_ranges(network, NAMES, [crops], calibration(observer="median"))


@pytest.mark.parametrize("number", [np.nan, np.inf])
def test_collect_ranges_refuses_what_is_not_finite(crops: Crops, number: float) -> None:
    with pytest.raises(CalibrationError, match="`x1` is not finite for a calibration crop; check"):
        collect_ranges(lambda *_: {"x1": np.array([1, number])}, ["x1"], [crops], calibration())


def test_collect_ranges_gives_plain_data(network: FakeNetwork, crops: Crops) -> None:
    found = collect_ranges(network, NAMES, [crops], calibration())

    assert msgspec.json.decode(msgspec.json.encode(found), type=Ranges) == found
