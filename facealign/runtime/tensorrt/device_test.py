"""What `facealign device-test` runs: everything that this machine's GPU has a part in."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from facealign.errors import FacealignError, SelfTestError, TargetError
from facealign.runtime.self_test import check_golden
from facealign.runtime.session import Session
from facealign.runtime.tensorrt.build_bundle import PlanBuilder
from facealign.runtime.tensorrt.device_facts import available_mib, resident_mib
from facealign.runtime.tensorrt.engine import TensorrtEngine, engine_from_plan
from facealign.runtime.tensorrt.open_plan import contract_from_plan
from facealign.runtime.tensorrt.plan import Plan
from facealign.runtime.tensorrt.plan_cache import read_bundle_plan

__all__ = ["Check", "check_precision", "run_check"]

Figures = Mapping[str, float | int | None]
_MIB = 2**20
_REPLAYS = 3
# Of the crop. The same kernels run either way; what differs is how they are queued.
_REPLAY_PX = 1e-3


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was tried on the device.

    Attributes:
        name: Such as ``fp16: latency``.
        passed: Whether it is as it should be.
        text: What was found, or the error.
        figures: Numbers, their units in their names.
    """

    name: str
    passed: bool
    text: str
    figures: Figures


def run_check(name: str, find: Callable[[], tuple[str, Figures]]) -> Check:
    """Return what `find` found; an error of ours is a check that failed, and the next one runs."""
    try:
        text, figures = find()
    except FacealignError as error:
        return Check(name, passed=False, text=str(error), figures={})
    return Check(name, passed=True, text=text, figures=figures)


def check_precision(builder: PlanBuilder, precision: str, *, run_count: int) -> Iterator[Check]:
    """Yield the checks of one precision: plan, golden landmarks, CUDA graphs, latency and memory.

    Args:
        builder: Gives the plan, from the cache or new.
        precision: Which graph.
        run_count: Runs that are timed, of each batch size.
    """
    built = run_check(f"{precision}: plan", lambda: _plan(builder, precision))
    yield built
    if not built.passed:
        return
    finds: dict[str, Callable[[], tuple[str, Figures]]] = {
        "golden": lambda: _golden(builder, precision),
        "graphs": lambda: _graphs(builder, precision),
        "latency": lambda: _latency(builder, precision, run_count=run_count),
        "memory": lambda: _memory(builder, precision),
    }
    for name, find in finds.items():
        yield run_check(f"{precision}: {name}", find)


def _plan(builder: PlanBuilder, precision: str) -> tuple[str, Figures]:
    """Take the plan that is there, whatever it was built with, or build one."""
    started = time.perf_counter()
    try:
        record, how = _read(builder, precision).record, "was built before"
    except TargetError:
        record, how = builder.build(precision).record, "built"
    seconds = round(time.perf_counter() - started, 3)
    plan_mib = record.plan_bytes / _MIB
    # One that was there may have been built with others than the report's.
    options = asdict(record.options)
    figures = {"seconds": seconds, "plan_mib": plan_mib, **options}
    return f"{how}, {plan_mib:.1f} MiB", figures


def _read(builder: PlanBuilder, precision: str) -> Plan:
    return read_bundle_plan(
        builder.bundle, precision=precision, machine=builder.machine, key=builder.key
    )


@contextmanager
def _engine(
    builder: PlanBuilder, precision: str, *, uses_graphs: bool = True
) -> Iterator[TensorrtEngine]:
    """Yield an engine on the plan as it is on the disk, through every check."""
    contract = contract_from_plan(_read(builder, precision), name=f"the {precision} plan")
    engine = engine_from_plan(contract, builder.device, uses_graphs=uses_graphs)
    try:
        yield engine
    finally:
        engine.close()


