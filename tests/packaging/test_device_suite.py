"""`pytest tests/device` as a user calls it: without a GPU, and on the doubles to test itself."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.device.machine import ASKED
from tests.doubles.cuda import COMPILER

ROOT = Path(__file__).parents[2]
TIMEOUT_S = 280


def run_suite(*arguments: str, **variables: str) -> str:
    """Return the last line of pytest's report, and fail with all of it if a test failed."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **variables}
    command = [sys.executable, "-m", "pytest", "-q", "tests/device", *arguments]
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


def test_suite_skips_all_with_one_reason_where_there_is_no_gpu() -> None:
    report = run_suite("-k", "kernels", CUDA_VISIBLE_DEVICES="", **{ASKED: ""})

    reasons = set(re.findall(r"there is no GPU to test on: (.*)", report))
    assert len(reasons) == 1
    assert " passed" not in report.splitlines()[-1]


@pytest.mark.slow
@pytest.mark.skipif(COMPILER is None, reason="no g++ to build the doubles with")
@pytest.mark.parametrize(
    ("chosen", "least"),
    [("test_device or test_kernels", 27), ("(golden or submitted) and slpt and ctypes", 4)],
    ids=["layer", "engine"],
)
def test_suite_passes_on_the_doubles(chosen: str, least: int) -> None:
    report = run_suite("-k", chosen, **{ASKED: "1"})

    passed = re.search(r"(\d+) passed", report)
    assert passed is not None
    assert int(passed[1]) >= least
