"""Every reduced precision that was asked for: judged, and either in the bundle or refused."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx_ir as ir

from facealign.calibration import Ranges
from facealign.errors import BudgetError, UsageError
from facealign.export.crops import parity_crops
from facealign.export.graph import bytes_from_graph
from facealign.models.load import Model
from facealign.pipeline.calibrate import calibrate, state_path
from facealign.pipeline.cpu_flavour import cpu_text, if_faster, int8_for_cpu, with_speeds
from facealign.pipeline.faces import FaceSets, read_face_sets
from facealign.pipeline.judge import HeldOut, Judge, open_judge
from facealign.pipeline.modelopt import reduce_by_modelopt
from facealign.pipeline.precision_report import refusal, trial_lines
from facealign.pipeline.precision_request import PrecisionRequest
from facealign.pipeline.progress import Progress, Stage
from facealign.pipeline.reduce import reduce_to_half, reduce_to_int8
from facealign.pipeline.reduction import Reduction
from facealign.pipeline.run_crops import graph_runner

__all__ = ["Reductions", "reduced_graphs"]

_BUDGET_POINTS = 0.10  # of DESIGN.md, "Verification"
# Without annotations the distance to FP32 stands for the change of NME, which is several times
# smaller: landmarks that move at random get better as often as worse.
_DRIFT_BUDGET_PERCENT = 0.50
_HARD_CROPS = 16


@dataclass(frozen=True, slots=True)
class Reductions:
    """Everything that the stages gave.

    Attributes:
        judge: What the graphs were judged by.
        reductions: Every attempt, in order; without a graph where it was refused.
        faces: Calibration and held-out crops, if there were faces.
        ranges: If there was an attempt at INT8.
    """

    judge: Judge
    reductions: tuple[Reduction, ...]
    faces: FaceSets | None = None
    ranges: Ranges | None = None

    @property
    def kept(self) -> tuple[Reduction, ...]:
        """Those that may ship."""
        return tuple(each for each in self.reductions if each.graph is not None)


def reduced_graphs(
    graph: ir.Model, model: Model, request: PrecisionRequest, *, folder: Path, progress: Progress
) -> Reductions | None:
    """Return the graphs of reduced precision of a verified FP32 graph; None if none is asked for.

    Args:
        graph: FP32.
        model: Whose graph it is.
        request: What to make.
        folder: Of the bundle; the state of an unfinished calibration is kept beside it.
        progress: Shown the stages of `request`.

    Raises:
        BudgetError: If a precision costs too much and was required.
        UsageError: If INT8 is to be put into an FP16 graph that was refused.
        DatasetError: If the folder of faces cannot be used.
        CalibrationError: If it gives no ranges.
    """
    if not request.stages:
        return None
    faces = _faces(model, request, progress)
    held_out = _parity_crops(model) if faces is None else faces.held_out
    judge = open_judge(held_out, graph_runner(bytes_from_graph(graph)), scheme=model.scheme)
    half = _half(graph, model, judge, request, progress)
    if faces is None or "int8" not in request.precisions:
        return Reductions(judge, half, faces)
    rest = _rest(graph, half, request)
    with progress.stage("calibrate") as stage:
        ranges = calibrate(
            graph,
            faces.calibration_crops,
            observer=request.observer,
            state=state_path(folder),
            stage=stage,
        )
    with progress.stage("int8") as stage:
        budget_points = _budget_points(request, judge)
        if request.quantizer == "modelopt":
            int8 = reduce_by_modelopt(
                graph,
                faces.calibration_crops,
                judge,
                observer=request.observer,
                budget_points=budget_points,
                stage=stage,
            )
        else:
            int8 = reduce_to_int8(
                rest, ranges.amax, judge, budget_points=budget_points, stage=stage
            )
        int8 = with_speeds(int8, graph, ranges.amax, judge)
        _accept(int8, request, stage)
        if int8.graph is None:
            return Reductions(judge, (*half, int8), faces, ranges)
        flavour = if_faster(int8_for_cpu(graph, ranges.amax, int8, judge))
        stage.say(f"{trial_lines(int8)[-1]}; {cpu_text(flavour)}")
    return Reductions(judge, (*half, int8, flavour), faces, ranges)


def _faces(model: Model, request: PrecisionRequest, progress: Progress) -> FaceSets | None:
    if request.faces is None:
        return None
    with progress.stage("faces") as stage:
        return read_face_sets(request.faces, model.crop, model.scheme, stage=stage)


def _parity_crops(model: Model) -> HeldOut:
    crops = np.stack([each.pixels for each in parity_crops(model.crop.size_px)])
    return HeldOut("parity crops", "none", crops)


def _half(
    graph: ir.Model, model: Model, judge: Judge, request: PrecisionRequest, progress: Progress
) -> tuple[Reduction, ...]:
    if "fp16" not in request.precisions:
        return ()
    hard = _parity_crops(model).crops[:_HARD_CROPS]
    with progress.stage("fp16") as stage:
        half = reduce_to_half(graph, judge, hard_crops=hard, stage=stage)
        _accept(half, request, stage)
    return (half,)


def _rest(graph: ir.Model, half: tuple[Reduction, ...], request: PrecisionRequest) -> ir.Model:
    """Return the graph that INT8 is put into."""
    if request.rest == "fp32":
        return graph
    for reduction in half:
        if reduction.graph is not None:
            return reduction.graph
    raise UsageError(
        "what is not INT8 can only be FP16 if FP16 itself keeps its bar, and it does not; leave "
        "out `--int8-rest fp16`"
    )


def _budget_points(request: PrecisionRequest, judge: Judge) -> float:
    if request.budget_points is not None:
        return request.budget_points
    return _DRIFT_BUDGET_PERCENT if judge.errors_percent is None else _BUDGET_POINTS


def _accept(reduction: Reduction, request: PrecisionRequest, stage: Stage) -> None:
    """Say what came of an attempt.

    Raises:
        BudgetError: If nothing came of it, and it was required.
    """
    if reduction.graph is not None:
        stage.say(trial_lines(reduction)[-1])
    elif request.is_required:
        raise BudgetError(refusal(reduction), items=trial_lines(reduction))
    else:
        stage.say(f"left out: {refusal(reduction)}")
