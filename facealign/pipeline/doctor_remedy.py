"""The one command that mends what is missing or broken, right for this machine."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from facealign.machine.files import ROOT
from facealign.machine.gpu import Gpus, cuda_of_driver, read_gpus
from facealign.machine.jetson import Jetson, read_jetson
from facealign.machine.libraries import cuda_version
from facealign.machine.packages import Python, dist_packages_with, installed_versions, read_python
from facealign.machine.system import System

__all__ = ["Situation", "driver_problem", "read_situation", "remedy", "why_not_here"]

_EXTRAS = {"onnxruntime": "ort", "h5py": "datasets", "jinja2": "report", "matplotlib": "report"}
_PACKAGES = {"onnx_ir": "onnx-ir"}
_COMPILE = ("onnx", "onnx_ir", "onnxscript", "onnxsim", "safetensors", "torch")
_CUDA_PARTS = ("tensorrt", "cuda by pycuda", "cuda by ctypes", "nvrtc")
_LEAST_CUDA = 12  # of TensorRT 10.3 and later on a PC
_OLDEST_L4T = (36, 4)  # JetPack 6.1, the first with TensorRT 10.3
_CUDA_OF_L4T = {"36": "12.6", "38": "13.0", "39": "13.2"}  # of JetPack 6.1 on, 7.0 and 7.2
# How a container is given the GPUs of its host. Source: NVIDIA Container Toolkit.
_WITH_GPU = {
    "Docker": "docker run --gpus all ...",
    "Podman": "podman run --device nvidia.com/gpu=all ...",
}


@dataclass(frozen=True, slots=True)
class Situation:
    """What a remedy depends on.

    Attributes:
        jetson: None for a PC.
        gpus: As the system sees them.
        python: That runs this.
        bindings: Folders of the system's Pythons that have TensorRT, by their version.
        cuda: Version of the toolkit; None without one.
        container: Kind of container; None outside of one.
        has_two_runtimes: Whether two distributions of ONNX Runtime overwrite each other.
        is_ubuntu: Which alone has a command that installs the driver that fits.
    """

    jetson: Jetson | None
    gpus: Gpus
    python: Python
    bindings: dict[str, Path]
    cuda: str | None
    container: str | None
    has_two_runtimes: bool
    is_ubuntu: bool

    @property
    def is_withheld(self) -> bool:
        """Return whether a container sees a PC's card, and was given none to use."""
        is_pc = self.jetson is None and self.gpus.has_nvidia
        return is_pc and self.container is not None and not self.gpus.has_device_files


def read_situation(system: System, root: Path = ROOT) -> Situation:
    """Return the situation of this machine."""
    return Situation(
        jetson=read_jetson(root),
        gpus=read_gpus(root),
        python=read_python(),
        bindings=dist_packages_with("tensorrt", root),
        cuda=cuda_version(root),
        container=system.container,
        has_two_runtimes=len(installed_versions(("onnxruntime", "onnxruntime-gpu"))) > 1,
        is_ubuntu=(system.name or "").startswith("Ubuntu"),
    )


def why_not_here(name: str, here: Situation) -> str | None:
    """Return why a part has nothing to run on here, so that nothing need be installed."""
    if name not in _CUDA_PARTS or here.jetson is not None:
        return None
    if here.gpus.has_nvidia:
        return "this container was given no GPU" if here.is_withheld else None
    inside = ", or this container was given none" if _may_hide(here) else ""
    return f"this machine has no NVIDIA GPU{inside}"


def driver_problem(here: Situation) -> str | None:
    """Return what is wrong with a PC's driver for TensorRT; None if nothing is, or on a Jetson."""
    if here.jetson is not None or not here.gpus.has_nvidia:
        return None
    driver = here.gpus.driver
    if driver is None:
        return "NVIDIA's driver is not loaded"
    cuda = cuda_of_driver(driver)
    if cuda is not None and cuda >= _LEAST_CUDA:
        return None
    runs = "older ones than CUDA 11" if cuda is None else f"CUDA {cuda}"
    return f"NVIDIA's driver {driver} is too old: it runs {runs}, TensorRT needs {_LEAST_CUDA}"


