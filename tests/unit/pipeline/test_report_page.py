from __future__ import annotations

import dataclasses
import html
import math
import re
from pathlib import Path

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from facealign.bench.result import OperatorRow
from facealign.bundle import Bundle, Manifest, read_bundle
from facealign.errors import BackendError, IntegrityError
from facealign.pipeline.evaluate import EvaluationRequest, evaluate_bundle
from facealign.pipeline.evaluation_result import Evaluation
from facealign.pipeline.page_sections.accuracy import accuracy_section
from facealign.pipeline.page_sections.environment import environment_section, skipped_section
from facealign.pipeline.page_sections.landmarks import landmark_section
from facealign.pipeline.page_sections.latency import fixed_rate_section, latency_section
from facealign.pipeline.page_sections.roofline import roofline_section
from facealign.pipeline.page_sections.stages import stage_section
from facealign.pipeline.report_page import report_page
from facealign.report.page import Cell, Facts, Figures, Note, RoofPoint, Section, Table
from facealign.report.page.numbers import NONE
from tests.unit.evaluation_data import write_two_graphs
from tests.unit.report_data import bench_result

SHIFT_PX = 0.16  # of `two_graphs`, whose crops are 16 px wide
RESULT = bench_result()
BARE = msgspec.structs.replace(
    RESULT, candidates=(), ratios=(), fixed_rate=(), roof=None, rooflines=(), machine={}
)
HOSTILE = "<script>alert('x')</script>"


@pytest.fixture
def bundle(two_graphs: Path) -> Bundle:
    return read_bundle(two_graphs)


def tables(section: Section) -> list[Table]:
    return [each for each in section.blocks if isinstance(each, Table)]


def missing(section: Section) -> str:
    """Return the one sentence of a section that has nothing else."""
    (note,) = section.blocks
    assert isinstance(note, Note)
    assert note.is_missing
    return note.text


def row(table: Table, name: str) -> dict[str, str | Cell]:
    """Return the row of that name by its columns."""
    return next(
        dict(zip(table.columns, each, strict=True))
        for each in table.rows
        if (each[0].text if isinstance(each[0], Cell) else each[0]) == name
    )


def test_page_of_a_bare_bundle_has_no_empty_section(tiny_bundle: Path) -> None:
    page = report_page(BARE, read_bundle(tiny_bundle), command="facealign bench b").decode()

    sections = re.findall(r"<section aria-labelledby.*?</section>", page, re.DOTALL)
    assert len(sections) == 11
    assert [each for each in sections if not re.search(r"<(p|table|dl|pre)\b", each)] == []
    assert page.count('class="missing"') == 6


def test_page_says_how_to_make_it_again_and_is_the_same_every_time(bundle: Bundle) -> None:
    first, second = (report_page(BARE, bundle, command="facealign bench 'a b'") for _ in range(2))

    assert first == second
    assert b'<pre class="command">facealign bench &#39;a b&#39;</pre>' in first


def test_names_of_a_hostile_bundle_are_escaped(
    tmp_path: Path, tiny_manifest: Manifest, tiny_files: dict[str, bytes]
) -> None:
    manifest = msgspec.structs.replace(
        tiny_manifest,
        title=HOSTILE,
        tools={HOSTILE: HOSTILE},
        checkpoint=msgspec.structs.replace(tiny_manifest.checkpoint, name=HOSTILE),
        card=msgspec.structs.replace(tiny_manifest.card, title=HOSTILE, paper=HOSTILE),
    )
    folder = write_two_graphs(tmp_path / "b", manifest, tiny_files, name="int8")
    result = msgspec.structs.replace(
        BARE, bundle=HOSTILE, title=HOSTILE, settings={HOSTILE: HOSTILE}, skipped=(HOSTILE,)
    )

    page = report_page(result, read_bundle(folder), command=HOSTILE).decode()

    assert "<script" not in page
    assert page.count(html.escape(HOSTILE).replace("&#x27;", "&#39;")) > 8


