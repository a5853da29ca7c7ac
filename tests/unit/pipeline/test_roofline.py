"""Graphs of a bundle under the roof: every node and every millisecond is accounted for."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx.parser
import pytest

from facealign.bench.result import Candidate, Roof, Roofline
from facealign.bench.roofline import OTHER
from facealign.bundle import read_bundle
from facealign.errors import UsageError
from facealign.export.kernels import Kernel
from facealign.export.passes.lower import Form
from facealign.export.traffic import NodeWork
from facealign.pipeline import roofline as subject
from facealign.pipeline.roofline import graph_roofline, rooflines
from facealign.runtime.ort_profile import KernelTime, OrtProfile, profile_graph
from tests.patch_crop_bundle import patch_crop_graph

ROOF = Roof(peak_gflops={"fp32": 100.0, "int8": 400.0}, bandwidth_gb_s=10.0, threads=1)
CANDIDATE = Candidate(engine="onnxruntime", precision="fp32", batch=2, threads=1)
CONVOLUTIONS = """
<ir_version: 9, opset_import: ["" : 19]>
agraph (uint8[B, 8, 8, 16] image) => (float[B, 16, 8, 8] y) {
    f = Cast <to = 1> (image)
    x = Transpose <perm = [0, 3, 1, 2]> (f)
    a = Conv(x, w)
    b = Relu(a)
    c = Conv(b, w)
    d = Add(c, b)
    e = Relu(d)
    g = Softmax(e)
    y = Conv(g, w)
}"""

INTEGERS = """
<ir_version: 9, opset_import: ["" : 19]>
agraph (uint8[B, 64] image) => (float[B, 64] y) <float s = {0.1}, uint8 z = {0}, int8 k = {0}> {
    d = DequantizeLinear(image, s, z)
    v = DequantizeLinear(w, s, k)
    y = MatMul(d, v)
}"""


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subject, "_SECONDS", 0.0)
    monkeypatch.setattr(subject, "measure_roof", lambda **_: ROOF)


def test_rooflines_put_each_graph_of_a_bundle_under_the_roof(tiny_bundle: Path) -> None:
    roof, lines = rooflines(
        read_bundle(tiny_bundle), ["fp32"], threads=1, batch=2, measured_ms={"fp32": 5.0}
    )

    assert roof == ROOF
    assert [line.candidate for line in lines] == [CANDIDATE]
    assert lines[0].total_ms == 5.0
    assert sum(row.time_ms or 0.0 for row in lines[0].operators) == pytest.approx(5.0)


def test_rooflines_refuse_a_precision_that_is_not_there(tiny_bundle: Path) -> None:
    bundle = read_bundle(tiny_bundle)

    with pytest.raises(UsageError, match="the bundle has no 'int8' graph; choose from fp32"):
        rooflines(bundle, ["fp32", "int8"], threads=1, batch=1, measured_ms={})


def test_rooflines_count_the_work_of_the_whole_batch(tiny_bundle: Path) -> None:
    bundle = read_bundle(tiny_bundle)

    _, (line,) = rooflines(bundle, ["fp32"], threads=1, batch=7, measured_ms={})

    assert sum(row.macs for row in line.operators) == 7 * 1764
    assert line.total_ms == line.profiled_ms


def test_rooflines_of_the_tiny_bundle_are_those_counted_by_hand(tiny_bundle: Path) -> None:
    _, (line,) = rooflines(read_bundle(tiny_bundle), ["fp32"], threads=1, batch=1, measured_ms={})

    rows = {row.operator: row for row in line.operators}
    image = 16 * 16 * 3
    assert rows["Cast"].bytes == image + 4 * image
    assert rows["Gemm"].bytes == 4 * (9 + 9 * 196 + 196 + 196)
    assert rows["Gemm"].macs == 9 * 196
    assert rows["ReduceMean"].bytes == 3 * (4 * image + 2 * 8 + 4 * 3)
    assert rows["Concat"].bytes == 4 * (9 + 9)
    assert rows["Reshape"].bytes == 0
    assert rows["Gemm"].roof_ms == pytest.approx(rows["Gemm"].bytes / 10e9 * 1e3)


def test_graph_roofline_gives_the_work_of_fused_kernels_to_convolutions() -> None:
    line = _line()

    rows = {row.operator: row for row in line.operators}
    map_bytes, weight_bytes = 4 * 2 * 16 * 8 * 8, 4 * 16 * 16 * 3 * 3
    conv = 2 * 16 * 8 * 8 * 16 * 9
    assert rows["Conv"].count == 3
    assert rows["Conv"].macs == 3 * conv
    # What Add and Relu would move lies inside, and the residual is what the second reads anyway.
    assert rows["Conv"].bytes == 3 * (2 * map_bytes + weight_bytes)
    assert (rows["Relu"].time_ms, rows["Relu"].count, rows["Relu"].bytes) == (None, 2, 0)
    assert (rows["Add"].time_ms, rows["Add"].count) == (None, 1)


def test_graph_roofline_shows_what_onnx_runtime_adds_and_what_lies_between() -> None:
    line = _line()

    rows = {row.operator: row for row in line.operators}
    assert (rows["ReorderOutput"].macs, rows["ReorderOutput"].roof_ms) == (0, 0.0)
    assert (rows[OTHER].time_ms or 0.0) >= 0.0
    assert sum(row.time_ms or 0.0 for row in line.operators) == pytest.approx(line.total_ms)


def test_graph_roofline_holds_products_of_integers_to_the_peak_of_int8() -> None:
    model = onnx.parser.parse_model(INTEGERS)
    weight = np.ones((64, 64), np.int8)
    model.graph.initializer.append(onnx.numpy_helper.from_array(weight, "w"))
    roof = Roof(peak_gflops={"fp32": 1.0, "int8": 4.0}, bandwidth_gb_s=1e6, threads=1)

    line = graph_roofline(model.SerializeToString(), np.zeros((2, 64), np.uint8), CANDIDATE, roof)

    rows = {row.operator: row for row in line.operators}
    assert rows["MatMul"].macs == 2 * 64 * 64
    assert rows["MatMul"].roof_ms == pytest.approx(2 * 2 * 64 * 64 / 4e9 * 1e3)
    assert rows["MatMul"].bound == "compute"


def test_pairs_take_kernels_without_names_in_order_and_by_operator() -> None:
    kernels = [
        Kernel("", operator, [key]) for operator, key in (("Exp", "a"), ("Div", "b"), ("Exp", "c"))
    ]
    times = [KernelTime("", operator, 1.0, ()) for operator in ("Div", "Exp", "Cast", "Exp")]

    found = list(subject._pairs(kernels, times))

    assert [kernel.keys for kernel, _ in found] == [["b"], ["a"], [], ["c"]]
    assert [kernel.operator for kernel, _ in found] == ["Div", "Exp", "Cast", "Exp"]
    assert [timed for _, timed in found] == times


@pytest.mark.parametrize(
    ("kernel", "held", "operator"),
    [
        pytest.param("Attention", {"Transpose": 0, "MatMul": 9, "Add": 0}, "MatMul", id="product"),
        pytest.param("ReduceMax", {"Max": 0, "ReduceMax": 0}, "ReduceMax", id="what it is called"),
        pytest.param(
            "SkipLayerNormalization",
            {"Add": 0, "LayerNormalization": 0},
            "LayerNormalization",
            id="what its name speaks of",
        ),
        pytest.param("Gelu", {"Erf": 0, "Mul": 0}, "Gelu", id="a fusion by another name"),
        pytest.param("ResizeNhwc8", {"Upsample": 0}, "Upsample", id="one node by another name"),
        pytest.param("ReorderInput", {}, "ReorderInput", id="no node"),
    ],
)
def test_leader_is_the_product_or_what_the_kernel_speaks_of(
    kernel: str, held: dict[str, int], operator: str
) -> None:
    nodes = [NodeWork(name, name, macs, "fp32", {}, {}, (), ()) for name, macs in held.items()]

    assert subject._leader(Kernel("", kernel), nodes) == operator


def test_graph_roofline_loses_no_work_of_kernels_that_the_profile_calls_otherwise(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    expected = _line()

    def renamed(*args: Any, **options: Any) -> OrtProfile:  # noqa: ANN401  # handed on
        profile = profile_graph(*args, **options)
        kernels = [
            replace(each, name=f"{each.name} of the next release") for each in profile.kernels
        ]
        return replace(profile, kernels=tuple(kernels))

    monkeypatch.setattr(subject, "profile_graph", renamed)
    found = _line()

    assert sum(row.macs for row in found.operators) == sum(row.macs for row in expected.operators)
    assert found.roof_ms == pytest.approx(expected.roof_ms)
    assert sum(row.time_ms or 0.0 for row in found.operators) == pytest.approx(found.total_ms)


def test_graph_roofline_times_kernels_that_onnx_runtime_gave_no_name() -> None:
    # Its body of Softmax in FP16 has nodes without names.
    text = """
    <ir_version: 9, opset_import: ["" : 19]>
    agraph (float16[B, 4, 4] image) => (float16[B, 4, 4] y) { y = Softmax(image) }"""
    graph = onnx.parser.parse_model(text).SerializeToString()
    crops = np.zeros((2, 4, 4), np.float16)

    line = graph_roofline(graph, crops, CANDIDATE, ROOF)  # type: ignore[arg-type]  # not crops

    rows = {row.operator: row for row in line.operators}
    assert rows["Softmax"].bytes == 2 * 2 * (2 * 4 * 4)
    assert rows["Softmax"].time_ms is not None
    assert sum(row.time_ms or 0.0 for row in line.operators) == pytest.approx(line.total_ms)


@pytest.mark.parametrize("form", ["function", "plugin"])
def test_graph_roofline_looks_into_the_patch_crop(form: Form) -> None:
    crops = np.zeros((2, 16, 16, 3), np.uint8)

    rows, standard = (
        {row.operator: (row.count, row.bytes) for row in line.operators}
        for line in (
            graph_roofline(patch_crop_graph(each), crops, CANDIDATE, ROOF)
            for each in (form, "standard")
        )
    )

    assert rows == standard
    assert rows["GridSample"][0] == 2


def _line() -> Roofline:
    model = onnx.parser.parse_model(CONVOLUTIONS)
    weight = np.random.default_rng(1).normal(size=(16, 16, 3, 3)).astype(np.float32)
    model.graph.initializer.append(onnx.numpy_helper.from_array(weight, "w"))
    for node in model.graph.node:
        node.attribute.extend([_PADS] if node.op_type == "Conv" else [])
    crops = np.zeros((2, 8, 8, 16), np.uint8)
    return graph_roofline(model.SerializeToString(), crops, CANDIDATE, ROOF)


_PADS = onnx.helper.make_attribute("pads", [1, 1, 1, 1])
