"""How every benchmark measures: candidates take turns in one run, and only ratios are reported."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import time
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from facealign.pipeline.machine_roof import best_gflops
from facealign.runtime.ort_profile import operator_times, profile_graph

__all__ = [
    "operator_profile",
    "ort_runner",
    "peak_gflops",
    "provenance",
    "ratio_interval",
    "take_turns",
    "write_result",
]

_SEED = 0
_BOOTSTRAP = 2000
_RUNS_OF_TURN = 3
_PROFILE_SECONDS, _PEAK_SECONDS = 3.0, 2.0


def take_turns(
    candidates: Mapping[str, Callable[[], object]], *, rounds: int, warm_up: int = 1
) -> dict[str, NDArray[np.float64]]:
    """Return times in milliseconds, one per round and candidate.

    A turn is some runs in a row, of which the first is dropped and the median of the others counts:
    the worker threads of the candidate before spin on for some milliseconds, and take a core from
    it.
    """
    times: dict[str, list[float]] = {name: [] for name in candidates}
    for number in range(warm_up + rounds):
        for name, candidate in candidates.items():
            elapsed_ms = [_run_ms(candidate) for _ in range(1 + _RUNS_OF_TURN)][1:]
            if number >= warm_up:
                times[name].append(float(np.median(elapsed_ms)))
    return {name: np.array(values) for name, values in times.items()}


def _run_ms(candidate: Callable[[], object]) -> float:
    started = time.perf_counter()
    candidate()
    return 1e3 * (time.perf_counter() - started)


def ratio_interval(
    slow: NDArray[np.float64], fast: NDArray[np.float64]
) -> tuple[float, float, float]:
    """Return the ratio of the medians, and its 95 % interval by a bootstrap over rounds."""
    rng = np.random.default_rng(_SEED)
    picks = rng.integers(0, len(slow), (_BOOTSTRAP, len(slow)))
    ratios = np.median(slow[picks], axis=1) / np.median(fast[picks], axis=1)
    low, high = np.percentile(ratios, (2.5, 97.5))
    return float(np.median(slow) / np.median(fast)), float(low), float(high)


def ort_runner(
    graph: bytes, feed: NDArray[np.generic], *, threads: int, outputs: list[str] | None = None
) -> Callable[[], object]:
    """Return a function that runs a graph once in ONNX Runtime on the CPU."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 4
    session = ort.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda: session.run(outputs, {name: feed})


def operator_profile(graph: bytes, feed: NDArray[np.generic], *, threads: int) -> dict[str, float]:
    """Return milliseconds per run by operator as ONNX Runtime names them, the largest first."""
    times = operator_times(profile_graph(graph, feed, threads=threads, seconds=_PROFILE_SECONDS))
    return {name: round(value, 2) for name, value in times.items()}


def peak_gflops(*, threads: int) -> float:
    """Return the best rate of matrix products in ONNX Runtime: the roof of this run."""
    return best_gflops(threads=threads, seconds=_PEAK_SECONDS)


def provenance(*, threads: int) -> dict[str, object]:
    """Return where and with what a benchmark ran."""
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"],  # noqa: S607  # git is on PATH where it is used
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        check=False,
    )
    return {
        "commit": commit.stdout.strip() or "unknown",
        "processor": _processor(),
        "cores": os.cpu_count(),
        "load_before": os.getloadavg()[0],
        "threads": threads,
        "python": platform.python_version(),
        **{name: version(name) for name in ("torch", "onnxruntime", "onnx", "numpy")},
    }


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    facts = dict(line.split(":", 1) for line in lines if ":" in line)
    named = {name.strip(): value.strip() for name, value in facts.items()}
    return f"{named.get('model name', platform.processor())} model {named.get('model', '?')}"


def write_result(name: str, result: Mapping[str, object]) -> Path:
    """Write a result beside the scripts and return its file."""
    path = Path(__file__).parent / "results" / f"{name}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    return path
