from __future__ import annotations

import pytest
from crop_cost import boxes_in, frame_of, milliseconds

from facealign.spec import CropSpec, SquareRule


@pytest.mark.parametrize("faces", [1, 8])
def test_boxes_all_touch_the_frame_and_are_as_large(faces: int) -> None:
    boxes = boxes_in(frame_of(640, 480), faces)

    assert boxes.shape == (faces, 4)
    assert (boxes[:, 2:] - boxes[:, :2]) == pytest.approx(192)
    assert (boxes[:, 2] > 0).all()
    assert (boxes[:, 0] < 640).all()


def test_milliseconds_are_by_number_of_faces() -> None:
    spec = CropSpec(16, SquareRule(1.0, "exact"), SquareRule(1.0, "exact"))

    found = milliseconds(frame_of(64, 48), spec, rounds=1)

    assert list(found) == ["1", "2", "4", "8"]
    assert found["8"] > 0
