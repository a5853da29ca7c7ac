from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import onnx_ir as ir
import pytest

from facealign.errors import BudgetError, UsageError
from facealign.export.graph import bytes_from_graph, node_counts
from facealign.models.load import Model
from facealign.pipeline.faces import FaceRequest
from facealign.pipeline.judge import Judge
from facealign.pipeline.precision_request import PrecisionRequest
from facealign.pipeline.precisions import Reductions, _budget_points, reduced_graphs
from facealign.pipeline.progress import Stage
from tests.unit.pipeline.small_network import Told, judge_of

ALL = ("fp32", "fp16", "int8")
SOMEWHERE = FaceRequest(Path("nowhere"))


class Recorder:
    """Notes what each stage says."""

    def __init__(self) -> None:
        self.stages: dict[str, Told] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[Stage]:
        self.stages[name] = Told()
        yield self.stages[name]


@pytest.fixture
def request_(boxed_faces: Path) -> PrecisionRequest:
    faces = FaceRequest(boxed_faces, held_out_count=10)
    return PrecisionRequest(ALL, faces=faces, observer="min_max")


def reduce_with(
    graph: ir.Model,
    model: Model,
    request: PrecisionRequest,
    folder: Path,
    progress: Recorder | None = None,
) -> Reductions | None:
    bundle = folder / "x.bundle"
    return reduced_graphs(graph, model, request, folder=bundle, progress=progress or Recorder())


def test_nothing_is_judged_where_nothing_is_asked_for(
    real_graph: ir.Model, real_model: Model, tmp_path: Path
) -> None:
    recorder = Recorder()

    found = reduce_with(real_graph, real_model, PrecisionRequest(), tmp_path, recorder)

    assert (found, recorder.stages) == (None, {})


def test_half_without_faces_is_judged_by_parity_crops(
    real_graph: ir.Model, real_model: Model, tmp_path: Path
) -> None:
    request = PrecisionRequest(("fp32", "fp16"))

    found = reduce_with(real_graph, real_model, request, tmp_path)

    assert found is not None
    assert (found.judge.held_out.faces, found.judge.held_out.crops_from) == ("parity crops", "none")
    assert [each.precision for each in found.reductions] == ["fp16"]
    assert (found.faces, found.ranges) == (None, None)


def test_faces_without_labels_give_all_precisions(real_reductions: Reductions) -> None:
    judge, int8 = real_reductions.judge, real_reductions.reductions[1]

    assert [each.precision for each in real_reductions.reductions] == ["fp16", "int8", "int8-cpu"]
    assert {"fp16", "int8"} <= {each.precision for each in real_reductions.kept}
    assert judge.errors_percent is None
    assert judge.held_out.crops_from == "box"
    found = int8.judgements[int8.chosen.left]
    assert found.change_points == pytest.approx(found.drift_percent)
    assert list(int8.speeds) == [trial.left for trial in int8.search.trials]


def test_nothing_that_was_judged_was_calibrated_on(real_reductions: Reductions) -> None:
    faces = real_reductions.faces

    assert faces is not None
    calibrated = {crop.tobytes() for crop in faces.calibration_crops}
    assert not calibrated & {crop.tobytes() for crop in faces.held_out.crops}
    assert real_reductions.judge.held_out is faces.held_out
    assert real_reductions.ranges is not None
    assert real_reductions.ranges.crop_count == len(faces.calibration_crops)


def test_same_request_gives_the_same_bytes(
    real_graph: ir.Model,
    real_model: Model,
    real_reductions: Reductions,
    request_: PrecisionRequest,
    tmp_path: Path,
) -> None:
    again = reduce_with(real_graph, real_model, replace(request_, budget_points=100), tmp_path)

    assert again is not None
    first, second = (
        {
            each.precision: bytes_from_graph(each.shipped)
            for each in found.kept
            if each.precision != "int8-cpu"  # whether it ships is up to its speed
        }
        for found in (real_reductions, again)
    )
    assert first == second
    assert again.ranges == real_reductions.ranges


def test_int8_that_costs_too_much_is_an_error_when_it_is_required(
    real_graph: ir.Model, real_model: Model, request_: PrecisionRequest, tmp_path: Path
) -> None:
    request = replace(request_, precisions=("fp32", "int8"), budget_points=0.0)

    with pytest.raises(
        BudgetError, match=r"INT8 is refused: .* sensitive: block-\d\d \("
    ) as raised:
        reduce_with(real_graph, real_model, request, tmp_path)

    assert raised.value.exit_code == 5
    assert all("times as fast as FP32 in ONNX Runtime" in item for item in raised.value.items)
    assert len(raised.value.items) > 1
    assert list(tmp_path.iterdir()) == []


def test_int8_that_costs_too_much_is_left_out_otherwise(
    real_graph: ir.Model, real_model: Model, request_: PrecisionRequest, tmp_path: Path
) -> None:
    recorder = Recorder()
    request = replace(request_, is_required=False, budget_points=0.0)

    found = reduce_with(real_graph, real_model, request, tmp_path, recorder)

    assert found is not None
    assert [each.precision for each in found.kept] == ["fp16"]
    assert [each.precision for each in found.reductions] == ["fp16", "int8"]
    assert recorder.stages["int8"].texts[-1].startswith("left out: INT8 is refused: ")
    assert tuple(recorder.stages) == request.stages


def test_half_that_breaks_its_bar_is_an_error_when_it_is_required(
    real_graph: ir.Model, real_model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("facealign.pipeline.reduce.HALF_BAR_PX", 0.0)

    with pytest.raises(BudgetError, match=r"FP16 is refused: .* out of `--precision`$"):
        reduce_with(real_graph, real_model, PrecisionRequest(("fp32", "fp16")), tmp_path)


def test_int8_is_put_into_the_fp16_graph_when_asked(
    real_graph: ir.Model, real_model: Model, request_: PrecisionRequest, tmp_path: Path
) -> None:
    request = replace(request_, rest="fp16", budget_points=100)

    found = reduce_with(real_graph, real_model, request, tmp_path)

    assert found is not None
    graph = found.reductions[1].shipped
    types = {value.dtype for node in graph.graph for value in node.outputs}
    assert ir.DataType.FLOAT16 in types
    assert "QuantizeLinear" in node_counts(graph)


def test_int8_is_not_calibrated_when_its_fp16_graph_was_refused(
    real_graph: ir.Model,
    real_model: Model,
    request_: PrecisionRequest,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("facealign.pipeline.reduce.HALF_BAR_PX", 0.0)
    recorder = Recorder()
    request = replace(request_, rest="fp16", is_required=False)

    with pytest.raises(UsageError, match="if FP16 itself keeps its bar, and it does not; leave"):
        reduce_with(real_graph, real_model, request, tmp_path, recorder)

    assert tuple(recorder.stages) == ("faces", "fp16")


@pytest.mark.parametrize(
    ("budget", "has_truth", "expected"),
    [(None, True, 0.10), (None, False, 0.50), (0.0, True, 0.0), (0.3, False, 0.3)],
    ids=["nme", "drift", "none", "given"],
)
def test_budget_is_what_was_given_or_fits_the_faces(
    small: ir.Model, budget: float | None, has_truth: bool, expected: float
) -> None:
    judge: Judge = judge_of(small, has_truth=has_truth)

    assert _budget_points(PrecisionRequest(budget_points=budget), judge) == expected
