"""The one command that mends something, on each kind of machine."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from facealign.machine.packages import Python
from facealign.machine.system import read_system
from facealign.pipeline.doctor_remedy import (
    Situation,
    driver_problem,
    read_situation,
    remedy,
    why_not_here,
)
from facealign.pipeline.probes import LIBRARY_PROBES
from tests.unit.machine.machines import (
    pci_device,
    write_container,
    write_files,
    write_jetson,
    write_pc,
)

PYPROJECT = (Path(__file__).parents[3] / "pyproject.toml").read_text()

SYSTEM = Python((3, 10, 12), Path("/usr"), is_virtual=False, sees_system=True)
VENV = Python((3, 10, 12), Path("/home/me/venv"), is_virtual=True, sees_system=False)
OTHER = Python((3, 13, 0), Path("/usr"), is_virtual=False, sees_system=True)


@pytest.fixture
def orin(tmp_path: Path) -> Situation:
    return replace(_read(write_jetson(tmp_path, "6.2")), python=SYSTEM)


def _read(root: Path) -> Situation:
    return read_situation(read_system(root), root)


def _pc(root: Path, *, driver: str) -> Situation:
    return _read(write_pc(root, driver=driver))


@pytest.mark.parametrize(
    ("name", "command"),
    [
        ("onnxruntime", 'pip install "facealign[ort]"'),
        ("openvino", 'pip install "facealign[openvino]"'),
        ("torch", 'pip install "facealign[compile]"'),
        ("onnx_ir", 'pip install "facealign[compile]"'),
        ("h5py", 'pip install "facealign[datasets]"'),
        ("jinja2", 'pip install "facealign[report]"'),
    ],
)
def test_a_missing_library_comes_with_its_extra(orin: Situation, name: str, command: str) -> None:
    assert remedy(name, is_missing=True, here=orin) == command


@pytest.mark.parametrize(
    ("name", "package"), [("onnx_ir", "onnx-ir"), ("onnxruntime", "onnxruntime")]
)
def test_a_broken_library_is_installed_again(orin: Situation, name: str, package: str) -> None:
    expected = f"pip install --force-reinstall {package}"

    assert remedy(name, is_missing=False, here=orin) == expected


def test_two_runtimes_that_overwrite_each_other_both_go(orin: Situation) -> None:
    here = replace(orin, has_two_runtimes=True)

    assert remedy("onnxruntime", is_missing=False, here=here) == (
        "pip uninstall --yes onnxruntime onnxruntime-gpu "
        "&& pip install --force-reinstall onnxruntime"
    )


_PYTHONS = {
    "not on the path": (SYSTEM, "export PYTHONPATH={root}/usr/lib/python3.10/dist-packages"),
    "a closed environment": (VENV, "python3.10 -m venv --system-site-packages /home/me/venv"),
    "another Python": (OTHER, "python3.10 -m venv --system-site-packages .venv"),
}


@pytest.mark.parametrize(("python", "command"), _PYTHONS.values(), ids=_PYTHONS.keys())
def test_a_jetson_brings_its_bindings_to_this_python(
    tmp_path: Path, orin: Situation, python: Python, command: str
) -> None:
    found = remedy("tensorrt", is_missing=True, here=replace(orin, python=python))

    assert found == command.format(root=tmp_path)


def test_a_jetson_without_bindings_gets_them_by_apt(orin: Situation) -> None:
    here = replace(orin, bindings={})

    assert remedy("tensorrt", is_missing=True, here=here) == "sudo apt install python3-libnvinfer"


@pytest.mark.parametrize("jetpack", ["5.1", "6.0"])
def test_a_jetpack_before_6_1_has_no_tensorrt_that_can_be_used(
    tmp_path: Path, jetpack: str
) -> None:
    here = _read(write_jetson(tmp_path, jetpack))

    assert "JetPack 6.1 or newer" in str(remedy("tensorrt", is_missing=False, here=here))


def test_nvrtc_of_a_jetson_is_that_of_its_cuda(orin: Situation) -> None:
    found = remedy("nvrtc", is_missing=False, here=orin)

    assert found == "sudo apt install cuda-nvrtc-12-6"


@pytest.mark.parametrize(
    ("jetpack", "command"),
    [
        ("6.2", "sudo apt install cuda-nvrtc-12-6"),
        ("7.1", "sudo apt install cuda-nvrtc-13-0"),
        ("7.2", "sudo apt install cuda-nvrtc-13-2"),
        ("5.1", None),
    ],
)
def test_nvrtc_of_a_jetson_without_cuda_is_that_of_its_l4t(
    tmp_path: Path, jetpack: str, command: str | None
) -> None:
    here = replace(_read(write_jetson(tmp_path, jetpack)), cuda=None)

    assert remedy("nvrtc", is_missing=False, here=here) == command


def test_bindings_of_a_jetson_are_installed_again_with_their_library(tmp_path: Path) -> None:
    root = write_jetson(tmp_path, "7.2")
    write_files(root, {"usr/lib/aarch64-linux-gnu/libnvinfer.so.11.4.1": ""})

    assert remedy("tensorrt", is_missing=False, here=_read(root)) == (
        "sudo apt install --reinstall python3-libnvinfer libnvinfer11"
    )


def test_pycuda_of_a_jetson_is_compiled_there(orin: Situation) -> None:
    found = remedy("cuda by pycuda", is_missing=True, here=orin)

    assert found == 'PATH=/usr/local/cuda/bin:$PATH pip install "pycuda>=2025.1.2"'


def test_a_container_on_a_jetson_is_started_with_its_runtime(tmp_path: Path) -> None:
    here = _read(write_container(tmp_path))

    assert remedy("tensorrt", is_missing=True, here=here) == "docker run --runtime nvidia ..."


_DRIVERS = {
    "CUDA 13": ("580.95.05", 'pip install "facealign[trt]"'),
    "CUDA 12": ("550.54.15", 'pip install "tensorrt-cu12>=10.3" "pycuda>=2025.1.2"'),
    "CUDA 11": ("470.82.01", "sudo ubuntu-drivers install"),
    "ancient": ("390.157", "sudo ubuntu-drivers install"),
}


@pytest.mark.parametrize(("driver", "command"), _DRIVERS.values(), ids=_DRIVERS.keys())
def test_a_pc_gets_what_its_driver_runs(tmp_path: Path, driver: str, command: str) -> None:
    here = _pc(tmp_path, driver=driver)

    assert remedy("tensorrt", is_missing=True, here=here) == command


def test_the_driver_of_a_container_cannot_be_mended_in_it(tmp_path: Path) -> None:
    here = _read(write_files(write_pc(tmp_path, driver="470.82.01"), dict(_DOCKER)))

    assert remedy("tensorrt", is_missing=True, here=here) is None


def test_a_driver_that_is_too_old_is_said_to_be(tmp_path: Path) -> None:
    assert driver_problem(_pc(tmp_path, driver="470.82.01")) == (
        "NVIDIA's driver 470.82.01 is too old: it runs CUDA 11, TensorRT needs 12"
    )


def test_a_new_driver_has_no_problem(tmp_path: Path) -> None:
    assert driver_problem(_pc(tmp_path, driver="580.95.05")) is None


def test_a_card_without_a_driver_is_told(tmp_path: Path) -> None:
    here = _read(write_files(tmp_path, pci_device("01:00.0", vendor="0x10de")))

    assert driver_problem(here) == "NVIDIA's driver is not loaded"
    assert remedy("tensorrt", is_missing=True, here=here) == (
        "install NVIDIA's driver: nvidia.com/drivers"
    )


@pytest.mark.parametrize(
    ("driver", "package"),
    [("580.95.05", "nvidia-cuda-nvrtc"), ("550.54.15", "nvidia-cuda-nvrtc-cu12")],
)
def test_nvrtc_of_a_pc_is_a_wheel_of_its_cuda(tmp_path: Path, driver: str, package: str) -> None:
    here = _pc(tmp_path, driver=driver)

    assert remedy("nvrtc", is_missing=False, here=here) == f"pip install {package}"


_DOCKER = {".dockerenv": ""}
_NO_GPU = {
    "a machine": ({}, "this machine has no NVIDIA GPU", None),
    "a container that sees the bus": (
        {**_DOCKER, **pci_device("00:02.0", vendor="0x8086")},
        "this machine has no NVIDIA GPU",
        None,
    ),
    "a container that does not": (
        _DOCKER,
        "this machine has no NVIDIA GPU, or this container was given none",
        "docker run --gpus all ...",
    ),
    "Docker beside a card": (
        {**_DOCKER, **pci_device("01:00.0", vendor="0x10de")},
        "this container was given no GPU",
        "docker run --gpus all ...",
    ),
    "Podman beside a card": (
        {"run/.containerenv": "", **pci_device("01:00.0", vendor="0x10de")},
        "this container was given no GPU",
        "podman run --device nvidia.com/gpu=all ...",
    ),
}


@pytest.mark.parametrize(("files", "why", "command"), _NO_GPU.values(), ids=_NO_GPU.keys())
def test_without_a_gpu_nothing_is_to_be_installed_for_tensorrt(
    tmp_path: Path, files: dict[str, str | bytes], why: str, command: str | None
) -> None:
    here = _read(write_files(tmp_path, files))

    assert why_not_here("tensorrt", here) == why
    assert remedy("tensorrt", is_missing=True, here=here) == command
    assert why_not_here("onnxruntime", here) is None


def test_a_container_with_a_card_is_as_its_host(tmp_path: Path) -> None:
    here = _read(write_files(write_pc(tmp_path), dict(_DOCKER)))

    assert why_not_here("tensorrt", here) is None
    assert remedy("tensorrt", is_missing=True, here=here) == 'pip install "facealign[trt]"'


@pytest.mark.parametrize("name", ["tensorrt", "onnxruntime", "openvino", *LIBRARY_PROBES])
def test_every_extra_is_one_of_the_package_and_has_the_library(tmp_path: Path, name: str) -> None:
    found = str(remedy(name, is_missing=True, here=_pc(tmp_path, driver="580.95.05")))

    extra = found.removeprefix('pip install "facealign[').removesuffix(']"')
    (packages,) = re.findall(rf"^{extra} = \[(.*?)\]$", PYPROJECT, re.MULTILINE | re.DOTALL)
    assert re.search(rf'"{name.replace("_", "-")}[>"]', packages)
