"""What does a session add to its engine and the crop, and does it keep anything from run to run?

    python benchmarks/session_overhead.py --bundle DIR [--rounds 500] [--runs 10000] [--threads 1]

Batch 1, one frame with one box. In each round: the engine alone, on a crop that is there; then crop
and engine in a row, as one would write it by hand; then a session from frame to landmarks. So every
crop comes right behind a forward pass, with its code out of the caches, as in a session; cut in a
loop of its own it is faster, and the difference would count as the session's. The overhead is end
to end less the engine alone less the crop, round by round, and its median counts, with its 95 %
interval. Bar: 0.2 ms. A forward pass right behind a crop may be slower than alone, so part of that
is not the session's: what it adds to crop and engine in a row is. All of it once with ONNX Runtime,
and once with an engine that returns at once, where nothing empties the caches. Takes some minutes.

Then the same run many times under tracemalloc. After a tenth of them nothing may grow: the bar is
one byte per run, and the smallest thing that Python can keep has 16. What ONNX Runtime allocates
itself shows in the resident memory only. Writes results/session_overhead.json.
"""

from __future__ import annotations

import argparse
import gc
import os
import time
import tracemalloc
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from measuring import median_interval
from numpy.typing import NDArray
from result_file import provenance, result_of, write_result

from facealign.bundle import Bundle, read_bundle
from facealign.geometry import crops_from_frame, placement_from_boxes
from facealign.runtime.engine import Engine, open_engine
from facealign.runtime.session import Session

__all__ = ["InstantEngine", "overhead", "steady_state"]

BAR_MS = 0.2
BAR_BYTES_PER_RUN = 1.0
_CHECKPOINTS = 10
_WARM_UP = 5
_PARTS = ("forward", "crop", "forward behind it", "end to end")
_PRECISION = "fp32"


class InstantEngine:
    """An `Engine` that gives what another gave, and takes no time."""

    name = "instant"

    def __init__(self, outputs: dict[str, NDArray[np.float32]], max_batch: int) -> None:
        self.max_batch = max_batch
        self._outputs = outputs

    def run(self, crops: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:  # noqa: ARG002  # the protocol's signature
        """Return the outputs."""
        return self._outputs

    def close(self) -> None:
        """Do nothing."""


def main() -> None:
    """Measure, print, write the result."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--bundle", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=500)
    parser.add_argument("--runs", type=int, default=10_000, help="under tracemalloc")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    where = provenance(threads=options.threads)
    bundle = read_bundle(options.bundle)
    real = open_engine(bundle, name="onnxruntime", precision=_PRECISION, threads=options.threads)
    golden = bundle.golden()
    instant = InstantEngine(real.run(golden.crops[:1]), max_batch=real.max_batch)
    figures: dict[str, object] = {"title": bundle.manifest.title}
    for engine in (real, instant):
        session = Session(engine, bundle.manifest)
        run = partial(session.run, golden.frame, golden.boxes[:1])
        figures[engine.name] = {
            "times": overhead(bundle, engine, rounds=options.rounds),
            "memory": steady_state(run, runs=options.runs),
        }
        print(engine.name, figures[engine.name], flush=True)
    settings = {"rounds": options.rounds, "runs": options.runs, "bar_ms": BAR_MS}
    result = result_of(__doc__, where, settings=settings, figures=figures)
    print(write_result("session_overhead", result))


def overhead(bundle: Bundle, engine: Engine, *, rounds: int) -> dict[str, Any]:
    """Return the medians of forward, crop and end to end, and what is more than the parts.

    Args:
        bundle: Gives the frame, the box and the crop rule.
        engine: Runs alone, and in a session.
        rounds: That count; a few come before.

    Returns:
        ``median_ms`` by name; ``overhead_ms`` is end to end less forward less crop, and
        ``more_than_by_hand_ms`` less both in a row, each with its 95 % interval.
    """
    golden, crop = bundle.golden(), bundle.manifest.crop
    frame, box = golden.frame, golden.boxes[:1]
    session = Session(engine, bundle.manifest)

    def cut() -> NDArray[np.uint8]:
        return crops_from_frame(frame, placement_from_boxes(box, crop.from_box), crop)

    whole, crops = partial(session.run, frame, box), cut()
    found = [_round_ms(engine, crops, cut, whole) for _ in range(_WARM_UP + rounds)][_WARM_UP:]
    times = dict(zip(_PARTS, np.array(found).T, strict=True))
    by_hand = times["crop"] + times["forward behind it"]
    return {
        "median_ms": {name: round(float(np.median(each)), 4) for name, each in times.items()},
        "overhead_ms": _interval(times["end to end"] - times["forward"] - times["crop"]),
        "more_than_by_hand_ms": _interval(times["end to end"] - by_hand),
    }


def _round_ms(
    engine: Engine,
    crops: NDArray[np.uint8],
    cut: Callable[[], NDArray[np.uint8]],
    whole: Callable[[], object],
) -> NDArray[np.float64]:
    """Return ``(4,)`` what each of `_PARTS` took, one right behind the other."""
    started = time.perf_counter()
    engine.run(crops)
    alone = time.perf_counter()
    fresh = cut()
    cropped = time.perf_counter()
    engine.run(fresh)
    del fresh  # as a session does, before it returns
    by_hand = time.perf_counter()
    whole()
    return 1e3 * np.diff((started, alone, cropped, by_hand, time.perf_counter()))


def steady_state(run: Callable[[], object], *, runs: int) -> dict[str, Any]:
    """Return what Python keeps per run, after the first tenth of them.

    Args:
        run: Called so many times.
        runs: At least 20.
    """
    step = runs // _CHECKPOINTS
    traced = np.zeros(_CHECKPOINTS, np.int64)  # room for what is noted: it must not grow itself
    resident = np.zeros(_CHECKPOINTS, np.int64)
    gc.freeze()  # what was there before is looked through once, not at every checkpoint
    tracemalloc.start()
    try:
        _memory_bytes()  # what it keeps, it keeps from now on
        for checkpoint in range(_CHECKPOINTS):
            for _ in range(step):
                run()
            traced[checkpoint], resident[checkpoint] = _memory_bytes()
    finally:
        tracemalloc.stop()
        gc.unfreeze()
    per_run = int(traced[-1] - traced[0]) / (step * (_CHECKPOINTS - 1))
    return {
        "traced_bytes": traced.tolist(),
        "bytes_per_run": round(per_run, 4),
        "resident_mb": np.round(resident / 1e6, 1).tolist(),
        "keeps_the_bar": bool(per_run < BAR_BYTES_PER_RUN),
    }


def _memory_bytes() -> tuple[int, int]:
    """Return what tracemalloc sees, and what the process has resident."""
    gc.collect()
    return tracemalloc.get_traced_memory()[0], _resident_bytes()


def _resident_bytes() -> int:
    descriptor = os.open("/proc/self/statm", os.O_RDONLY)  # `open` keeps the name it was given
    try:
        pages = int(os.read(descriptor, 100).split()[1])
    finally:
        os.close(descriptor)
    return pages * os.sysconf("SC_PAGE_SIZE")


def _interval(added_ms: NDArray[np.float64]) -> list[float]:
    return [round(each, 4) for each in median_interval(added_ms)]


if __name__ == "__main__":
    main()
