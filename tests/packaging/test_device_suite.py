"""`pytest tests/device` as a user calls it: without a GPU, and on the doubles to test itself."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from facealign.bundle import Manifest, write_bundle
from tests.device.bundles import FOLDER, PRECISIONS
from tests.device.machine import ASKED
from tests.doubles.cuda import COMPILER

ROOT = Path(__file__).parents[2]
TIMEOUT_S = 280
# Tests of the device layer and of kernels, and those of plans, on the one back that is a double's.
LAYER, PLANS = 27, 11


@pytest.fixture
def bundles(tmp_path: Path, tiny_manifest: Manifest, tiny_files: dict[str, bytes]) -> Path:
    """Return a folder with one bundle of every precision, so that the suite imports no torch.

    The graphs are the same: those of every family are in `tests/conformance`, on the same doubles.
    """
    graphs = dict.fromkeys(PRECISIONS, tiny_manifest.graphs["fp32"])
    write_bundle(
        tmp_path / "bundle", msgspec.structs.replace(tiny_manifest, graphs=graphs), tiny_files
    )
    return tmp_path


def run_suite(**variables: str) -> str:
    """Return pytest's report, and fail with all of it if a test failed."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **variables}
    command = [sys.executable, "-m", "pytest", "-q", "tests/device"]
    result = subprocess.run(
        command,
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert result.returncode == 0, result.stdout
    return result.stdout


def test_suite_skips_all_with_one_reason_where_there_is_no_gpu(bundles: Path) -> None:
    report = run_suite(CUDA_VISIBLE_DEVICES="", **{ASKED: "", FOLDER: str(bundles)})

    reasons = set(re.findall(r"there is no GPU to test on: (.*)", report))
    assert len(reasons) == 1
    assert " passed" not in report.splitlines()[-1]


@pytest.mark.slow
@pytest.mark.skipif(COMPILER is None, reason="no g++ to build the doubles with")
def test_suite_passes_on_the_doubles(bundles: Path) -> None:
    report = run_suite(**{ASKED: "1", FOLDER: str(bundles)})

    passed = re.search(r"(\d+) passed", report)
    assert passed is not None
    assert int(passed[1]) >= LAYER + PLANS
