from __future__ import annotations

import dataclasses
import io
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from facealign.bundle import Golden, GoldenEntry, files_from_golden, golden_from_files
from facealign.errors import IntegrityError

ENTRY = GoldenEntry(max_px=0.1, max_grey=2)


def npy(array: NDArray[np.generic]) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=True)
    return stream.getvalue()


def test_golden_survives_its_files(tiny_golden: Golden) -> None:
    files = files_from_golden(tiny_golden, ENTRY)

    again = golden_from_files(files.__getitem__, ENTRY)

    np.testing.assert_array_equal(again.frame, tiny_golden.frame)
    np.testing.assert_array_equal(again.boxes, tiny_golden.boxes)
    np.testing.assert_array_equal(again.crops, tiny_golden.crops)
    np.testing.assert_array_equal(again.landmarks, tiny_golden.landmarks)


def test_files_from_golden_do_not_depend_on_strides(tiny_golden: Golden) -> None:
    strided = dataclasses.replace(tiny_golden, frame=np.asfortranarray(tiny_golden.frame))

    assert files_from_golden(strided, ENTRY) == files_from_golden(tiny_golden, ENTRY)


def test_golden_files_are_read_by_numpy_itself(tiny_golden: Golden) -> None:
    files = files_from_golden(tiny_golden, ENTRY)

    crops = np.load(io.BytesIO(files["golden/crops.npy"]), allow_pickle=False)

    np.testing.assert_array_equal(crops, tiny_golden.crops)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        pytest.param(b"", "is no .npy file", id="empty"),
        pytest.param(b"PK\x03\x04 and so on", "is no .npy file", id="zip"),
        pytest.param(b"\x93NUMPY\x01\x00\x05\x00{'a'}", "is no .npy file", id="header"),
        pytest.param(npy(np.array([{}], dtype=object)), "holds object values", id="pickle"),
        pytest.param(npy(np.zeros((1, 4), np.float32)), "holds float32 values", id="dtype"),
        pytest.param(npy(np.zeros((1, 4), ">f8")), "holds >f8 values", id="big-endian"),
        pytest.param(npy(np.asfortranarray(np.zeros((2, 4)))), "holds", id="fortran"),
        pytest.param(npy(np.zeros((1, 4)))[:-1], "is 31 bytes long", id="cut-off"),
        pytest.param(
            npy(np.zeros((1, 4))).replace(b"(1, 4), }       ", b"(99999999, 4), }"),
            "is 32 bytes long, which is not",
            id="claims-gigabytes",
        ),
    ],
)
def test_golden_from_files_rejects_another_file(
    tiny_golden: Golden, data: bytes, message: str
) -> None:
    files = files_from_golden(tiny_golden, ENTRY) | {ENTRY.boxes: data}

    with pytest.raises(IntegrityError, match=f"`golden/boxes.npy` {message}"):
        golden_from_files(files.__getitem__, ENTRY)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"landmarks": np.zeros((1, 98, 2), np.float32)}, id="counts-differ"),
        pytest.param({"boxes": np.zeros((9, 4))}, id="more-boxes-than-crops"),
        pytest.param({"frame": np.zeros((4, 4), np.uint8)}, id="grey-frame"),
        pytest.param({"boxes": np.zeros((1, 5))}, id="five-columns"),
        pytest.param({"landmarks": np.full((3, 98, 2), np.nan)}, id="all-undecided"),
    ],
)
def test_golden_from_files_rejects_arrays_that_do_not_fit(
    tiny_golden: Golden, change: dict[str, Any]
) -> None:
    files = files_from_golden(dataclasses.replace(tiny_golden, **change), ENTRY)

    with pytest.raises(IntegrityError, match="the golden arrays do not fit together"):
        golden_from_files(files.__getitem__, ENTRY)
