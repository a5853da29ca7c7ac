"""Probes of the libraries that a workstation compiles and reports with, one small thing each."""

from __future__ import annotations

import io
from collections.abc import Callable
from importlib import resources
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from facealign.pipeline.probes import Step

__all__ = ["probe_library"]


def probe_library(module: str, step: Step) -> str:
    """Use a library once and return its version, and what else matters about it.

    Args:
        module: A key of the table below.
        step: Told what comes next.

    Whatever the library raises goes through.
    """
    step(f"import {module}")
    return _PROBES[module]()


def _torch() -> str:
    import torch

    product = torch.ones(2, 3) @ torch.ones(3, 2)
    if product.sum().item() != 12:
        raise ArithmeticError(f"a product of ones is {product.tolist()}")
    if torch.version.cuda is None:
        return f"{torch.__version__}, for the CPU"
    usable = "usable" if torch.cuda.is_available() else "not usable, so the CPU computes"
    return f"{torch.__version__}, for CUDA {torch.version.cuda}, GPU {usable}"


def _onnx() -> str:
    import onnx

    onnx.checker.check_model(onnx.load_from_string(_graph()), full_check=True)
    return onnx.__version__


def _onnx_ir() -> str:
    import onnx
    import onnx_ir

    model = onnx_ir.from_proto(onnx.load_from_string(_graph()))
    return f"{onnx_ir.__version__}, {len(model.graph)} nodes read"


def _onnxscript() -> str:
    import onnxscript

    return str(onnxscript.__version__)


def _onnxsim() -> str:
    import onnx
    import onnxsim

    model, is_same = onnxsim.simplify(onnx.load_from_string(_graph()))
    if not is_same:
        raise ArithmeticError("a simplified graph gives other values")
    return f"{onnxsim.__version__.lstrip('v')}, {len(model.graph.node)} nodes left of a probe"


def _safetensors() -> str:
    import numpy as np
    import safetensors
    from safetensors.numpy import load, save

    load(save({"zeros": np.zeros(2, np.float32)}))
    return str(safetensors.__version__)


def _h5py() -> str:
    import h5py

    with h5py.File(io.BytesIO(), "w") as file:
        file["ones"] = [1.0, 1.0]
    return str(h5py.__version__)


def _matplotlib() -> str:
    import matplotlib as mpl
    from matplotlib.figure import Figure

    Figure().savefig(io.BytesIO(), format="svg")
    return str(mpl.__version__)


def _jinja2() -> str:
    import jinja2

    jinja2.Template("{{ word }}", autoescape=True).render(word="probe")
    return str(jinja2.__version__)


def _graph() -> bytes:
    return (resources.files(__package__ or "") / "probe.onnx").read_bytes()


_PROBES: dict[str, Callable[[], str]] = {
    "h5py": _h5py,
    "jinja2": _jinja2,
    "matplotlib": _matplotlib,
    "onnx": _onnx,
    "onnx_ir": _onnx_ir,
    "onnxscript": _onnxscript,
    "onnxsim": _onnxsim,
    "safetensors": _safetensors,
    "torch": _torch,
}
