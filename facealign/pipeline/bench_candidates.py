"""Which graphs on which engines take turns in a benchmark."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from pathlib import Path

from facealign.bench.result import Candidate
from facealign.bundle import Bundle
from facealign.errors import UsageError
from facealign.pipeline.bench_subject import PYTORCH
from facealign.runtime.engine import engine_names

__all__ = ["FULL", "REFERENCE_ENGINE", "BenchRequest", "candidates_of"]

FULL = "fp32"
REFERENCE_ENGINE = "onnxruntime"
# Least and most. What is beyond is a slip, and ends in numbers that no message can hold.
_SECONDS, _RATE = (0.01, 1e5), (0.1, 1e5)
_THREADS, _FACES = (1.0, 1024.0), (1.0, 1e4)


@dataclass(frozen=True, slots=True)
class BenchRequest:
    """What to measure, and for how long.

    Attributes:
        bundle: Folder.
        engines: By name; if empty, whatever runs here.
        precisions: Graphs of the bundle; if empty, all, but for TensorRT what is not for it.
        batches: Crops of a run; if empty, 1 and the most that the bundle takes.
        checkpoint: That the bundle was made from, for PyTorch.
        seconds: For all turns together.
        threads: As `open_session` has it.
        frames_per_s: Also run at this fixed rate.
        faces_per_frame: In that.
    """

    bundle: Path
    engines: tuple[str, ...] = ()
    precisions: tuple[str, ...] = ()
    batches: tuple[int, ...] = ()
    checkpoint: Path | None = None
    seconds: float = 12.0
    threads: int | None = None
    frames_per_s: float | None = None
    faces_per_frame: int = 1


def candidates_of(bundle: Bundle, request: BenchRequest) -> list[Candidate]:
    """Return what is to be measured, the one that others are compared with first.

    Args:
        bundle: Whose graphs.
        request: What was asked for.

    Raises:
        UsageError: If something was asked for that there is not.
    """
    _check_numbers(request, bundle)
    batches = request.batches or (1, bundle.manifest.max_batch)
    return [
        Candidate(engine=engine, precision=precision, batch=batch, threads=request.threads)
        for engine in _engines(request)
        for precision in _precisions(bundle, request, engine)
        for batch in dict.fromkeys(batches)
    ]


def _check_numbers(request: BenchRequest, bundle: Bundle) -> None:
    """Check what can be wrong with the numbers.

    Raises:
        UsageError: If one is out of range.
    """
    most = bundle.manifest.max_batch
    wrong = [batch for batch in request.batches if not 1 <= batch <= most]
    if wrong:
        raise UsageError(f"the bundle takes batches of 1 to {most}, got {wrong[0]}")
    limits: tuple[tuple[str, float | None, tuple[float, float]], ...] = (
        ("seconds", request.seconds, _SECONDS),
        ("threads", request.threads, _THREADS),
        ("rate", request.frames_per_s, _RATE),
        ("faces", request.faces_per_frame, _FACES),
    )
    for name, value, (low, high) in limits:
        if value is not None and not low <= value <= high:
            raise UsageError(f"`{name}` must be {low:g} to {high:g}, got {value}")


def _engines(request: BenchRequest) -> tuple[str, ...]:
    """Return the engines to try, ONNX Runtime first if nobody chose an order.

    Raises:
        UsageError: If there is no such engine, or PyTorch and the checkpoint do not come together.
    """
    known = (*sorted(engine_names(), key=lambda name: name != REFERENCE_ENGINE), PYTORCH)
    for name in request.engines:
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            advice = f"did you mean {close[0]!r}?" if close else f"choose from {', '.join(known)}"
            raise UsageError(f"there is no engine {name!r}; {advice}")
    engines = request.engines or known
    if request.checkpoint is None and PYTORCH in request.engines:
        raise UsageError("PyTorch needs the checkpoint; pass `--checkpoint FILE`")
    if request.checkpoint is not None and PYTORCH not in engines:
        raise UsageError("`--checkpoint` is for PyTorch; add `pytorch` to `--engine`")
    return tuple(n for n in dict.fromkeys(engines) if n != PYTORCH or request.checkpoint)


def _precisions(bundle: Bundle, request: BenchRequest, engine: str) -> tuple[str, ...]:
    """Return the graphs for an engine, FP32 first.

    Raises:
        UsageError: If the bundle lacks one that was named.
    """
    graphs = sorted(bundle.manifest.graphs, key=lambda name: (name != FULL, name))
    for name in request.precisions:
        if name not in graphs:
            raise UsageError(f"the bundle has no {name!r} graph; choose from {', '.join(graphs)}")
    if engine == PYTORCH:
        return (FULL,)
    if request.precisions:
        return tuple(name for name in graphs if name in request.precisions)
    purposes = {name: bundle.manifest.graphs[name].purpose for name in graphs}
    # The others run any file, faster or slower; the table says what each was made for.
    is_left_out = {name: engine == "tensorrt" and "ONNX" in purposes[name] for name in graphs}
    return tuple(name for name in graphs if not is_left_out[name])
