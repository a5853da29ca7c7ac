"""The TensorRT module, found when it is asked for."""

from __future__ import annotations

import importlib
from types import ModuleType

from facealign.errors import BackendError

__all__ = ["BINDING_ERRORS", "import_tensorrt", "tensorrt_version"]

# What the bindings raise: pybind's for arguments, null pointers and what a version has not, and
# those of std::exception; no common base but Exception.
BINDING_ERRORS = (
    RuntimeError,
    TypeError,
    ValueError,
    AttributeError,
    MemoryError,
    LookupError,
    OverflowError,
)


def import_tensorrt() -> ModuleType:
    """Return the module `tensorrt`.

    Raises:
        BackendError: If it is not installed, or does not load.
    """
    try:
        module = importlib.import_module("tensorrt")
    except ModuleNotFoundError as error:
        raise BackendError(
            "TensorRT is not installed; on a PC with an NVIDIA GPU run "
            '`pip install "facealign[trt]"`, on a Jetson `sudo apt install python3-libnvinfer` and '
            "use a virtual environment with `--system-site-packages`"
        ) from error
    except (ImportError, OSError, RuntimeError) as error:  # a libnvinfer is missing, or another's
        raise BackendError(
            f"TensorRT is installed and does not load: {_one_line(error)}; install the one for "
            "this CUDA"
        ) from error
    if not hasattr(module, "Runtime"):
        raise BackendError(
            f"what is imported as `tensorrt` is not NVIDIA's, but {module!r}; rename its folder or "
            "run elsewhere"
        )
    return module


def tensorrt_version(module: ModuleType) -> str:
    """Return the full version, such as ``10.3.0``."""
    return str(module.__version__)


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())
