"""The kernels, compiled by the real nvcc where that is installed."""

from __future__ import annotations

from pathlib import Path
from subprocess import PIPE, run

import pytest

from facealign.errors import BackendError
from facealign.runtime.tensorrt.kernels import kernel_source
from facealign.runtime.tensorrt.kernels.nvcc import compile_by_nvcc, find_nvcc

NVCC = find_nvcc()
LIST = [str(NVCC), "--list-gpu-code"]
KNOWN = "" if NVCC is None else run(LIST, stdout=PIPE, text=True, check=False).stdout
needs_nvcc = pytest.mark.skipif(NVCC is None, reason="nvcc is not installed")


@pytest.mark.parametrize("capability", [(8, 7), (9, 0), (11, 0)], ids=["orin", "hopper", "thor"])
def test_the_kernels_compile(capability: tuple[int, int]) -> None:
    if f"sm_{capability[0]}{capability[1]}" not in KNOWN:
        pytest.skip("there is no nvcc, or it does not know this device")
    source = kernel_source("crop.cu")

    image = compile_by_nvcc(str(NVCC), source, compute_capability=capability)

    assert image.startswith(b"\x7fELF")
    assert b"crop_squares" in image


@needs_nvcc
def test_an_error_in_the_source_is_quoted() -> None:
    with pytest.raises(BackendError, match=r"nvcc` for sm_90 failed: .*error.*unknown") as got:
        compile_by_nvcc(str(NVCC), "int x = unknown;", compute_capability=(9, 0))

    assert got.value.items


def test_a_compiler_that_cannot_run_is_said(tmp_path: Path) -> None:
    with pytest.raises(BackendError, match=r"no-nvcc` cannot be run: .*; install NVRTC instead"):
        compile_by_nvcc(str(tmp_path / "no-nvcc"), "", compute_capability=(9, 0))


def test_nvcc_is_found_in_cuda_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    compiler = tmp_path / "bin" / "nvcc"
    compiler.parent.mkdir()
    compiler.write_text("#!/bin/sh\n")
    compiler.chmod(0o700)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("CUDA_HOME", str(tmp_path))

    assert find_nvcc() == str(compiler)
