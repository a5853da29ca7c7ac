"""Which back `open_device` takes, and what it says where there is none."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from facealign.errors import BackendError, MissingLibraryError
from facealign.runtime.tensorrt.device import open_device
from facealign.runtime.tensorrt.device.driver import default_library
from tests.doubles.cuda import Double, build

OPEN = "facealign.runtime.tensorrt.device.open"


@pytest.fixture
def no_pycuda(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pycuda", None)


@pytest.fixture
def double_is_the_systems(cuda: Double, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "facealign.runtime.tensorrt.device.driver.default_library", lambda: str(cuda.path)
    )


@pytest.mark.usefixtures("no_pycuda", "double_is_the_systems")
def test_auto_takes_ctypes_where_there_is_no_pycuda(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, OPEN):
        opened = open_device()
    opened.close()

    assert opened.back == "ctypes"
    assert "taking the back `ctypes`: `pycuda` is not installed" in caplog.text


@pytest.mark.usefixtures("no_pycuda", "double_is_the_systems")
def test_pycuda_by_name_is_never_replaced() -> None:
    with pytest.raises(MissingLibraryError, match=r'not installed; `pip install "facealign\[trt\]'):
        open_device(back="pycuda")


@pytest.mark.usefixtures("double_is_the_systems")
def test_ctypes_by_name_is_taken() -> None:
    opened = open_device(back="ctypes")
    opened.close()

    assert opened.back == "ctypes"


def test_a_library_implies_ctypes(cuda: Double) -> None:
    opened = open_device(library=str(cuda.path))
    opened.close()

    assert opened.back == "ctypes"


def test_a_library_is_none_of_pycudas() -> None:
    with pytest.raises(ValueError, match="pycuda finds the driver itself; pass `library` with"):
        open_device(back="pycuda", library="libcuda.so.1")


def test_another_back_is_refused() -> None:
    with pytest.raises(ValueError, match="must be 'auto', 'pycuda' or 'ctypes', got 'opencl'"):
        open_device(back="opencl")  # type: ignore[arg-type]  # on purpose


def test_a_missing_driver_says_what_to_install() -> None:
    with pytest.raises(
        BackendError, match=r"`no\.so` cannot be loaded .*; install NVIDIA's driver"
    ):
        open_device(library="no.so")


@pytest.mark.usefixtures("cuda")
def test_a_driver_that_is_too_old_is_named(tmp_path: Path) -> None:
    source = tmp_path / "old.cpp"
    source.write_text('extern "C" int cuInit(unsigned) { return 0; }\n')
    library = build("libold.so", source)

    with pytest.raises(BackendError, match=r"libold\.so` has no `cu\w+`; update NVIDIA's driver"):
        open_device(library=str(library))


def test_no_device_says_how_to_look(cuda: Double) -> None:
    cuda.set("device_count", 0)

    with pytest.raises(BackendError, match=r"`cuInit` failed: CUDA_ERROR_NO_DEVICE.*`nvidia-smi`"):
        open_device(library=str(cuda.path))


def test_a_device_that_is_not_there_says_how_to_count(cuda: Double) -> None:
    with pytest.raises(BackendError, match=r"CUDA_ERROR_INVALID_DEVICE.*`nvidia-smi -L`"):
        open_device(3, library=str(cuda.path))


@pytest.mark.parametrize(("platform", "name"), [("linux", "libcuda.so.1"), ("win32", "nvcuda.dll")])
def test_the_driver_has_a_name_per_system(
    monkeypatch: pytest.MonkeyPatch, platform: str, name: str
) -> None:
    monkeypatch.setattr("sys.platform", platform)

    assert default_library() == name
