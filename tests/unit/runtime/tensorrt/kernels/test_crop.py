"""The kernel of the crops, compiled for the CPU, against the CPU's own crops."""

from __future__ import annotations

import math
from contextlib import closing

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from facealign.errors import ShapeError
from facealign.geometry import Placement, crops_from_frame
from facealign.runtime.tensorrt.device import Device, open_device
from facealign.runtime.tensorrt.kernels import (
    Bilinear,
    CropKernel,
    DeviceFrame,
    bilinear_of_opencv,
    compiled_kernels,
    kernel_source,
)
from facealign.spec import CropSpec, SquareRule
from tests.doubles.cuda import COMPILER, Double, NvrtcDouble

GREYS = 1  # measured 1 at most: halves are rounded to even by some, upwards by others
RULE = SquareRule(1.0, "exact")
BILINEAR = CropSpec(16, RULE, RULE, "bilinear", 90)
NEAREST = CropSpec(16, RULE, RULE, "nearest", 90)
OPENCV4 = [  # of OpenCV 4.9.0 and 4.14.0 on x86-64, which agree
    [178, 84, 145, 154, 76, 94],
    [136, 185, 182, 120, 73, 123],
    [110, 121, 146, 85, 70, 152],
    [128, 85, 96, 210, 67, 181],
    [129, 143, 30, 175, 65, 210],
    [123, 64, 188, 141, 62, 111],
]
HERE: Bilinear = bilinear_of_opencv(cv2.__version__)


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Return `crop.cu` as the double of NVRTC compiles it: for the CPU."""
    if COMPILER is None:
        pytest.skip("no g++ to compile the kernel with")
    nvrtc, double = NvrtcDouble(), Double()
    nvrtc.folder(tmp_path_factory.mktemp("kernels"))
    opened = open_device(library=str(double.path))
    made = compiled_kernels(kernel_source("crop.cu"), opened.info, library=str(nvrtc.path))
    opened.close()
    return made


class Cutter:
    """Cuts on the double what the CPU would cut."""

    def __init__(self, device: Device, image: bytes) -> None:
        self.device = device
        self.image = image

    def crops(
        self,
        frame: NDArray[np.uint8],
        placement: Placement,
        spec: CropSpec,
        *,
        pitch: int | None = None,
        bilinear: Bilinear = HERE,
    ) -> NDArray[np.uint8]:
        device, (height, width, _) = self.device, frame.shape
        pitch = 3 * width if pitch is None else pitch
        size = max(len(placement) * spec.size_px**2 * 3, 1)
        uploaded, crops = device.pinned_buffer(height * pitch), device.pinned_buffer(size)
        uploaded.array.reshape(height, pitch)[:, : 3 * width] = frame.reshape(height, 3 * width)
        on_device, target = device.device_buffer(height * pitch), device.device_buffer(size)
        stream = device.stream()
        kernel = CropKernel(device, self.image, spec, max_faces=64, bilinear=bilinear)
        where = DeviceFrame(on_device.address, height, width, pitch)
        device.copy_to_device(where.address, uploaded, size=height * pitch, stream=stream)
        kernel.write(placement, where)
        kernel.enqueue(stream, where, target.address)
        device.copy_to_host(crops, target.address, size=size, stream=stream)
        stream.synchronize()
        kernel.close()
        shape = (len(placement), spec.size_px, spec.size_px, 3)
        made: NDArray[np.uint8] = crops.array[: math.prod(shape)].reshape(shape).copy()
        for resource in (uploaded, crops, on_device, target, stream):
            resource.close()
        return made


@pytest.fixture
def cutter(device: Device, image: bytes) -> Cutter:
    return Cutter(device, image)


def noise(rng: np.random.Generator, height: int, width: int) -> NDArray[np.uint8]:
    return rng.integers(0, 256, (height, width, 3), dtype=np.uint8)


def squares(*rows: tuple[float, float, float]) -> Placement:
    """Return squares of ``(x, y, side)``."""
    table = np.array(rows, np.float64).reshape(-1, 3)
    return Placement(table[:, :2], table[:, 2])


def greys_apart(left: NDArray[np.uint8], right: NDArray[np.uint8]) -> int:
    return int(np.abs(left.astype(int) - right.astype(int)).max(initial=0))


SQUARES = pytest.mark.parametrize(
    "square",
    [
        pytest.param((30.3, 20.7, 24.9), id="inside"),
        pytest.param((0.0, 0.0, 31.0), id="over-a-corner"),
        pytest.param((61.5, 24.2, 40.25), id="over-an-edge"),
        pytest.param((30.0, 24.0, 500.0), id="around-the-frame"),
        pytest.param((-200.0, 24.0, 30.0), id="far-outside"),
        pytest.param((1e6, -1e6, 50.0), id="a-million-outside"),
        pytest.param((30.0, 24.0, 1e5), id="huge"),
        pytest.param((30.3, 20.7, 1e-3), id="tiny"),
        pytest.param((30.5, 20.5, 16.0), id="as-large-as-the-crop"),
        pytest.param((30.0, 20.0, 16.0), id="on-whole-pixels"),
    ],
)


@SQUARES
def test_bilinear_crops_are_within_a_grey_level_of_the_cpu(
    cutter: Cutter, rng: np.random.Generator, square: tuple[float, float, float]
) -> None:
    frame = noise(rng, 48, 62)

    crops = cutter.crops(frame, squares(square), BILINEAR)

    assert greys_apart(crops, crops_from_frame(frame, squares(square), BILINEAR)) <= GREYS


@SQUARES
def test_nearest_crops_are_those_of_the_cpu(
    cutter: Cutter, rng: np.random.Generator, square: tuple[float, float, float]
) -> None:
    frame = noise(rng, 48, 62)

    crops = cutter.crops(frame, squares(square), NEAREST)

    assert np.array_equal(crops, crops_from_frame(frame, squares(square), NEAREST))


@pytest.mark.parametrize("count", [0, 1, 2, 64])
@pytest.mark.parametrize("spec", [BILINEAR, NEAREST], ids=["bilinear", "nearest"])
def test_one_launch_cuts_every_face(
    cuda: Double, cutter: Cutter, rng: np.random.Generator, spec: CropSpec, count: int
) -> None:
    frame = noise(rng, 48, 62)
    placement = Placement(rng.uniform(-10, 70, (count, 2)), rng.uniform(1, 80, count))

    crops = cutter.crops(frame, placement, spec)

    assert cuda.calls().get("cuLaunchKernel", 0) == min(count, 1)
    assert greys_apart(crops, crops_from_frame(frame, placement, spec)) <= GREYS


@pytest.mark.parametrize("size_px", [1, 5, 33, 64])
@pytest.mark.parametrize("interpolation", ["bilinear", "nearest"])
def test_a_crop_of_any_size_is_filled(
    cutter: Cutter, rng: np.random.Generator, size_px: int, interpolation: str
) -> None:
    frame, placement = noise(rng, 31, 17), squares((8.2, 14.9, 21.7))
    spec = CropSpec(size_px, RULE, RULE, interpolation, 7)  # type: ignore[arg-type]  # either

    crops = cutter.crops(frame, placement, spec)

    assert greys_apart(crops, crops_from_frame(frame, placement, spec)) <= GREYS


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (40, 1), (2, 3)])
def test_a_frame_may_be_one_pixel_wide(
    cutter: Cutter, rng: np.random.Generator, shape: tuple[int, int]
) -> None:
    frame, placement = noise(rng, *shape), squares((0.6, 0.4, 3.0))

    crops = cutter.crops(frame, placement, BILINEAR)

    assert greys_apart(crops, crops_from_frame(frame, placement, BILINEAR)) <= GREYS


def test_rows_may_lie_apart(cutter: Cutter, rng: np.random.Generator) -> None:
    frame, placement = noise(rng, 48, 61), squares((30.3, 20.7, 44.9))

    apart = cutter.crops(frame, placement, BILINEAR, pitch=256)

    assert np.array_equal(apart, cutter.crops(frame, placement, BILINEAR))


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    seed=st.integers(0, 2**32 - 1),
    height=st.integers(1, 70),
    width=st.integers(1, 70),
    size_px=st.integers(1, 40),
    x=st.floats(-100, 170),
    y=st.floats(-100, 170),
    side=st.floats(0.01, 400),
    border=st.integers(0, 255),
    interpolation=st.sampled_from(["bilinear", "nearest"]),
)
def test_any_square_of_any_frame_is_cut_as_the_cpu_does(  # noqa: PLR0913, PLR0917  # by hypothesis
    cutter: Cutter,
    seed: int,
    height: int,
    width: int,
    size_px: int,
    x: float,
    y: float,
    side: float,
    border: int,
    interpolation: str,
) -> None:
    frame = noise(np.random.default_rng(seed), height, width)
    spec = CropSpec(size_px, RULE, RULE, interpolation, border)  # type: ignore[arg-type]  # either

    crops = cutter.crops(frame, squares((x, y, side)), spec)

    allowed = 0 if interpolation == "nearest" else GREYS
    assert greys_apart(crops, crops_from_frame(frame, squares((x, y, side)), spec)) <= allowed


def test_opencv4_is_what_opencv4_gives(cutter: Cutter) -> None:
    y, x, channel = np.ogrid[:12, :14, :3]
    frame = ((x * 97 + y * 151 + channel * 59 + x * y * 13) % 256).astype(np.uint8)
    spec = CropSpec(6, RULE, RULE, "bilinear", 90)

    crops = cutter.crops(frame, squares((6.37, 5.21, 9.43)), spec, bilinear="opencv4")

    assert crops[0, :, :, 1].tolist() == OPENCV4


def test_opencv4_rounds_positions_to_a_32nd_of_a_pixel(cutter: Cutter) -> None:
    frame = np.zeros((4, 64, 3), np.uint8)
    frame[:, 1::2] = 255  # one grey level is 1/255 px
    spec = CropSpec(4, RULE, RULE, "bilinear", 0)
    placement = squares((12.01, 2.0, 4.0))  # 0.01 px lies nearer to 0/32 than to 1/32

    exact = cutter.crops(frame, placement, spec, bilinear="exact")
    rounded = cutter.crops(frame, placement, spec, bilinear="opencv4")

    assert exact[0, 2, :, 0].tolist() == [3, 252, 3, 252]
    assert rounded[0, 2, :, 0].tolist() == [0, 255, 0, 255]


@pytest.mark.parametrize(
    ("version", "expected"), [("4.9.0", "opencv4"), ("4.14.0", "opencv4"), ("5.0.0", "exact")]
)
def test_a_release_of_opencv_has_its_own_rounding(version: str, expected: str) -> None:
    assert bilinear_of_opencv(version) == expected


def test_an_integrated_device_copies_no_squares(
    cuda: Double, image: bytes, rng: np.random.Generator
) -> None:
    cuda.set("integrated", 1)
    frame, placement = noise(rng, 48, 62), squares((30.3, 20.7, 24.9))

    with_mapping = open_device(library=str(cuda.path))
    crops = Cutter(with_mapping, image).crops(frame, placement, BILINEAR)
    with_mapping.close()

    assert cuda.calls()["cuMemcpyHtoDAsync_v2"] == 1  # the frame, that the test itself copies
    assert greys_apart(crops, crops_from_frame(frame, placement, BILINEAR)) <= GREYS


def test_a_captured_run_cuts_what_is_written_later(
    device: Device, image: bytes, rng: np.random.Generator
) -> None:
    frame = noise(rng, 48, 62)
    uploaded = device.pinned_buffer(frame.size, mapped=True)
    crops = device.pinned_buffer(16 * 16 * 3, mapped=True)
    uploaded.array[:] = frame.reshape(-1)
    assert uploaded.device_address is not None
    assert crops.device_address is not None
    where, target = DeviceFrame(uploaded.device_address, 48, 62, 186), crops.device_address
    kernel, stream = CropKernel(device, image, NEAREST, max_faces=1), device.stream()
    kernel.write(squares((30.3, 20.7, 24.9)), where)
    graph = device.capture(stream, lambda: kernel.enqueue(stream, where, target))
    moved = squares((11.1, 40.0, 8.5))

    kernel.write(moved, where)
    graph.launch(stream)
    stream.synchronize()

    made = crops.array.reshape(1, 16, 16, 3)
    assert np.array_equal(made, crops_from_frame(frame, moved, NEAREST))


def test_runs_allocate_nothing(cuda: Double, device: Device, image: bytes) -> None:
    kernel, stream = CropKernel(device, image, NEAREST, max_faces=4), device.stream()
    memory = device.device_buffer(4 * 16 * 16 * 3)
    where = DeviceFrame(memory.address, 8, 8, 24)
    before = cuda.counter("allocations")

    for _ in range(50):
        kernel.write(squares((1, 2, 3), (4, 5, 6)), where)
        kernel.enqueue(stream, where, memory.address)
        stream.synchronize()

    assert cuda.counter("allocations") == before


def test_more_faces_than_it_takes_are_refused(device: Device, image: bytes) -> None:
    kernel = CropKernel(device, image, NEAREST, max_faces=1)

    with pytest.raises(ShapeError, match="2 squares, and this kernel takes 1; cut them in several"):
        kernel.write(squares((1, 2, 3), (4, 5, 6)), DeviceFrame(1, 8, 8, 24))


@pytest.mark.parametrize("max_faces", [0, 65536])
def test_a_launch_takes_no_more_faces_than_cuda(
    device: Device, image: bytes, max_faces: int
) -> None:
    with pytest.raises(ValueError, match="`max_faces` must be 1 to 65535, got"):
        CropKernel(device, image, NEAREST, max_faces=max_faces)


@pytest.mark.parametrize("pitch", [23, 1 << 31])
def test_a_pitch_that_rows_or_the_kernel_do_not_fit_is_refused(pitch: int) -> None:
    with pytest.raises(ShapeError, match=rf"8 px per row must be 24 to 2147483647 .*got {pitch}"):
        DeviceFrame(1, 8, 8, pitch)


@pytest.mark.parametrize(("height", "width"), [(0, 8), (8, 0), (1 << 31, 8)])
def test_a_frame_without_pixels_or_with_too_many_rows_is_refused(height: int, width: int) -> None:
    with pytest.raises(ShapeError, match=f"rows of 1 px or more, got {height} of {width} px"):
        DeviceFrame(1, height, width, 24)


@pytest.mark.parametrize("integrated", [0, 1])
def test_a_closed_kernel_is_refused_and_writes_to_no_memory(
    cuda: Double, image: bytes, integrated: int
) -> None:
    cuda.set("integrated", integrated)
    where, one = DeviceFrame(1, 8, 8, 24), squares((1, 2, 3))

    with closing(open_device(library=str(cuda.path))) as opened:
        kernel, stream = CropKernel(opened, image, NEAREST, max_faces=1), opened.stream()
        kernel.write(one, where)
        kernel.close()

        with pytest.raises(ValueError, match="the kernel is closed; use it before its `close`"):
            kernel.write(one, where)
        with pytest.raises(ValueError, match="the kernel is closed"):
            kernel.enqueue(stream, where, 1)

    assert "cuLaunchKernel" not in cuda.calls()


@pytest.mark.parametrize("function", ["cuMemAlloc_v2", "cuMemHostAlloc", "cuModuleLoadData"])
def test_a_kernel_that_cannot_be_opened_leaves_nothing(
    cuda: Double, device: Device, image: bytes, function: str
) -> None:
    cuda.fail_at(function, error=2)

    with pytest.raises(Exception, match=f"`{function}` failed"):
        CropKernel(device, image, BILINEAR, max_faces=4)

    assert cuda.live("device_memory") + cuda.live("host_memory") == 0


def test_an_image_is_loaded_once(cuda: Double, device: Device, image: bytes) -> None:
    CropKernel(device, image, BILINEAR, max_faces=4)
    CropKernel(device, image, NEAREST, max_faces=4)

    assert cuda.calls()["cuModuleLoadData"] == 1
    assert cuda.live("module") == 1
