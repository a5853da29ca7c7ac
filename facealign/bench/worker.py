"""What a measuring process does: it opens one candidate, and then runs when it is its turn."""

from __future__ import annotations

import re
import resource
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import BinaryIO, Protocol

import numpy as np
from numpy.typing import NDArray

from facealign.bench.fixed_rate import run_at_rate
from facealign.bench.messages import (
    Failed,
    GpuDone,
    KeepRate,
    Locate,
    Located,
    Order,
    Ready,
    Reply,
    TakeTurn,
    TurnDone,
    line_of,
    order_from_line,
)
from facealign.bench.result import GpuTimes
from facealign.errors import FacealignError

__all__ = ["Run", "Subject", "peak_memory_mb", "serve"]

Run = Callable[[], object]
_KIB = 1024
_MB = 1e6
# Worker threads of ONNX Runtime and of OpenMP spin for some milliseconds before they sleep.
_LOOK_S = 0.002
_QUIET_SHARE = 0.25
_LONGEST_SETTLE_S = 0.25


class Subject(Protocol):
    """What is measured.

    Attributes:
        runs: What a turn runs in alternation, by kind; the first warms up, and goes before each.
    """

    runs: Mapping[str, Run]

    def landmarks_px(self) -> NDArray[np.float64]:
        """Return the ``(B, N, 2)`` landmarks of the crops that are timed, in crop pixels."""
        ...

    def frame_run(self, faces: int) -> Run:
        """Return what runs one frame with so many faces."""
        ...

    def gpu_times(self, count: int) -> GpuTimes | None:
        """Return so many runs as the GPU times them, or None without one."""
        ...

    def close(self) -> None:
        """Free everything."""
        ...


def serve(open_subject: Callable[[bytes], Subject], orders: BinaryIO, replies: BinaryIO) -> None:
    """Open what the first line describes, and obey the lines that follow until there are no more.

    An error of ours ends it and is its last reply. Any other exception is a defect: it is not
    caught, so that its traceback goes to stderr.

    Args:
        open_subject: From the first line to what is measured.
        orders: Lines of the parent.
        replies: Lines to the parent.
    """

    def say(reply: Reply) -> None:
        replies.write(line_of(reply))
        replies.flush()

    base_memory_mb = peak_memory_mb()
    try:
        with closing(open_subject(orders.readline())) as subject:
            say(Ready(base_memory_mb=base_memory_mb, cpu_s=time.process_time()))
            for line in orders:
                say(_reply(subject, order_from_line(line)))
    except FacealignError as error:
        say(Failed(error=type(error).__name__, text=str(error)))


def peak_memory_mb() -> float:
    """Return the largest resident memory of this process so far, MB of 10^6 bytes.

    Of Linux's own count where there is one: ``ru_maxrss`` keeps what the parent had when it forked.
    """
    try:
        status = Path("/proc/self/status").read_text("ascii", "replace")
    except OSError:
        status = ""
    found = re.search(r"^VmHWM:\s*(\d+) kB", status, re.MULTILINE)
    if found:
        return int(found[1]) * _KIB / _MB
    unit = 1 if sys.platform == "darwin" else _KIB
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / _MB


def _reply(subject: Subject, order: Order) -> Reply:
    if isinstance(order, TakeTurn):
        return _turn(subject.runs, order.count)
    if isinstance(order, KeepRate):
        run = subject.frame_run(order.faces_per_frame)
        run()  # the first of so many faces makes its buffers
        return run_at_rate(run, order)
    if isinstance(order, Locate):
        found = subject.landmarks_px().tolist()
        return Located(landmarks_px=tuple(tuple((x, y) for x, y in face) for face in found))
    return GpuDone(times=subject.gpu_times(order.count))


def _turn(runs: Mapping[str, Run], count: int) -> TurnDone:
    """Run every kind `count` times, one kind after the other, so that all see the same machine.

    Each but the first is timed behind a run of the first, as in a stream of frames: what a forward
    pass leaves in the caches is a part of what the others cost.
    """
    first = next(iter(runs.values()))
    first()  # the caches are another's
    times_ms: dict[str, list[float]] = {kind: [] for kind in runs}
    for _ in range(count):
        for place, (kind, run) in enumerate(runs.items()):
            if place > 1:
                first()
            started = time.perf_counter()
            run()
            times_ms[kind].append(1e3 * (time.perf_counter() - started))
    _settle()
    return TurnDone(
        times_ms={kind: tuple(each) for kind, each in times_ms.items()},
        cpu_s=time.process_time(),
        peak_memory_mb=peak_memory_mb(),
    )


def _settle() -> None:
    """Wait until the threads of this process sleep, or they would spin into another's turn."""
    end = time.perf_counter() + _LONGEST_SETTLE_S
    while time.perf_counter() < end:
        used_s = time.process_time()
        time.sleep(_LOOK_S)
        if time.process_time() - used_s < _QUIET_SHARE * _LOOK_S:
            return
