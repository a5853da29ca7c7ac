"""Frames on the device: the real kernel, compiled for the CPU, on the doubles."""

from __future__ import annotations

import gc
import logging
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from facealign.bundle import Bundle, read_bundle
from facealign.errors import BackendError, ShapeError, UsageError
from facealign.geometry import Placement, crops_from_frame, placement_from_boxes
from facealign.runtime.frame_engine import frames_of
from facealign.runtime.session import Session
from facealign.runtime.tensorrt.device import Device, open_device
from facealign.runtime.tensorrt.engine import TensorrtEngine, engine_from_plan
from facealign.runtime.tensorrt.frame_path import CropSetup
from facealign.runtime.tensorrt.kernels import bilinear_of_opencv, compiled_kernels, kernel_source
from facealign.runtime.tensorrt.plan_contract import PlanContract
from tests.conftest import CROP
from tests.doubles.cuda import Double, NvrtcDouble
from tests.doubles.cuda.fixtures import nvrtc
from tests.doubles.host_device import HostDevice
from tests.doubles.libcuda_memory import LibcudaMemory
from tests.doubles.tensorrt import TensorrtDouble

__all__ = ["nvrtc"]

# More than one run of the engine takes, some beyond the frame, one wholly beside it.
BOXES = np.array(
    [[10 + 9 * i, 8 + 7 * i, 50 + 9 * i, 48 + 7 * i] for i in range(10)]
    + [[-30, -20, 15, 25], [900, 900, 950, 950]],
    np.float64,
)
MAX_GREY = 1  # of the crop kernel against OpenCV
# A grey level of some pixels moves a landmark of the tiny graph by less; fractions of the crop.
MAX_MOVE = 1e-3


@pytest.fixture
def placement() -> Placement:
    return placement_from_boxes(BOXES, CROP.from_box)


@pytest.fixture
def engine(
    double: TensorrtDouble, cuda: Double, nvrtc: NvrtcDouble, contract: PlanContract
) -> Iterator[TensorrtEngine]:
    """Return an engine that cuts crops."""
    double.cuda = LibcudaMemory(cuda)
    device = open_device(library=str(cuda.path))
    opened = engine_from_plan(contract, device, closes_device=True, crops=setup_on(device, nvrtc))
    yield opened
    opened.close()


def setup_on(device: Device, nvrtc: NvrtcDouble) -> CropSetup:
    image = compiled_kernels(kernel_source("crop.cu"), device.info, library=str(nvrtc.path))
    return CropSetup(image, CROP, bilinear_of_opencv(cv2.__version__))


def test_crops_are_those_of_the_cpu(
    engine: TensorrtEngine, frame: NDArray[np.uint8], placement: Placement
) -> None:
    expected = crops_from_frame(frame, placement, CROP)

    found = engine.crops_from_frame(frame, placement)

    assert np.abs(found.astype(int) - expected).max() <= MAX_GREY


def test_run_frame_gives_the_landmarks_of_crops_of_the_cpu(
    engine: TensorrtEngine, frame: NDArray[np.uint8], placement: Placement
) -> None:
    crops = crops_from_frame(frame, placement, CROP)
    expected = np.concatenate([engine.run(crops[i : i + 4])["landmarks"] for i in (0, 4, 8)])

    runs = [engine.run_frame(frame, placement)["landmarks"] for _ in range(3)]

    for found in runs:
        np.testing.assert_allclose(found, expected, rtol=0, atol=MAX_MOVE)


def test_run_frame_copies_the_frame_once_and_launches_once_per_batch(
    engine: TensorrtEngine, cuda: Double, frame: NDArray[np.uint8], placement: Placement
) -> None:
    engine.run_frame(frame, placement)
    before = cuda.calls()

    engine.run_frame(frame, placement)

    after = cuda.calls()
    made = {name: after[name] - before.get(name, 0) for name in after}
    assert made["cuLaunchKernel"] == made["cuGraphLaunch"] == 3
    assert made["cuMemcpyHtoDAsync_v2"] == 1 + 3  # the frame, and the squares of each batch
    assert made.get("cuMemHostAlloc", 0) == made.get("cuMemAlloc_v2", 0) == 0


def test_an_integrated_gpu_reads_frames_where_they_are(
    double: TensorrtDouble,
    cuda: Double,
    nvrtc: NvrtcDouble,
    contract: PlanContract,
    frame: NDArray[np.uint8],
    placement: Placement,
) -> None:
    cuda.set("integrated", 1)
    double.cuda = LibcudaMemory(cuda)
    device = open_device(library=str(cuda.path))
    crops = setup_on(device, nvrtc)

    with closing(engine_from_plan(contract, device, closes_device=True, crops=crops)) as engine:
        found = engine.crops_from_frame(frame, placement).astype(int)
        landmarks = engine.run_frame(frame, placement)["landmarks"]
        expected = engine.run(found[-4:].astype(np.uint8))["landmarks"]

    assert np.abs(found - crops_from_frame(frame, placement, CROP)).max() <= MAX_GREY
    np.testing.assert_allclose(landmarks[-4:], expected, rtol=0, atol=MAX_MOVE)
    assert not [name for name in cuda.calls() if name.startswith("cuMemcpy")]


