"""What a probe does, in a process of its own: uses one library as facealign does, once."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Literal

from facealign.errors import FacealignError
from facealign.machine.packages import installed_versions

__all__ = ["CUDA_PROBES", "LIBRARY_PROBES", "main", "probe_engine"]

CUDA_PROBES = ("cuda by pycuda", "cuda by ctypes", "nvrtc")
"""Probes of what the engine ``tensorrt`` is made of; pycuda and NVRTC it can do without."""

LIBRARY_PROBES = (
    *("onnxsim", "torch", "onnxscript", "matplotlib", "onnx", "onnx_ir", "h5py", "jinja2"),
    "safetensors",
)
"""Modules of the workstation, those that take longest to import first."""

Step = Callable[[str], None]
_MARK = "@facealign "
_MAX_TEXT = 600


def main(arguments: Sequence[str]) -> None:
    """Run the probe that `arguments` begin with, and write what came of it to stdout."""
    name, *rest = arguments
    is_unfit = False
    try:
        text, passed = _run(name, rest, _step), True
    except Exception as error:  # noqa: BLE001  # whatever a library raises is the answer
        text, passed = _error_text(error), False
        is_unfit = bool(rest) and _works_on_a_probe(name)
        text = f"it works, and {Path(rest[0]).name} does not on it: {text}" if is_unfit else text
    said = " ".join(text.split())[:_MAX_TEXT]
    _write({"passed": passed, "unfit": is_unfit, "text": said})
    sys.stdout.flush()
    os._exit(0)  # a library that crashes while it is unloaded has done its work before


def probe_engine(name: str, step: Step, *, folder: Path | None) -> str:
    """Run golden crops on an engine of the runtime, and return how far it is from them.

    Args:
        name: Of the engine.
        step: Told what comes next.
        folder: Bundle; a tiny one of our own if None.
    """
    from facealign.bundle import read_bundle
    from facealign.pipeline.probe_bundle import write_probe_bundle
    from facealign.runtime.engine import open_engine
    from facealign.runtime.self_test import check_golden

    with tempfile.TemporaryDirectory() as apart:
        step("read the bundle")
        place = write_probe_bundle(Path(apart) / "probe.bundle") if folder is None else folder
        bundle = read_bundle(place)
        precision = next(iter(sorted(bundle.manifest.graphs, key=lambda each: each != "fp32")))
        step(f"open {name}")
        with closing(open_engine(bundle, name=name, precision=precision)) as engine:
            step(f"run golden crops on {name}")
            far = check_golden(bundle, precision=precision, run_crops=engine.run)
    return (
        f"{_versions(name)}golden crops of {'a probe' if folder is None else place.name}, "
        f"{precision}: {far.max_px:.4f} px off, {far.allowed_px:g} px allowed"
    )


def _works_on_a_probe(name: str) -> bool:
    """Return whether an engine works, that failed on a bundle; whatever it raises is known then."""
    try:
        _run(name, (), _step)
    except Exception:  # noqa: BLE001  # as above
        return False
    return True


def _error_text(error: Exception) -> str:
    return f"{'' if isinstance(error, FacealignError) else f'{type(error).__name__}: '}{error}"


def _run(name: str, rest: Sequence[str], step: Step) -> str:
    if name in CUDA_PROBES or name == "tensorrt":
        from facealign.pipeline import cuda_probes

        if name == "tensorrt":
            return cuda_probes.probe_tensorrt(step)
        if name == "nvrtc":
            return cuda_probes.probe_nvrtc(step)
        back: Literal["pycuda", "ctypes"] = "pycuda" if name == "cuda by pycuda" else "ctypes"
        return cuda_probes.probe_crossing(back, step)
    if name in LIBRARY_PROBES:
        from facealign.pipeline.library_probes import probe_library

        return probe_library(name, step)
    return probe_engine(name, step, folder=Path(rest[0]) if rest else None)


def _versions(name: str) -> str:
    """Return such as ``1.31.1, ``; nothing if the package is installed by another name."""
    return "".join(f"{version}, " for version in installed_versions((name,)).values())


def _step(text: str) -> None:
    _write({"step": text})


def _write(said: dict[str, object]) -> None:
    """Write at once: after a crash the last line says what it was in the middle of."""
    sys.stdout.write(f"\n{_MARK}{json.dumps(said)}\n")
    sys.stdout.flush()
