"""From the FP32 graph and calibration crops to the ranges of its tensors."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from facealign.calibration import (
    Calibration,
    Ranges,
    collect_ranges,
    convergence_of,
    text_of_convergence,
)
from facealign.errors import CalibrationError
from facealign.export.graph import bytes_from_graph, expose_values
from facealign.export.passes.quantize import tensors_to_observe
from facealign.pipeline.progress import Stage
from facealign.runtime.ort_engine import OrtEngine

__all__ = ["calibrate", "state_path"]

_BATCH = 4


def calibrate(
    graph: ir.Model,
    crops: NDArray[np.uint8],
    *,
    observer: str,
    state: Path | None,
    stage: Stage,
) -> Ranges:
    """Return the ranges of the tensors that INT8 asks for, over calibration crops.

    Args:
        graph: FP32.
        crops: ``(K, S, S, 3)`` uint8 BGR.
        observer: Name of an observer.
        state: Where to keep what was seen; a file of an interrupted run with the same graph,
            observer and crops is gone on with, and one of any other is thrown away.
        stage: Told about every batch.

    Raises:
        CalibrationError: If an activation is not finite.
    """
    data = bytes_from_graph(graph)
    names = tensors_to_observe(graph)
    engine = OrtEngine(
        expose_values(data, names), input_name="image", output_names=names, max_batch=_BATCH
    )
    how = Calibration(
        graph_sha256=hashlib.sha256(data).hexdigest(), observer=observer, state_path=state
    )

    def run(batch: NDArray[np.uint8], asked: Sequence[str]) -> Mapping[str, NDArray[Any]]:
        return engine.run(batch, asked)

    def collect() -> Ranges:
        return collect_ranges(
            run,
            names,
            _batches(crops),
            how,
            progress=lambda done: stage.advance(done, total=len(crops)),
        )

    with closing(engine):
        ranges = _from_state_or_anew(collect, state)
    stage.say(f"{observer}, {len(names)} tensors; {text_of_convergence(convergence_of(ranges))}")
    return ranges


def state_path(bundle: Path) -> Path:
    """Return where the state of a calibration is kept: hidden, beside the bundle."""
    folder = bundle.resolve()  # `.` has no name
    return folder.with_name(f".{folder.name}.calibration")


def _from_state_or_anew(collect: Callable[[], Ranges], state: Path | None) -> Ranges:
    is_begun = state is not None and state.exists()
    try:
        return collect()
    except CalibrationError:
        if state is not None:  # of another calibration, broken, or of one that has no end
            state.unlink(missing_ok=True)
        if not is_begun:
            raise
    return _from_state_or_anew(collect, state)


def _batches(crops: NDArray[np.uint8]) -> Iterator[NDArray[np.uint8]]:
    for start in range(0, len(crops), _BATCH):
        yield crops[start : start + _BATCH]
