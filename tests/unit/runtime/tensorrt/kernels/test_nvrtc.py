"""NVRTC: on its double, and on the real one wherever that is installed."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from facealign.errors import BackendError, MissingLibraryError
from facealign.runtime.tensorrt.kernels import kernel_source
from facealign.runtime.tensorrt.kernels.nvrtc import Nvrtc, library_candidates
from tests.doubles.cuda import NvrtcDouble

KERNEL = 'extern "C" __global__ void nothing(int* out) { out[0] = 1; }'
STEPS = [
    "nvrtcVersion",
    "nvrtcGetNumSupportedArchs",
    "nvrtcGetSupportedArchs",
    "nvrtcCreateProgram",
    "nvrtcCompileProgram",
    "nvrtcGetCUBINSize",
    "nvrtcGetCUBIN",
    "nvrtcDestroyProgram",
]


def compiled(nvrtc: NvrtcDouble, capability: tuple[int, int] = (8, 7)) -> bytes:
    return Nvrtc(str(nvrtc.path)).compile(KERNEL, compute_capability=capability)


@pytest.mark.parametrize(
    ("capability", "expected"),
    [
        pytest.param((8, 7), "--gpu-architecture=sm_87", id="known"),
        pytest.param((11, 0), "--gpu-architecture=compute_90", id="newer-than-the-library"),
        pytest.param((8, 8), "--gpu-architecture=compute_87", id="between"),
    ],
)
def test_the_image_is_for_the_device(
    nvrtc: NvrtcDouble, capability: tuple[int, int], expected: str
) -> None:
    compiled(nvrtc, capability)

    assert nvrtc.options()[0] == expected


def test_a_device_older_than_the_library_is_refused(nvrtc: NvrtcDouble) -> None:
    with pytest.raises(BackendError, match=r"nothing for compute capability 7\.2, .*oldest 7\.5"):
        compiled(nvrtc, (7, 2))


def test_an_error_in_the_source_is_quoted(nvrtc: NvrtcDouble) -> None:
    library = Nvrtc(str(nvrtc.path))

    with pytest.raises(BackendError, match=r"NVRTC_ERROR_COMPILATION: kernel\.cu:1.*error") as got:
        library.compile("int x = unknown;", compute_capability=(8, 7))

    assert any("unknown" in line for line in got.value.items)
    assert nvrtc.live() == 0


@pytest.mark.parametrize("function", STEPS)
def test_a_call_that_fails_is_named_and_leaves_no_program(
    nvrtc: NvrtcDouble, function: str
) -> None:
    nvrtc.fail_at(function)

    with pytest.raises(BackendError, match=f"`{function}` failed: NVRTC_ERROR_INTERNAL_ERROR"):
        compiled(nvrtc)

    assert nvrtc.live() == 0


def test_a_missing_library_says_what_to_install() -> None:
    with pytest.raises(MissingLibraryError, match=r"NVRTC.*`nothing\.so`.*install CUDA's package"):
        Nvrtc("nothing.so")


def test_another_library_is_no_nvrtc() -> None:
    with pytest.raises(BackendError, match=r"`libc\.so\.6` has no `nvrtc\w+`; install NVRTC"):
        Nvrtc("libc.so.6")


@pytest.mark.parametrize(
    ("major", "expected"),
    [
        pytest.param(12, ["libnvrtc.so.12", "libnvrtc.so.11.2", "libnvrtc.so.13"], id="12"),
        pytest.param(13, ["libnvrtc.so.13", "libnvrtc.so.12", "libnvrtc.so.11.2"], id="13"),
        pytest.param(None, ["libnvrtc.so.13", "libnvrtc.so.12", "libnvrtc.so.11.2"], id="any"),
    ],
)
def test_the_drivers_own_version_comes_first(
    monkeypatch: pytest.MonkeyPatch, major: int | None, expected: list[str]
) -> None:
    monkeypatch.setattr("sys.platform", "linux")

    names = [name for name in library_candidates(major) if "/" not in name]

    assert names == expected


def test_cuda_home_is_searched(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setenv("CUDA_HOME", str(tmp_path))

    assert str(tmp_path / "lib64" / "libnvrtc.so.12") in library_candidates()


def test_the_builtins_beside_the_library_are_loaded(nvrtc: NvrtcDouble, tmp_path: Path) -> None:
    nvrtc.version(12, 6)
    copied, builtins = tmp_path / "libnvrtc.so.12", tmp_path / "libnvrtc-builtins.so.12.6"
    shutil.copyfile(nvrtc.path, copied)
    shutil.copyfile(nvrtc.path, builtins)

    Nvrtc(str(copied))

    assert str(builtins) in Path("/proc/self/maps").read_text(encoding="utf-8")


@pytest.mark.parametrize("capability", [(8, 7), (9, 0), (11, 0)], ids=["orin", "hopper", "thor"])
def test_the_real_library_compiles_the_kernels(capability: tuple[int, int]) -> None:
    try:
        library = Nvrtc()
    except MissingLibraryError:
        pytest.skip("NVRTC is not installed")

    image = library.compile(kernel_source("crop.cu"), compute_capability=capability)

    assert b"crop_squares" in image
    assert b"normalise_crops" in image