def test_bundle_that_was_changed_since_is_refused(bundle: Bundle) -> None:
    (bundle.folder / "golden" / "frame.npy").write_bytes(b"another")

    with pytest.raises(IntegrityError, match=r"frame\.npy` is not what the bundle was made with"):
        report_page(BARE, bundle, command="facealign bench b")


def test_latency_table_has_every_candidate_with_its_ratio_and_interval() -> None:
    forward, whole, gpu = tables(latency_section(RESULT))

    assert len(forward.rows) == len(whole.rows) == len(RESULT.candidates)
    fast = row(forward, "onnxruntime int8-cpu")
    assert fast["times as fast as"] == Cell("1.82\u00d7 onnxruntime fp32", "95 %: 1.76 to 1.89")
    assert row(whole, "onnxruntime fp32")["largest px"] == "reference"
    assert row(whole, "onnxruntime fp16")["p99 px"] == "<0.001"
    assert row(whole, "onnxruntime fp16")["session adds"] == "0.120"
    assert row(gpu, "tensorrt fp16")["settings"] == "--useCudaGraph"
    times = RESULT.candidates[-1].gpu
    assert times is not None
    assert gpu.rows[0][2:8] == tuple(
        f"{value:.3f}"
        for value in (
            *(times.latency.median_ms, times.latency.p99_ms, times.enqueue_time.median_ms),
            *(times.h2d_latency.median_ms, times.gpu_compute_time.median_ms),
            times.d2h_latency.median_ms,
        )
    )


def test_latency_tables_have_each_number_in_its_column() -> None:
    first = RESULT.candidates[0]
    forward, whole = tables(latency_section(msgspec.structs.replace(RESULT, candidates=(first,))))

    assert first.end_to_end is not None
    assert forward.rows[0][2:6] == tuple(
        f"{value:.2f}"
        for value in (
            *(first.forward.p50_ms, first.forward.p90_ms),
            *(first.forward.p95_ms, first.forward.p99_ms),
        )
    )
    assert row(forward, "onnxruntime fp32")["crops/s"] == f"{first.throughput_per_s:.0f}"
    found = row(whole, "onnxruntime fp32")
    assert found["p50"] == f"{first.end_to_end.p50_ms:.2f}"
    assert found["p99"] == f"{first.end_to_end.p99_ms:.2f}"
    assert found["crop"] == "0.400"
    assert found["opens in"] == "0.210 s"
    assert found["memory"] == Cell("184", "62 before")


@pytest.mark.parametrize(
    ("threads", "text"), [(4, "threads: 4;"), (None, "threads: one per core;")]
)
def test_latency_table_says_how_many_threads_there_were(threads: int | None, text: str) -> None:
    first = RESULT.candidates[0]
    candidate = msgspec.structs.replace(first.candidate, threads=threads)
    result = msgspec.structs.replace(
        RESULT,
        candidates=(msgspec.structs.replace(first, candidate=candidate),),
        settings={"threads": "one per core"},
    )

    assert text in tables(latency_section(result))[0].caption


def test_landmarks_that_are_no_numbers_are_not_shown_as_left_out() -> None:
    wrong = msgspec.structs.replace(RESULT.candidates[1], p99_px=math.nan, max_px=math.inf)

    whole = tables(latency_section(msgspec.structs.replace(RESULT, candidates=(wrong,))))[1]

    found = row(whole, "onnxruntime fp16")
    assert (found["p99 px"], found["largest px"]) == ("not finite", "not finite")


def test_noisy_candidate_is_called_noisy() -> None:
    first = RESULT.candidates[0]
    noisy = msgspec.structs.replace(
        first, forward=msgspec.structs.replace(first.forward, cv_percent=23.0)
    )

    table = tables(latency_section(msgspec.structs.replace(RESULT, candidates=(noisy,))))[0]

    assert row(table, "onnxruntime fp32")["CV"] == Cell("23.0 %", "noisy")


def test_fixed_rate_shows_what_was_missed() -> None:
    (table,) = tables(fixed_rate_section(RESULT.fixed_rate))

    found = row(table, "onnxruntime fp32")
    latency = RESULT.fixed_rate[0].latency
    assert found["missed"] == Cell("31", "5.17 %")
    assert [found[name] for name in ("frames/s", "faces", "frames", "deadline", "busy")] == [
        *("30", "4", "600", "33.3", "84 %")
    ]
    assert [found[name] for name in ("p50", "p99", "max")] == [
        f"{value:.1f}" for value in (latency.p50_ms, latency.p99_ms, latency.max_ms)
    ]


