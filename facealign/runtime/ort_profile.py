"""How long each kernel of ONNX Runtime takes, by its own profile, and how fast a graph can be."""

from __future__ import annotations

import json
import math
import statistics
import tempfile
import time
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

import numpy as np
from numpy.typing import NDArray

from facealign.errors import BackendError
from facealign.runtime.ort_engine import ort_session, run_session

__all__ = ["KernelTime", "OrtProfile", "best_ms", "operator_times", "profile_graph"]

_LEAST_PROFILED, _LEAST_TIMED = 6, 2
_MOST_PROFILED = 200  # some 600 bytes are kept per kernel and run
_WARM_UP = 2  # the first runs allocate
_KERNEL = "_kernel_time"
_RUN = "model_run"


@dataclass(frozen=True, slots=True)
class KernelTime:
    """One kernel: a node of the graph after ONNX Runtime has fused, replaced and added nodes.

    Attributes:
        name: Of the node; unique if the names of the graph are, empty where it has none.
        operator: As ONNX Runtime calls it, such as ``FusedConv`` or ``ReorderInput``.
        time_ms: Of one run.
        input_types: Such as ``float``, ``float16``, ``uint8``.
    """

    name: str
    operator: str
    time_ms: float
    input_types: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class OrtProfile:
    """Medians over the runs, kernel by kernel: what disturbs a run hits a few of its kernels.

    Attributes:
        kernels: In the order that they run.
        total_ms: Of a whole run while it is profiled: the kernels, and the median of what is
            between them.
        run_count: How many runs there were.
        optimised: The graph that ran, as ONNX Runtime wrote it.
    """

    kernels: tuple[KernelTime, ...]
    total_ms: float
    run_count: int
    optimised: bytes


def profile_graph(
    graph: bytes, crops: NDArray[np.generic], *, threads: int | None, seconds: float = 1.0
) -> OrtProfile:
    """Return the times of a graph's kernels on the CPU; no file is left, whatever happens.

    Args:
        graph: Serialized ONNX model with one input.
        crops: That input.
        threads: As in `session_threads`.
        seconds: For how long it is run, at least 6 times.

    Raises:
        BackendError: If ONNX Runtime cannot open, run or profile the graph, or there is no room
            for the profile.
    """
    try:
        with tempfile.TemporaryDirectory(prefix="facealign-profile-") as name:
            return _profiled(graph, crops, Path(name), threads=threads, seconds=seconds)
    except OSError as error:
        raise BackendError(
            f"a profile cannot be written ({error}); free space in `{tempfile.gettempdir()}`"
        ) from error


def operator_times(profile: OrtProfile) -> dict[str, float]:
    """Return milliseconds per run by operator, as ONNX Runtime names them, the largest first."""
    times: dict[str, float] = {}
    for kernel in profile.kernels:
        times[kernel.operator] = times.get(kernel.operator, 0.0) + kernel.time_ms
    return dict(sorted(times.items(), key=lambda item: -item[1]))


def best_ms(
    graph: bytes,
    feeds: Mapping[str, NDArray[np.generic]],
    *,
    threads: int | None,
    seconds: float,
) -> float:
    """Return the time of the fastest run, of at least two, in milliseconds.

    Args:
        graph: Serialized ONNX model.
        feeds: Its inputs by name.
        threads: As in `session_threads`.
        seconds: For how long it is run.

    Raises:
        BackendError: If ONNX Runtime cannot open or run the graph.
    """
    session = ort_session(graph, threads=threads)
    names = [output.name for output in session.get_outputs()]
    return min(
        _run_for(
            lambda: run_session(session, names, dict(feeds)), seconds, (_LEAST_TIMED, math.inf)
        )
    )


class _Arguments(TypedDict, total=False):
    """Of a kernel's event; the types of inputs are one-element objects, type to shape."""

    op_name: str
    input_type_shape: list[dict[str, list[int]]]


class _Event(TypedDict):
    """One line of the profile: when it began and how long it took, in microseconds."""

    cat: str
    name: str
    ts: int
    dur: int
    args: _Arguments


def _profiled(
    graph: bytes,
    crops: NDArray[np.generic],
    folder: Path,
    *,
    threads: int | None,
    seconds: float,
) -> OrtProfile:
    session = ort_session(graph, threads=threads, profile_folder=folder)
    feeds = {session.get_inputs()[0].name: crops}
    names = [output.name for output in session.get_outputs()]
    try:
        _run_for(
            lambda: run_session(session, names, feeds), seconds, (_LEAST_PROFILED, _MOST_PROFILED)
        )
    finally:
        written = Path(session.end_profiling())
    return _read(written, (folder / "optimised.onnx").read_bytes())


def _run_for(run: Callable[[], object], seconds: float, limits: tuple[int, float]) -> list[float]:
    """Return the times of runs in milliseconds: at least and at most so many."""
    least, most = limits
    times: list[float] = []
    end = time.perf_counter() + seconds
    while len(times) < least or (time.perf_counter() < end and len(times) < most):
        started = time.perf_counter()
        run()
        times.append(1e3 * (time.perf_counter() - started))
    return times


def _read(path: Path, optimised: bytes) -> OrtProfile:
    """Return what a file of events says.

    Raises:
        BackendError: If it is cut off.
    """
    try:
        events: list[_Event] = json.loads(path.read_text(encoding="utf-8"))
        return _profile(events, optimised)
    except (ValueError, TypeError, LookupError) as error:
        raise BackendError(
            f"onnxruntime left a profile that cannot be read ({error}); free space in "
            f"`{tempfile.gettempdir()}`"
        ) from error


def _profile(events: Sequence[_Event], optimised: bytes) -> OrtProfile:
    """Return what the events of a session say; a `ValueError` if there is no run among them."""
    runs = [event for event in events if event["name"] == _RUN][_WARM_UP:]
    kernels_of_runs = _kernels_of(runs, events)
    kernels = tuple(_median_times(kernels_of_runs))
    between_us = [
        run["dur"] - sum(kernel["dur"] for kernel in of_run)
        for run, of_run in zip(runs, kernels_of_runs, strict=True)
    ]
    kernel_ms = math.fsum(kernel.time_ms for kernel in kernels)
    return OrtProfile(
        kernels=kernels,
        total_ms=kernel_ms + statistics.median(between_us) / 1e3,
        run_count=len(runs),
        optimised=optimised,
    )


def _kernels_of(runs: Sequence[_Event], events: Sequence[_Event]) -> list[list[_Event]]:
    """Return the events of kernels in the order of time, run by run."""
    kernels = sorted(
        (event for event in events if event["cat"] == "Node" and event["name"].endswith(_KERNEL)),
        key=lambda event: event["ts"],
    )
    starts = [event["ts"] for event in kernels]
    return [
        kernels[bisect_left(starts, run["ts"]) : bisect_left(starts, run["ts"] + run["dur"])]
        for run in runs
    ]


def _median_times(runs: Sequence[Sequence[_Event]]) -> Sequence[KernelTime]:
    """Return the kernels of runs of the same graph, which are the same in each."""
    return [
        KernelTime(
            name=events[0]["name"].removesuffix(_KERNEL),
            operator=events[0]["args"]["op_name"],
            time_ms=statistics.median(event["dur"] for event in events) / 1e3,
            input_types=tuple(
                next(iter(each), "") for each in events[0]["args"].get("input_type_shape", [])
            ),
        )
        for events in zip(*runs, strict=True)
    ]
