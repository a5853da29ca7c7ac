"""The crops of the parity check: as many as promised, all different, the same every time."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from facealign.export.crops import face_boxes, face_frame, parity_crops

COUNT = 72
both_sizes = pytest.mark.parametrize("size_px", [64, 256])


@both_sizes
def test_parity_crops_are_72_crops_of_that_size(size_px: int) -> None:
    crops = parity_crops(size_px)

    assert len(crops) == COUNT
    assert {crop.pixels.shape for crop in crops} == {(size_px, size_px, 3)}
    assert {crop.pixels.dtype for crop in crops} == {np.dtype(np.uint8)}


@both_sizes
def test_parity_crops_are_all_different(size_px: int) -> None:
    crops = parity_crops(size_px)

    assert len({crop.pixels.tobytes() for crop in crops}) == COUNT
    assert len({crop.name for crop in crops}) == COUNT


def test_parity_crops_have_neighbours_of_other_kinds() -> None:
    kinds = [crop.name.split()[0] for crop in parity_crops(64)]

    alike = sum(one == other for one, other in pairwise(kinds))
    assert alike < COUNT / 3  # measured 13; kind by kind it would be 63


@both_sizes
def test_parity_crops_are_the_same_on_every_call(size_px: int) -> None:
    first, second = parity_crops(size_px), parity_crops(size_px)

    assert [crop.name for crop in first] == [crop.name for crop in second]
    np.testing.assert_array_equal(
        np.stack([crop.pixels for crop in first]), np.stack([crop.pixels for crop in second])
    )


def test_parity_crops_have_the_same_names_at_every_size() -> None:
    assert [crop.name for crop in parity_crops(64)] == [crop.name for crop in parity_crops(96)]


@pytest.mark.parametrize(
    ("kind", "count"),
    [
        ("face", 27),
        ("flat", 6),
        ("chequered", 4),
        ("white noise", 8),
        ("waves", 20),
        ("ramp", 3),
        ("one bright pixel", 3),
    ],
)
def test_parity_crops_have_every_kind(kind: str, count: int) -> None:
    names = [crop.name for crop in parity_crops(64)]

    assert sum(name.startswith(kind) for name in names) == count


def test_parity_crops_reach_both_ends_of_the_grey_scale() -> None:
    pixels = np.stack([crop.pixels for crop in parity_crops(64)])

    assert (pixels.min(), pixels.max()) == (0, 255)


def test_parity_crops_tell_blue_from_red() -> None:
    coloured = [crop for crop in parity_crops(64) if (crop.pixels != crop.pixels[..., ::-1]).any()]

    assert len(coloured) >= COUNT // 2


def test_face_frame_cannot_be_written_into() -> None:
    with pytest.raises(ValueError, match="read-only"):
        face_frame()[0, 0] = 0


def test_face_boxes_lie_in_the_frame_but_for_one() -> None:
    height, width = face_frame().shape[:2]

    inside = (face_boxes() >= 0).all(axis=1) & (face_boxes()[:, 2:] <= (width, height)).all(axis=1)

    assert inside.tolist() == [True, True, False]
