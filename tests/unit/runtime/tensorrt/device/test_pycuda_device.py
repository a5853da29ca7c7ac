"""The back `pycuda`: the tests of the protocol again, in a process whose libcuda is the double.

They need pycuda built against any CUDA (`pip install pycuda`, with nvcc at hand), and no GPU.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.doubles.cuda import COMPILER, build_double
from tests.doubles.cuda.fixtures import SYSTEM_LIBRARY

HERE = Path(__file__).parent
ROOT = HERE.parents[4]


def has_pycuda() -> bool:
    return importlib.util.find_spec("pycuda") is not None


@pytest.mark.skipif(not has_pycuda(), reason="pycuda is not installed")
@pytest.mark.skipif(COMPILER is None, reason="no g++ to build the CUDA double with")
@pytest.mark.parametrize("file", ["test_protocol.py", "test_capture.py", "test_pycuda_errors.py"])
def test_pycuda_passes_what_every_back_must(tmp_path: Path, file: str) -> None:
    library = tmp_path / "libcuda.so.1"
    shutil.copyfile(build_double(), library)
    environment = {
        **os.environ,
        "LD_LIBRARY_PATH": str(tmp_path),
        "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path]),
        SYSTEM_LIBRARY: str(library),
    }
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:xdist", str(HERE / file)]

    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stdout + done.stderr
