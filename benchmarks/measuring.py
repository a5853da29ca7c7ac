"""How every benchmark measures: candidates take turns in one run, and only ratios are reported."""

from __future__ import annotations

import json
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
from numpy.typing import NDArray

__all__ = [
    "operator_profile",
    "ort_runner",
    "peak_gflops",
    "ratio_interval",
    "take_turns",
]

_SEED = 0
_BOOTSTRAP = 2000
_RUNS_OF_TURN = 3


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


def operator_profile(
    graph: bytes, feed: NDArray[np.generic], *, threads: int, runs: int = 20
) -> dict[str, float]:
    """Return milliseconds per run by operator as ONNX Runtime names them, the largest first."""
    with tempfile.TemporaryDirectory() as folder:
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 4
        options.enable_profiling = True
        options.profile_file_prefix = str(Path(folder) / "profile")
        session = ort.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
        name = session.get_inputs()[0].name
        for _ in range(runs):
            session.run(None, {name: feed})
        events = json.loads(Path(session.end_profiling()).read_text(encoding="utf-8"))
    total_ms: Counter[str] = Counter()
    for event in events:
        if event.get("cat") == "Node" and event["name"].endswith("_kernel_time"):
            total_ms[event["args"]["op_name"]] += event["dur"] / 1e3 / runs
    return {name: round(value, 2) for name, value in total_ms.most_common()}


def peak_gflops(*, threads: int) -> float:
    """Return the best rate of a 1024-cubed matrix product in ONNX Runtime: the roof of this run."""
    size = 1024
    rng = np.random.default_rng(_SEED)
    weight = onnx.numpy_helper.from_array(rng.normal(size=(size, size)).astype(np.float32), "w")
    node = onnx.helper.make_node("MatMul", ["x", "w"], ["y"])
    shape = [size, size]
    value = onnx.helper.make_tensor_value_info
    graph = onnx.helper.make_graph(
        [node],
        "peak",
        [value("x", onnx.TensorProto.FLOAT, shape)],
        [value("y", onnx.TensorProto.FLOAT, shape)],
        [weight],
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 19)])
    model.ir_version = 9
    feed = rng.normal(size=shape).astype(np.float32)
    run = ort_runner(model.SerializeToString(), feed, threads=threads)
    times = take_turns({"peak": run}, rounds=20)["peak"]
    return float(2 * size**3 / times.min() / 1e6)
