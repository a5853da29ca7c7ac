from __future__ import annotations

import msgspec
import pytest

from facealign.calibration import Ranges, Snapshot, convergence_of, text_of_convergence


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


def test_convergence_of_waits_for_the_last_count_that_is_far(ranges: Ranges) -> None:
    far, near = (1.0, 3.0), (1.0, 4.0)
    snapshots = (Snapshot(1, far), Snapshot(2, near), Snapshot(4, far), Snapshot(6, near))

    assert convergence_of(msgspec.structs.replace(ranges, snapshots=snapshots)).settled_at == 6


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


def test_convergence_of_counts_what_still_moved(ranges: Ranges) -> None:
    found = convergence_of(ranges)

    assert found.unsettled_count == (1, 0, 0, 0)
    assert found.tensor_count == 2


def test_text_of_convergence_says_how_many_crops_were_needed_and_what_moved_last(
    ranges: Ranges,
) -> None:
    assert text_of_convergence(convergence_of(ranges)) == (
        "ranges settled within 5 % after 2 of 6 crops (after 1, 1 of 2 were off, `a` the most "
        "by 50 %)"
    )


def test_text_of_convergence_of_ranges_that_never_moved_names_no_tensor(ranges: Ranges) -> None:
    still = msgspec.structs.replace(ranges, snapshots=ranges.snapshots[2:])

    assert text_of_convergence(convergence_of(still)) == (
        "ranges settled within 5 % after 4 of 6 crops"
    )


def test_text_of_convergence_asks_for_more_crops_if_ranges_still_move(ranges: Ranges) -> None:
    snapshots = (Snapshot(4, (0.9, 4.0)), Snapshot(6, (1.0, 4.0)))

    found = convergence_of(msgspec.structs.replace(ranges, snapshots=snapshots))

    assert text_of_convergence(found) == (
        "ranges have not settled within 5 % in 6 crops (after 4, 1 of 2 were off, `a` the most "
        "by 10 %); give more"
    )


def test_text_of_convergence_of_one_crop_claims_nothing(ranges: Ranges) -> None:
    one = msgspec.structs.replace(ranges, crop_count=1, snapshots=(Snapshot(1, (1.0, 4.0)),))

    assert "one crop does not tell" in text_of_convergence(convergence_of(one))