def test_operators_stand_side_by_side_and_the_rest_is_one_row() -> None:
    two = msgspec.structs.replace(RESULT, rooflines=RESULT.rooflines[:2])

    shares, operators = tables(roofline_section(two))

    assert row(shares, "onnxruntime fp32, batch 1")["share reached"] == "26 %"
    assert operators.rows[0][0] == "Conv"
    assert operators.rows[-1][0] == "3 others"
    assert operators.columns == (
        "operator",
        "onnxruntime fp32, batch 1",
        "onnxruntime fp16, batch 1",
        "tensorrt fp16, batch 1",
    )
    assert row(operators, "Conv")["tensorrt fp16, batch 1"] == Cell("0.420", "2 layers")
    assert row(operators, "Gemm")["tensorrt fp16, batch 1"] == NONE


def test_layers_of_a_plan_are_shown_where_there_is_no_roofline() -> None:
    found = roofline_section(msgspec.structs.replace(RESULT, roof=None, rooflines=()))

    note, operators = found.blocks
    assert isinstance(note, Note)
    assert note.is_missing
    assert isinstance(operators, Table)
    assert operators.columns == ("operator", "tensorrt fp16, batch 1")
    assert [cells[0] for cells in operators.rows] == ["Conv", "MatMul", "TensorRT"]


def test_operator_shows_its_nodes_and_its_share_unless_it_has_nothing_to_do() -> None:
    first = RESULT.rooflines[0]
    cached, between = (
        OperatorRow(
            operator=name, count=count, macs=0, bytes=0, time_ms=2.0, bound=bound, roof_ms=roof_ms
        )
        for name, count, bound, roof_ms in [("Add", 1, "memory", 3.0), ("other", 0, "none", 0.0)]
    )
    result = msgspec.structs.replace(
        RESULT, rooflines=(msgspec.structs.replace(first, operators=(cached, between)),)
    )

    operators = tables(roofline_section(result))[1]

    assert row(operators, "Add")[operators.columns[1]] == Cell("2.00", "1 node, 150 %")
    assert row(operators, "other")[operators.columns[1]] == Cell("2.00")


