"""Kernels are compiled once, and by what is there."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from facealign.errors import MissingLibraryError
from facealign.runtime.tensorrt.device import DeviceInfo
from facealign.runtime.tensorrt.kernels import compiled, compiled_kernels, kernel_source
from facealign.runtime.tensorrt.kernels.nvrtc import Nvrtc
from tests.doubles.cuda import NvrtcDouble

KERNEL = 'extern "C" __global__ void nothing(int* out) { out[0] = 1; }'
ORIN = DeviceInfo("Orin", (8, 7), is_integrated=True, memory_bytes=1, driver_version=(12, 6))
THOR = replace(ORIN, name="Thor", compute_capability=(11, 0))


@pytest.fixture(autouse=True)
def _nothing_kept(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(compiled, "_images", {})
    compiled._nvrtc.cache_clear()
    yield
    compiled._nvrtc.cache_clear()


def test_a_source_is_compiled_once(nvrtc: NvrtcDouble) -> None:
    first = compiled_kernels(KERNEL, ORIN, library=str(nvrtc.path))
    second = compiled_kernels(KERNEL, ORIN, library=str(nvrtc.path))

    assert first == second
    assert nvrtc.calls("nvrtcCompileProgram") == 1


def test_another_device_is_another_image(nvrtc: NvrtcDouble) -> None:
    first = compiled_kernels(KERNEL, ORIN, library=str(nvrtc.path))
    second = compiled_kernels(KERNEL, THOR, library=str(nvrtc.path))

    assert first != second


def test_a_newer_nvrtc_compiles_again(nvrtc: NvrtcDouble) -> None:
    compiled_kernels(KERNEL, ORIN, library=str(nvrtc.path))
    compiled._nvrtc.cache_clear()
    nvrtc.version(12, 8)

    compiled_kernels(KERNEL, ORIN, library=str(nvrtc.path))

    assert nvrtc.calls("nvrtcCompileProgram") == 2


def test_nvcc_compiles_where_there_is_no_nvrtc(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    nvcc = tmp_path / "nvcc"
    nvcc.write_text('#!/bin/sh\nwhile [ "$1" != -o ]; do shift; done; echo made > "$2"\n')
    nvcc.chmod(0o700)
    monkeypatch.setattr(compiled, "find_nvcc", lambda: str(nvcc))
    monkeypatch.setattr(compiled, "_nvrtc", no_nvrtc())

    with caplog.at_level(logging.INFO):
        image = compiled_kernels(KERNEL, ORIN)

    assert image == b"made\n"
    assert f"compiling by `{nvcc}`: NVRTC, which compiles kernels" in caplog.text


def test_neither_compiler_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiled, "find_nvcc", lambda: None)
    monkeypatch.setattr(compiled, "_nvrtc", no_nvrtc())

    with pytest.raises(MissingLibraryError, match=r"NVRTC, which compiles kernels.*install CUDA's"):
        compiled_kernels(KERNEL, ORIN)


def test_a_library_that_is_named_is_not_replaced_by_nvcc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiled, "find_nvcc", lambda: "/usr/local/cuda/bin/nvcc")

    with pytest.raises(MissingLibraryError, match=r"`no\.so`"):
        compiled_kernels(KERNEL, ORIN, library="no.so")


def test_the_source_is_in_the_package() -> None:
    assert 'extern "C" __global__ void crop_squares(' in kernel_source("crop.cu")


def no_nvrtc() -> object:
    """Return what `_nvrtc` is on a machine without the library."""
    return cache(lambda _, cuda_major: Nvrtc("no-such-library.so", cuda_major=cuda_major))
