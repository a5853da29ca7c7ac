from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from facealign.bundle import Golden, Manifest, files_from_golden, read_bundle, write_bundle
from facealign.errors import IntegrityError, SelfTestError
from facealign.runtime import open_session
from facealign.runtime.fake_engine import FakeEngine
from facealign.runtime.self_test import check_golden_crops

WriteGolden = Callable[[Golden], Path]
WriteInt8 = Callable[[tuple[float, ...]], Path]


@pytest.fixture
def write_golden(
    tmp_path: Path, tiny_manifest: Manifest, tiny_files: dict[str, bytes]
) -> WriteGolden:
    """Return a function that writes the tiny bundle with other golden arrays."""

    def write(golden: Golden) -> Path:
        files = tiny_files | files_from_golden(golden, tiny_manifest.golden)
        return write_bundle(tmp_path / "other", tiny_manifest, files)

    return write


def moved(golden: Golden, *, crop: int, landmark: int, by_px: float) -> Golden:
    landmarks = golden.landmarks.copy()
    landmarks[crop, landmark, 1] += by_px / 16
    return dataclasses.replace(golden, landmarks=landmarks)


def test_open_session_names_the_worst_landmark(
    write_golden: WriteGolden, tiny_golden: Golden
) -> None:
    bundle = write_golden(moved(tiny_golden, crop=2, landmark=42, by_px=0.5))

    with pytest.raises(
        SelfTestError, match=r"landmark 42 of golden crop 2 is 0.5000 px off, at most 0.01 px"
    ):
        open_session(bundle)


def test_open_session_accepts_landmarks_within_the_tolerance(
    write_golden: WriteGolden, tiny_golden: Golden
) -> None:
    bundle = write_golden(moved(tiny_golden, crop=2, landmark=42, by_px=0.009))

    open_session(bundle).close()


def test_open_session_names_the_worst_crop_when_opencv_cuts_in_another_way(
    write_golden: WriteGolden, tiny_golden: Golden
) -> None:
    crops = tiny_golden.crops.copy()
    crops[1, 3, 15] += np.uint8(9)
    bundle = write_golden(dataclasses.replace(tiny_golden, crops=crops))

    with pytest.raises(SelfTestError, match=r"golden crop 1 is 9 grey levels off, at most 4 are"):
        open_session(bundle)


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(lambda right: right[:1].repeat(len(right), axis=0), id="batch-repeated"),
        pytest.param(lambda right: right[..., ::-1], id="x-and-y-swapped"),
        pytest.param(lambda right: right + 0.5 / 16, id="half-a-pixel"),
        pytest.param(lambda right: right.astype(np.float16) + 0.002, id="coarse"),
    ],
)
def test_open_session_finds_a_planted_fault_and_closes_the_engine(
    tiny_bundle: Path,
    tiny_golden: Golden,
    fault: Callable[[NDArray[np.float32]], NDArray[np.float32]],
) -> None:
    engine = FakeEngine(lambda _: fault(tiny_golden.landmarks))

    with pytest.raises(SelfTestError, match=r"this engine does not compute what the bundle's"):
        open_session(tiny_bundle, engine=engine)

    assert engine.is_closed


def test_open_session_skips_the_self_test_when_told(
    write_golden: WriteGolden, tiny_golden: Golden
) -> None:
    bundle = write_golden(moved(tiny_golden, crop=0, landmark=0, by_px=5))

    open_session(bundle, self_test=False).close()


@pytest.fixture
def write_int8(
    tmp_path: Path, tiny_manifest: Manifest, tiny_files: dict[str, bytes], tiny_golden: Golden
) -> WriteInt8:
    """Return a function from ``golden_px`` to a bundle with INT8, off by 0.5 px on crop 0."""

    def write(golden_px: tuple[float, ...]) -> Path:
        fp32 = tiny_manifest.graphs["fp32"]
        graphs = {"fp32": fp32, "int8": msgspec.structs.replace(fp32, golden_px=golden_px)}
        files = tiny_files | files_from_golden(
            moved(tiny_golden, crop=0, landmark=0, by_px=0.5), tiny_manifest.golden
        )
        manifest = msgspec.structs.replace(tiny_manifest, graphs=graphs)
        return write_bundle(tmp_path / "two", manifest, files)

    return write


def test_self_test_allows_a_reduced_precision_what_was_measured_on_it(
    write_int8: WriteInt8,
) -> None:
    bundle = write_int8((0.4, 0.0, 0.0))

    open_session(bundle, precision="int8").close()

    with pytest.raises(SelfTestError, match=r"landmark 0 of golden crop 0 is 0.5000 px off"):
        open_session(bundle, precision="fp32")


def test_self_test_allows_each_crop_no_more_than_was_measured_on_it(write_int8: WriteInt8) -> None:
    bundle = write_int8((0.3, 9.0, 9.0))

    with pytest.raises(SelfTestError, match=r"golden crop 0 is 0.5000 px off, at most 0.45 px"):
        open_session(bundle, precision="int8")


def test_open_session_refuses_tolerances_of_other_crops(write_int8: WriteInt8) -> None:
    bundle = write_int8((0.4,))

    with pytest.raises(IntegrityError, match="1 tolerances for 3 golden crops of int8"):
        open_session(bundle, precision="int8")


def undecided(golden: Golden, *, landmark: int) -> Golden:
    landmarks = golden.landmarks.copy()
    landmarks[:, landmark] = np.nan
    return dataclasses.replace(golden, landmarks=landmarks)


def test_open_session_passes_over_landmarks_that_were_undecided(
    write_golden: WriteGolden, tiny_golden: Golden
) -> None:
    bundle = write_golden(undecided(tiny_golden, landmark=42))

    open_session(bundle).close()


def test_open_session_compares_the_landmarks_beside_those(
    write_golden: WriteGolden, tiny_golden: Golden
) -> None:
    golden = undecided(moved(tiny_golden, crop=2, landmark=41, by_px=0.5), landmark=42)
    bundle = write_golden(golden)

    with pytest.raises(SelfTestError, match=r"landmark 41 of golden crop 2 is 0.5000 px off"):
        open_session(bundle)


def test_golden_crops_may_be_cut_by_an_engine(tiny_bundle: Path, tiny_golden: Golden) -> None:
    check_golden_crops(read_bundle(tiny_bundle), lambda *_: tiny_golden.crops[:2])


def test_golden_crops_name_the_worst_that_an_engine_cuts(
    tiny_bundle: Path, tiny_golden: Golden
) -> None:
    crops = tiny_golden.crops[:2].copy()
    crops[1, 3, 4, 0] ^= 128

    with pytest.raises(SelfTestError, match="golden crop 1 is 128 grey levels off, at most 4 are"):
        check_golden_crops(read_bundle(tiny_bundle), lambda *_: crops)