def test_operator_is_drawn_with_two_operations_per_multiply_accumulate(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    drawn: list[RoofPoint] = []

    def draw(points: list[RoofPoint], **_options: object) -> bytes:
        drawn.extend(points)
        return b"<svg/>"

    monkeypatch.setattr("facealign.pipeline.page_sections.roofline.roofline_svg", draw)
    conv = msgspec.structs.replace(
        RESULT.rooflines[0].operators[0], macs=3_000_000, bytes=1_500_000, time_ms=0.5
    )
    one = msgspec.structs.replace(RESULT.rooflines[0], operators=(conv,))

    roofline_section(msgspec.structs.replace(RESULT, rooflines=(one,)))

    assert drawn == [RoofPoint("Conv", 4.0, 12.0, 1.0, "compute")]


def test_graph_whose_operators_have_no_time_is_not_drawn() -> None:
    rooflines = [
        msgspec.structs.replace(
            each,
            operators=tuple(msgspec.structs.replace(op, time_ms=None) for op in each.operators),
        )
        for each in RESULT.rooflines
    ]

    section = roofline_section(msgspec.structs.replace(RESULT, rooflines=tuple(rooflines)))

    assert [type(each) for each in section.blocks] == [Table, Table]


@pytest.mark.parametrize(
    ("section", "text"),
    [
        (latency_section(BARE), "Nothing was timed"),
        (fixed_rate_section(()), "--rate FPS"),
        (roofline_section(BARE), "facealign[compile]"),
        (accuracy_section(None), "--dataset FOLDER"),
    ],
    ids=["latency", "rate", "roofline", "accuracy"],
)
def test_what_is_missing_says_how_to_get_it(section: Section, text: str) -> None:
    assert text in missing(section)


def test_landmark_distances_are_in_crop_pixels(bundle: Bundle) -> None:
    section = landmark_section(bundle, None)

    found = row(tables(section)[0], "int8")
    assert [found[name] for name in ("mean", "p99", "largest")] == [f"{SHIFT_PX:.3f}"] * 3
    (figures,) = (each for each in section.blocks if isinstance(each, Figures))
    assert "int8, distances drawn 5 times as large" in figures.figures[0].caption


def with_int8_off(
    evaluation: Evaluation, off_px: NDArray[np.float64], bundle: Bundle
) -> Evaluation:
    """Return the evaluation with INT8's landmarks so many pixels of the crop right of FP32's."""
    off = off_px * evaluation.face_set.placement.side[:, None] / bundle.manifest.crop.size_px
    reference = evaluation.precisions["fp32"].landmarks
    moved = dataclasses.replace(
        evaluation.precisions["int8"],
        landmarks=reference + np.stack([off, np.zeros_like(off)], axis=2),
    )
    return dataclasses.replace(evaluation, precisions={**evaluation.precisions, "int8": moved})


def test_landmark_distances_are_those_of_the_data_set_if_there_is_one(
    bundle: Bundle, faces: Path
) -> None:
    evaluation = evaluate_bundle(
        EvaluationRequest(bundle.folder, faces, jitter_face_count=1, limit=3)
    )

    off_px = np.outer([1, 2, 5], np.arange(1, bundle.manifest.landmark_count + 1)) / 1000

    section = landmark_section(bundle, with_int8_off(evaluation, off_px, bundle))

    assert isinstance(section.blocks[0], Note)
    assert section.blocks[0].text.startswith("Over the first 3 of 12 faces of wflw test")
    found = row(tables(section)[0], "int8")
    p99_px = np.percentile(off_px, 99, axis=0)
    assert found["mean"] == f"{off_px.mean():.3f}"
    assert found["p99"] == f"{np.percentile(off_px, 99):.3f}"
    assert found["largest"] == f"{off_px.max():.3f}"
    assert found["worst"] == Cell(f"{p99_px[-1]:.3f} px", f"landmark {len(p99_px) - 1}")
    assert found["2."] == Cell(f"{p99_px[-2]:.3f} px", f"landmark {len(p99_px) - 2}")
    (figures,) = (each for each in section.blocks if isinstance(each, Figures))
    assert figures.figures[0].caption.endswith(
        f"mean {off_px.mean():.3f} px, largest 99th percentile {p99_px[-1]:.3f} px"
    )


def test_landmarks_without_an_engine_say_why(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_args: object, **_options: object) -> None:
        raise BackendError("the engine is absent")

    monkeypatch.setattr("facealign.pipeline.page_sections.landmarks.open_session", refuse)

    assert "the engine is absent" in missing(landmark_section(bundle, None))


def test_stages_show_where_a_precision_begins_to_differ(bundle: Bundle) -> None:
    parity, points = tables(stage_section(bundle))

    assert row(parity, "int8")["golden crops"] == "5.00"
    assert row(points, "features")["int8"] == "0 %"
    assert row(points, "landmarks")["int8"] == f"{SHIFT_PX:.3f} px"


def test_stages_are_in_percent_of_the_largest_value(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = {
        "fp32": np.array([[-4.0, 1.0]], np.float32),
        "int8": np.array([[-4.0, 1.5]], np.float32),
    }
    monkeypatch.setattr(
        "facealign.pipeline.page_sections.stages._points",
        lambda _bundle: {name: {"features": each} for name, each in values.items()},
    )

    points = tables(stage_section(bundle))[1]

    assert row(points, "features")["int8"] == "12.5 %"


def test_parity_has_each_number_in_its_column(tiny_bundle: Path) -> None:
    bundle = read_bundle(tiny_bundle)
    graph = bundle.manifest.graphs["fp32"]
    parity = msgspec.structs.replace(
        graph.parity, crop_count=72, p99_px=0.002, max_px=0.004, bar_px=0.01, undecided_count=3
    )
    graphs = {"fp32": msgspec.structs.replace(graph, parity=parity)}
    manifest = msgspec.structs.replace(bundle.manifest, graphs=graphs)

    (table,) = tables(stage_section(dataclasses.replace(bundle, manifest=manifest)))

    assert table.rows[0][:6] == ("fp32", "72", "0.002", "0.004", "0.010", "3")


def test_stages_without_the_compiler_say_what_to_install(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    def absent(_bundle: Bundle) -> dict[str, dict[str, NDArray[np.float32]]]:
        raise ModuleNotFoundError("No module named 'onnx_ir'", name="onnx_ir")

    monkeypatch.setattr("facealign.pipeline.page_sections.stages._points", absent)

    note = stage_section(bundle).blocks[-1]

    assert isinstance(note, Note)
    assert note.is_missing
    assert "`onnx_ir` is not installed here. With `facealign[compile]`" in note.text


def test_accuracy_has_every_subset_curves_and_the_worst_faces(bundle: Bundle, faces: Path) -> None:
    evaluation = evaluate_bundle(
        EvaluationRequest(bundle.folder, faces, crops_from="box", jitter_face_count=1)
    )

    section = accuracy_section(evaluation)

    scores = tables(section)[0]
    assert scores.rows[0][0] == Cell("all faces", "12 faces")
    assert row(scores, "all faces")["fp32"] == Cell("5.000", "")
    overall = row(tables(section)[1], "fp32")
    assert (overall["NME"], overall["failures above 10 %"]) == ("5.000", "0.00")
    assert overall["AUC to 10 %"] == "50.00"
    stability = row(tables(section)[2], "int8")
    drift, jitter = (evaluation.precisions["int8"].drift, evaluation.precisions["int8"].jitter)
    assert drift is not None
    assert (stability["drift"], stability["jitter"]) == (
        *(f"{drift.p99_px:.3f} px", f"{jitter.rms_px:.3f} px"),
    )
    assert row(tables(section)[2], "fp32")["drift"] == "reference"
    assert row(scores, "blur")["int8"] == Cell(row(scores, "blur")["int8"].text, "too few faces")  # type: ignore[union-attr]  # a cell
    curve, worst = (each for each in section.blocks if isinstance(each, Figures))
    assert curve.figures[0].data.startswith(b"<?xml")
    assert len(worst.figures) == 12
    assert all(each.data.startswith(b"\xff\xd8") for each in worst.figures)


def test_accuracy_without_labels_has_no_scores(bundle: Bundle, boxed: Path) -> None:
    evaluation = evaluate_bundle(EvaluationRequest(bundle.folder, boxed, jitter_face_count=1))

    section = accuracy_section(evaluation)

    assert isinstance(section.blocks[0], Note)
    assert "There are no labels" in section.blocks[0].text
    assert [each.columns for each in tables(section)] == [("precision", "drift", "jitter")]


def test_environment_has_machine_settings_versions_and_hashes(bundle: Bundle) -> None:
    section = environment_section(RESULT, bundle.manifest)

    facts = {each.caption: each.values for each in section.blocks if isinstance(each, Facts)}
    assert facts["Machine"]["cpu"] == "AMD EPYC 7B13"
    assert facts["During the run"]["flags"] == "none"
    assert facts["Versions"]["commit"] == "ec14c74 with changes"
    (graphs,) = tables(section)
    entry = bundle.manifest.graphs["fp32"]
    assert row(graphs, "fp32") | {"file": ""} == {
        "graph": "fp32",
        "file": "",
        "multiply-accumulates": f"{entry.mac_count:,}",
        "parameters": f"{entry.parameter_count:,}",
        "nodes": str(entry.node_count),
        "opset": str(entry.opset),
    }
    assert facts["SHA-256"]["demo.bundle/model.int8.onnx"] == (
        bundle.manifest.files["model.int8.onnx"].sha256
    )


def test_what_was_not_run_is_listed() -> None:
    assert [each.text for each in skipped_section(("a", "b")).blocks if isinstance(each, Note)] == [
        "a",
        "b",
    ]
    assert len(skipped_section(()).blocks) == 1
