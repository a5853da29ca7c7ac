from __future__ import annotations

import msgspec
import pytest

from facealign.calibration import Ranges, Snapshot, json_from_ranges, ranges_from_json
from facealign.errors import CalibrationError


def test_ranges_from_json_gives_what_was_written(ranges: Ranges) -> None:
    assert ranges_from_json(json_from_ranges(ranges)) == ranges


def test_json_from_ranges_does_not_depend_on_the_order_of_names(ranges: Ranges) -> None:
    other = msgspec.structs.replace(ranges, amax=dict(sorted(ranges.amax.items())))

    assert list(other.amax) != list(ranges.amax)
    assert json_from_ranges(other) == json_from_ranges(ranges)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        pytest.param({"amax": {"a": 1.0, "b": -4.0}}, "the range of `b` is -4.0", id="negative"),
        pytest.param({"amax": {"a": 1.0}}, "a snapshot has 2 ranges of 1", id="lost-range"),
        pytest.param({"crop_count": 7}, "do not lead to 7", id="lost-snapshot"),
        pytest.param({"snapshots": ()}, r"snapshots after \[\] crops", id="no-snapshots"),
        pytest.param(
            {"snapshots": (Snapshot(6, (1.0, 4.0)), Snapshot(6, (1.0, 4.0)))},
            r"snapshots after \[6, 6\] crops",
            id="snapshot-twice",
        ),
    ],
)
def test_ranges_from_json_refuses_contradictions(
    ranges: Ranges, changes: dict[str, object], message: str
) -> None:
    data = json_from_ranges(msgspec.structs.replace(ranges, **changes))

    with pytest.raises(CalibrationError, match=f"not a file of calibration ranges: .*{message}"):
        ranges_from_json(data)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"{}", id="nothing-in-it"),
        pytest.param(b"\xff", id="no-text"),
        pytest.param(b"[" * 100_000, id="deep"),
    ],
)
def test_ranges_from_json_refuses_other_files(data: bytes) -> None:
    with pytest.raises(CalibrationError, match=r"not a file of calibration ranges: .*; calibrate"):
        ranges_from_json(data)


def test_ranges_from_json_refuses_unknown_fields(ranges: Ranges) -> None:
    data = json_from_ranges(ranges).replace(b'"observer"', b'"other": 1, "observer"')

    with pytest.raises(CalibrationError, match="unknown field"):
        ranges_from_json(data)
