"""Run a graph over calibration crops and observe its tensors, in bounded memory."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facealign.calibration.observers import Observer, make_observer
from facealign.calibration.ranges import Ranges, Snapshot
from facealign.calibration.state_file import PartialCalibration, read_state, write_state
from facealign.errors import CalibrationError

__all__ = ["Calibration", "RunFunction", "collect_ranges"]

Crops = NDArray[np.uint8]
RunFunction = Callable[[Crops, Sequence[str]], Mapping[str, NDArray[Any]]]
"""From ``(B, S, S, 3)`` uint8 BGR crops and names of tensors to these tensors."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """How to calibrate.

    Attributes:
        graph_sha256: Of the ONNX file that is run; a state of another file is refused.
        observer: Name of an observer, see `observer_names`.
        state_path: Where to keep the state, so that an interrupted run goes on where it was.
        save_every: Write the state when so many crops or more were seen since it was last written.
        names_per_run: Most tensors to ask for at once; it bounds memory.
    """

    graph_sha256: str
    observer: str = "entropy"
    state_path: Path | None = None
    save_every: int = 32
    names_per_run: int = 64


@dataclass(slots=True)
class _Collector:
    """What was seen so far."""

    names: tuple[str, ...]
    observers: dict[str, Observer]
    crop_count: int = 0
    saved_count: int = 0
    snapshots: list[Snapshot] = field(default_factory=list)

    def snapshot(self) -> Snapshot:
        """Return the ranges as they are now."""
        amax = tuple(self.observers[name].range() for name in self.names)
        return Snapshot(self.crop_count, amax)


def collect_ranges(
    run: RunFunction,
    names: Iterable[str],
    batches: Iterable[Crops],
    calibration: Calibration,
    *,
    progress: Callable[[int], None] = lambda _: None,
) -> Ranges:
    """Return the ranges of tensors over crops.

    The state, if there is a place for it, is written now and then and removed in the end.

    Args:
        run: Runs the graph.
        names: Tensors to observe; their order does not matter.
        batches: Crops, ``(B, S, S, 3)`` uint8 BGR; read once, so a generator will do. To resume, it
            must give the same crops from the first one on.
        calibration: What graph, which observer, where to keep the state.
        progress: Called with the number of crops just done, those of an earlier run included.

    Raises:
        CalibrationError: If there are no crops, if an activation is not finite, or if the state is
            corrupt or belongs to another graph, observer, set of tensors or crops.
        OutputError: If the state cannot be written.
    """
    collector, resumed = _start(tuple(sorted(set(names))), calibration)
    digest = hashlib.sha256()
    seen = 0
    for crops in _pieces(batches, resumed.crop_count if resumed else 0):
        digest.update(crops.tobytes() if seen else repr(crops.shape[1:]).encode() + crops.tobytes())
        seen += len(crops)
        if seen > collector.crop_count:
            _observe(collector, run, crops, calibration.names_per_run)
            _save(collector, calibration, digest.hexdigest())
        elif resumed and seen == resumed.crop_count and digest.hexdigest() != resumed.crops_sha256:
            raise CalibrationError(_foreign(calibration, "crops"))
        progress(len(crops))
    if seen < collector.crop_count:
        raise CalibrationError(_foreign(calibration, "crops"))
    return _finished(collector, calibration, digest.hexdigest())


def _start(
    names: tuple[str, ...], calibration: Calibration
) -> tuple[_Collector, PartialCalibration | None]:
    """Return where to start: at the first crop, or where the state is."""
    state = read_state(calibration.state_path) if calibration.state_path else None
    if state is None:
        observers = {name: make_observer(calibration.observer) for name in names}
        return _Collector(names, observers), None
    found = (state.graph_sha256, state.observer, state.names)
    expected = (calibration.graph_sha256, calibration.observer, names)
    for what, one, other in zip(("graph", "observer", "tensors"), found, expected, strict=True):
        if one != other:
            raise CalibrationError(_foreign(calibration, what))
    kind = type(make_observer(state.observer))
    observers = {name: kind(seen) for name, seen in zip(names, state.observers, strict=True)}
    count = state.crop_count
    return _Collector(names, observers, count, count, list(state.snapshots)), state


def _pieces(batches: Iterable[Crops], resumed_at: int) -> Iterator[Crops]:
    """Return the batches, cut where a snapshot is due and where an earlier run ended."""
    seen = 0
    for batch in batches:
        rest = np.ascontiguousarray(batch)
        while len(rest):
            due = (1 << seen.bit_length()) - seen  # to the next power of two
            if seen < resumed_at:
                due = min(due, resumed_at - seen)
            yield rest[:due]
            seen += len(rest[:due])
            rest = rest[due:]


def _observe(collector: _Collector, run: RunFunction, crops: Crops, names_per_run: int) -> None:
    for start in range(0, len(collector.names), names_per_run):
        asked = collector.names[start : start + names_per_run]
        tensors = run(crops, asked)
        for name in asked:
            collector.observers[name].observe(_finite(name, tensors[name]))
    collector.crop_count += len(crops)
    if collector.crop_count.bit_count() == 1:
        collector.snapshots.append(collector.snapshot())


def _finite(name: str, tensor: NDArray[Any]) -> NDArray[Any]:
    if not np.isfinite(tensor).all():
        raise CalibrationError(
            f"`{name}` is not finite for a calibration crop; check the checkpoint, and if the "
            "graph is FP16, calibrate on the FP32 graph"
        )
    return tensor


def _save(collector: _Collector, calibration: Calibration, crops_sha256: str) -> None:
    """Write the state if enough crops were seen since the last time."""
    is_due = collector.crop_count - collector.saved_count >= calibration.save_every
    if calibration.state_path is None or not is_due:
        return
    state = PartialCalibration(
        graph_sha256=calibration.graph_sha256,
        observer=calibration.observer,
        names=collector.names,
        crop_count=collector.crop_count,
        crops_sha256=crops_sha256,
        observers=tuple(collector.observers[name].state() for name in collector.names),
        snapshots=tuple(collector.snapshots),
    )
    write_state(calibration.state_path, state)
    collector.saved_count = collector.crop_count


def _finished(collector: _Collector, calibration: Calibration, crops_sha256: str) -> Ranges:
    if not collector.crop_count:
        raise CalibrationError("there are no calibration crops; give some hundred faces")
    last = collector.snapshot()
    before = [each for each in collector.snapshots if each.crop_count < last.crop_count]
    if calibration.state_path is not None:
        calibration.state_path.unlink(missing_ok=True)
    return Ranges(
        amax=dict(zip(collector.names, last.amax, strict=True)),
        observer=calibration.observer,
        crop_count=collector.crop_count,
        crops_sha256=crops_sha256,
        graph_sha256=calibration.graph_sha256,
        snapshots=(*before, last),
    )


def _foreign(calibration: Calibration, what: str) -> str:
    return (
        f"the calibration state `{calibration.state_path}` belongs to other {what}; "
        "delete it to start anew, or give what it was begun with"
    )
