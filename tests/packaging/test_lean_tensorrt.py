"""The engine on plans, in a process of its own: numpy, TensorRT and CUDA are all it needs."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

# All that runs a plan file; the last needs a device to be opened, not to be imported.
MODULES = (
    "facealign.runtime.tensorrt",
    "facealign.runtime.tensorrt.engine",
    "facealign.runtime.tensorrt.open_plan",
    "facealign.runtime.tensorrt.device",
    "facealign.runtime.tensorrt.kernels",
)
FORBIDDEN = {
    "torch",
    "onnx",
    "onnxruntime",
    "cv2",
    "msgspec",
    "typer",
    "rich",
    "tensorrt",
    "pycuda",
}
# Of the processor, beyond numpy: a busy machine shares it. Measured 0.07 s.
IMPORT_S = 0.2
ATTEMPTS = 3

LOADED = """
import importlib, json, sys
for name in sys.argv[1:]:
    importlib.import_module(name)
print(json.dumps(sorted(name for name in sys.modules if "." not in name)))
"""
TIMED = """
import importlib, sys, time
import numpy
start = time.process_time()
for name in sys.argv[1:]:
    importlib.import_module(name)
print(time.process_time() - start)
"""


def run_python(source: str, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", source, *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    return done.stdout


@pytest.mark.parametrize("module", MODULES)
def test_import_loads_no_other_library(module: str) -> None:
    loaded = set(json.loads(run_python(LOADED, module)))

    assert not FORBIDDEN & loaded


def test_import_is_fast() -> None:
    seconds = min(float(run_python(TIMED, *MODULES)) for _ in range(ATTEMPTS))

    assert seconds < IMPORT_S
