from __future__ import annotations

import msgspec
import pytest

from facealign.calibration import Ranges, Snapshot, convergence_of


def test_convergence_of_gives_the_first_count_from_which_all_stay_near(ranges: Ranges) -> None:
    found = convergence_of(ranges)

    assert found.settled_at == 2
    assert found.has_settled


def test_convergence_of_gives_the_curve_and_where_it_was(ranges: Ranges) -> None:
    found = convergence_of(ranges)

    assert found.crop_counts == (1, 2, 4, 6)
    assert found.worst_change == pytest.approx((0.5, 0.03, 0, 0))
    assert found.worst_tensor[:2] == ("a", "a")


def test_convergence_of_does_not_take_a_near_count_before_a_far_one(ranges: Ranges) -> None:
    snapshots = (Snapshot(1, (1.0, 4.0)), Snapshot(2, (1.0, 3.0)), *ranges.snapshots[2:])

    assert convergence_of(msgspec.structs.replace(ranges, snapshots=snapshots)).settled_at == 4


def test_convergence_of_ranges_that_still_move_says_so(ranges: Ranges) -> None:
    snapshots = (Snapshot(4, (0.9, 4.0)), Snapshot(6, (1.0, 4.0)))

    found = convergence_of(msgspec.structs.replace(ranges, snapshots=snapshots))

    assert found.settled_at == 6
    assert not found.has_settled


def test_convergence_of_a_silent_tensor_is_at_once(ranges: Ranges) -> None:
    found = convergence_of(
        msgspec.structs.replace(
            ranges, amax={"a": 0.0}, snapshots=(Snapshot(1, (0.0,)), Snapshot(6, (0.0,)))
        )
    )

    assert found.settled_at == 1


def test_convergence_of_no_tensors_is_at_once(ranges: Ranges) -> None:
    found = convergence_of(
        msgspec.structs.replace(ranges, amax={}, snapshots=(Snapshot(1, ()), Snapshot(6, ())))
    )

    assert found.settled_at == 1