def remedy(name: str, *, is_missing: bool, here: Situation) -> str | None:
    """Return a command that mends it; None if there is none to give.

    Args:
        name: Of an engine, a part of CUDA or a library.
        is_missing: Whether it is not installed at all; else it is there and does not work.
        here: The machine.
    """
    if why_not_here(name, here) is not None:
        return _with_gpu(here)
    if name in _CUDA_PARTS:
        if driver_problem(here) is not None:
            return _driver_remedy(here)
        return (_jetson if here.jetson is not None else _pc)(name, is_missing, here)
    if name == "onnxruntime" and here.has_two_runtimes:
        again = "pip install --force-reinstall onnxruntime"
        return f"pip uninstall --yes onnxruntime onnxruntime-gpu && {again}"
    if not is_missing:
        return f"pip install --force-reinstall {_PACKAGES.get(name, name)}"
    extra = "compile" if name in _COMPILE else _EXTRAS.get(name, name)
    return f'pip install "facealign[{extra}]"'


def _may_hide(here: Situation) -> bool:
    """Return whether there may be a GPU that this container does not see: others are on the bus."""
    return here.container is not None and not here.gpus.has_bus


def _with_gpu(here: Situation) -> str | None:
    """Return how a container is given the GPU that its host has, or may have."""
    is_there = here.is_withheld or _may_hide(here)
    return _WITH_GPU.get(here.container or "") if is_there else None


def _driver_remedy(here: Situation) -> str | None:
    """Return what to do about a PC's driver; a container's is its host's, out of reach."""
    if here.container is not None:
        return None
    if here.is_ubuntu:
        return "sudo ubuntu-drivers install"
    return "install NVIDIA's driver: nvidia.com/drivers"


def _pc(name: str, is_missing: bool, here: Situation) -> str | None:
    cuda = cuda_of_driver(here.gpus.driver or "") or _LEAST_CUDA
    if name == "nvrtc":
        # From CUDA 13 on the wheel has no number in its name.
        return f"pip install nvidia-cuda-nvrtc{'' if cuda > _LEAST_CUDA else f'-cu{cuda}'}"
    if name == "cuda by ctypes":
        return "sudo modprobe nvidia_uvm" if here.container is None else None
    if name == "cuda by pycuda":
        return 'pip install --force-reinstall --no-binary pycuda "pycuda>=2025.1.2"'
    if cuda > _LEAST_CUDA:
        again = "" if is_missing else "--force-reinstall "
        return f'pip install {again}"facealign[trt]"'
    # The package `tensorrt` itself brings the libraries of the newest CUDA.
    return f'pip install "tensorrt-cu{cuda}>=10.3" "pycuda>=2025.1.2"'


def _jetson(name: str, is_missing: bool, here: Situation) -> str | None:
    jetson = here.jetson
    if name == "nvrtc":
        cuda = here.cuda or _CUDA_OF_L4T.get(((jetson and jetson.l4t) or "").partition(".")[0])
        return f"sudo apt install cuda-nvrtc-{'-'.join(cuda.split('.')[:2])}" if cuda else None
    if name == "cuda by pycuda":
        return 'PATH=/usr/local/cuda/bin:$PATH pip install "pycuda>=2025.1.2"'
    if here.container is not None and not here.gpus.has_device_files:
        return "docker run --runtime nvidia ..."
    if name == "cuda by ctypes":
        return "sudo apt install --reinstall nvidia-l4t-cuda"
    if jetson is not None and jetson.l4t and _pair(jetson.l4t) < _OLDEST_L4T:
        return "install JetPack 6.1 or newer: developer.nvidia.com/embedded/jetpack"
    return _bindings(is_missing, here)


def _bindings(is_missing: bool, here: Situation) -> str:
    """Return how Python comes to TensorRT's bindings, which only apt has for a Jetson."""
    python = here.python
    if not here.bindings:
        return "sudo apt install python3-libnvinfer"
    if not is_missing:
        major = ((here.jetson and here.jetson.tensorrt) or "10").partition(".")[0]
        return f"sudo apt install --reinstall python3-libnvinfer libnvinfer{major}"
    if python.short not in here.bindings:
        version = max(here.bindings, key=_pair)
        return f"python{version} -m venv --system-site-packages .venv"
    if python.is_virtual and not python.sees_system:
        return f"python{python.short} -m venv --system-site-packages {python.prefix}"
    return f"export PYTHONPATH={here.bindings[python.short]}"


def _pair(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")[:2])
