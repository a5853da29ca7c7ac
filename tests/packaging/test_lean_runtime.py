"""The device half, in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

FORBIDDEN = ("torch", "onnx", "onnxscript", "onnxsim", "onnx_ir", "safetensors", "typer", "rich")
ENGINES = ("onnxruntime", "openvino", "tensorrt", "pycuda")
IMPORT_S = 0.4  # beyond numpy and cv2; measured 0.09 s on two cores
ATTEMPTS = 3  # the best counts: the machine may be busy

LOADED = """
import json, sys
print(json.dumps(sorted(name for name in sys.modules if "." not in name)))
"""
TIMED = """
import time
import cv2, numpy
start = time.perf_counter()
import facealign.runtime
print(time.perf_counter() - start)
"""
RUN = """
import sys
import numpy as np
from facealign.runtime import open_session
with open_session(sys.argv[1]) as session:
    assert session.run(np.zeros((64, 64, 3), np.uint8), [[8, 8, 48, 48]]).xy.shape == (1, 98, 2)
"""


def run_python(source: str, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", source, *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    return done.stdout


def test_import_of_the_runtime_loads_no_compiler_and_no_engine() -> None:
    loaded = json.loads(run_python("import facealign.runtime" + LOADED))

    assert not {*FORBIDDEN, *ENGINES} & set(loaded)


def test_a_session_runs_without_the_compiler(tiny_bundle: Path) -> None:
    loaded = json.loads(run_python(RUN + LOADED, str(tiny_bundle)))

    assert "onnxruntime" in loaded
    assert not set(FORBIDDEN) & set(loaded)


def test_import_of_the_runtime_is_fast() -> None:
    seconds = min(float(run_python(TIMED)) for _ in range(ATTEMPTS))

    assert seconds < IMPORT_S