def test_run_frame_takes_frames_of_changing_size_and_strides(
    engine: TensorrtEngine, frame: NDArray[np.uint8], placement: Placement
) -> None:
    views = [frame[:40, :50], frame, frame[::2, ::-1]]

    found = [engine.crops_from_frame(view, placement) for view in views]

    for crops, view in zip(found, views, strict=True):
        expected = crops_from_frame(view, placement, CROP).astype(int)
        assert np.abs(crops - expected).max() <= MAX_GREY


def test_session_hands_frames_to_an_engine_that_takes_them(
    engine: TensorrtEngine, bundle: Bundle, cuda: Double, frame: NDArray[np.uint8]
) -> None:
    session = Session(engine, bundle.manifest)
    session.check_frames(bundle)

    faces = session.run(frame, BOXES[:11])

    assert cuda.calls()["cuLaunchKernel"] == 1 + 3  # that of the self-test, and a batch each
    assert faces.xy.shape == (11, 98, 2)


def test_session_cuts_crops_itself_where_those_of_the_engine_are_wrong(
    engine: TensorrtEngine,
    bundle: Bundle,
    frame: NDArray[np.uint8],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    session = Session(engine, bundle.manifest)
    monkeypatch.setattr(engine, "crops_from_frame", lambda *_: np.zeros((2, 16, 16, 3), np.uint8))
    monkeypatch.setattr(engine, "run_frame", None)

    with caplog.at_level(logging.WARNING):
        session.check_frames(bundle)
    faces = session.run(frame, BOXES[:2])

    assert faces.xy.shape == (2, 98, 2)
    assert caplog.records[0].message.startswith("crops are cut on the CPU: golden crop")


@pytest.fixture
def bundle(tiny_bundle: Path) -> Bundle:
    return read_bundle(tiny_bundle)


def test_close_frees_the_memory_of_frames(
    double: TensorrtDouble,
    engine: TensorrtEngine,
    cuda: Double,
    frame: NDArray[np.uint8],
    placement: Placement,
) -> None:
    engine.run_frame(frame, placement)

    engine.close()
    gc.collect()

    assert (cuda.live(), cuda.counter("orphans"), double.objects_alive()) == (0, 0, {})


@pytest.mark.parametrize("name", ["run_frame", "crops_from_frame"])
@pytest.mark.parametrize(
    ("shape", "dtype"),
    [((60, 80), np.uint8), ((60, 80, 4), np.uint8), ((0, 80, 3), np.uint8), ((60, 80, 3), float)],
    ids=["grey", "alpha", "empty", "float"],
)
def test_frames_of_other_shapes_and_types_are_refused(
    engine: TensorrtEngine, placement: Placement, name: str, shape: tuple[int, ...], dtype: type
) -> None:
    with pytest.raises(ShapeError, match=r"`frame` must be \(H, W, 3\) uint8 BGR, got"):
        getattr(engine, name)(np.zeros(shape, dtype), placement)


def test_a_frame_without_squares_is_refused(
    engine: TensorrtEngine, frame: NDArray[np.uint8]
) -> None:
    nobody = placement_from_boxes(np.empty((0, 4)), CROP.from_box)

    with pytest.raises(ShapeError, match="`squares` must be 1 or more, got 0"):
        engine.run_frame(frame, nobody)


@pytest.mark.usefixtures("double")
def test_an_engine_without_a_kernel_takes_no_frames(
    device: HostDevice,
    contract: PlanContract,
    frame: NDArray[np.uint8],
    placement: Placement,
) -> None:
    engine = engine_from_plan(contract, device)

    with pytest.raises(UsageError, match="takes crops only; open it with a kernel"):
        engine.run_frame(frame, placement)

    assert frames_of(engine) is None


@pytest.mark.parametrize("function", ["cuLaunchKernel", "cuMemcpyHtoDAsync_v2", "cuMemHostAlloc"])
def test_a_failing_call_is_one_clean_error_and_the_next_run_is_right(
    engine: TensorrtEngine,
    cuda: Double,
    frame: NDArray[np.uint8],
    placement: Placement,
    function: str,
) -> None:
    cuda.fail_at(function)

    with pytest.raises(BackendError, match=f"{function}` failed"):
        engine.crops_from_frame(frame, placement)

    expected = crops_from_frame(frame, placement, CROP).astype(int)
    found = engine.crops_from_frame(frame, placement)
    assert np.abs(found - expected).max() <= MAX_GREY