def _golden(builder: PlanBuilder, precision: str) -> tuple[str, Figures]:
    bundle = builder.bundle
    with _engine(builder, precision) as engine:
        session = Session(engine, bundle.manifest)
        found = check_golden(bundle, precision=precision, run_crops=session.run_crops)
    return (
        f"{found.max_px:.4f} px of {found.allowed_px:g} allowed, {found.crop_count} crops",
        {"max_px": found.max_px, "allowed_px": found.allowed_px},
    )


def _graphs(builder: PlanBuilder, precision: str) -> tuple[str, Figures]:
    """Compare replays of CUDA graphs with the same work queued step by step.

    Raises:
        SelfTestError: If nothing is captured, or a replay differs.
    """
    with _engine(builder, precision, uses_graphs=False) as engine:
        batches = _batches(engine)
        plain = [engine.run(_crops(builder, batch)) for batch in batches]
    with _engine(builder, precision) as engine:
        engine.warm_up(batches)
        missing = set(batches) - engine.graph_batches
        if missing:
            raise SelfTestError(f"CUDA captures no graph of a batch of {sorted(missing)}")
        runs = [
            (engine.run(_crops(builder, batch)), expected)
            for _ in range(_REPLAYS)
            for batch, expected in zip(batches, plain, strict=True)
        ]
    size_px = builder.bundle.manifest.crop.size_px
    far_px = size_px * max(_distance(found, expected) for found, expected in runs)
    if not far_px <= _REPLAY_PX:  # written so that NaN fails too
        raise SelfTestError(
            f"a replayed graph gives landmarks {far_px:.4f} px away from the same work queued step "
            f"by step, at most {_REPLAY_PX:g} px are allowed"
        )
    return f"batches {batches}, replays {far_px:.6f} px away", {"replay_px": far_px}


def _latency(builder: PlanBuilder, precision: str, *, run_count: int) -> tuple[str, Figures]:
    """Time whole runs on the host: crops in, landmarks out."""
    texts: list[str] = []
    figures: dict[str, float | int | None] = {}
    with _engine(builder, precision) as engine:
        engine.warm_up(_batches(engine))
        for batch in _batches(engine):
            crops = _crops(builder, batch)
            times = np.array([_seconds(engine, crops) for _ in range(run_count)]) * 1e3
            p50, p99 = (float(each) for each in np.percentile(times, [50, 99]))
            figures |= {f"batch_{batch}_p50_ms": p50, f"batch_{batch}_p99_ms": p99}
            texts.append(f"batch {batch}: p50 {p50:.3f} ms, p99 {p99:.3f} ms")
    return f"{'; '.join(texts)} ({run_count} runs, host to host)", figures


def _memory(builder: PlanBuilder, precision: str) -> tuple[str, Figures]:
    """Compare memory before an engine is open and after it has run its largest batch."""
    before = {"resident": resident_mib(), "available": available_mib()}
    with _engine(builder, precision) as engine:
        engine.warm_up([engine.max_batch])
        after = {"resident": resident_mib(), "available": available_mib()}
    figures = {
        **{f"{name}_before_mib": value for name, value in before.items()},
        **{f"{name}_after_mib": value for name, value in after.items()},
    }
    return f"this process {before['resident']} to {after['resident']} MiB", figures


def _batches(engine: TensorrtEngine) -> list[int]:
    return sorted({1, engine.max_batch})


def _crops(builder: PlanBuilder, batch: int) -> NDArray[np.uint8]:
    """Return golden crops, again and again until there are `batch`."""
    golden = builder.bundle.golden().crops
    return np.resize(golden, (batch, *golden.shape[1:]))


def _distance(
    found: Mapping[str, NDArray[np.float32]], expected: Mapping[str, NDArray[np.float32]]
) -> float:
    offset = found["landmarks"] - expected["landmarks"]
    return float(np.linalg.norm(offset, axis=-1).max())


def _seconds(engine: TensorrtEngine, crops: NDArray[np.uint8]) -> float:
    started = time.perf_counter()
    engine.run(crops)
    return time.perf_counter() - started
