"""INT8 graphs of every tiny network: they run, and say what TensorRT reads."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from numpy.typing import NDArray

from facealign.calibration import Calibration, collect_ranges
from facealign.export.graph import bytes_from_graph, expose_values, graph_from_bytes, node_counts
from facealign.export.lint import contract_problems
from facealign.export.passes.precision import half_precision
from facealign.export.passes.quantize import for_cpu, quantize, tensors_to_observe
from facealign.export.precision_rules import Precision
from facealign.export.tensorrt.rules import rule_problems
from facealign.models.load import Model
from facealign.pipeline.graphs import contract
from facealign.runtime.ort_engine import run_graph
from tests.conformance.tiny import crops_of

Build = Callable[[ir.Model, dict[str, float]], ir.Model]


@pytest.fixture(scope="module")
def full(graph: bytes) -> ir.Model:
    return graph_from_bytes(graph)


@pytest.fixture(scope="module")
def crops(model: Model) -> NDArray[np.uint8]:
    return np.stack([crop.pixels for crop in crops_of(model.crop.size_px)[:8]])


@pytest.fixture(scope="module")
def ranges(full: ir.Model, graph: bytes, crops: NDArray[np.uint8]) -> dict[str, float]:
    """Return the ranges of 8 crops."""
    names = tensors_to_observe(full)
    exposed = expose_values(graph, names)
    how = Calibration(graph_sha256="0" * 64, observer="min_max", names_per_run=1000)
    return collect_ranges(lambda *asked: run_graph(exposed, *asked), names, [crops], how).amax


def assert_runs(quantized: ir.Model, graph: bytes, crops: NDArray[np.uint8]) -> None:
    """Assert that the standard holds, and that landmarks come out."""
    data = bytes_from_graph(quantized)
    onnx.checker.check_model(onnx.load_from_string(data), full_check=True)
    found = run_graph(data, crops, ["landmarks"])["landmarks"]

    assert "QuantizeLinear" in node_counts(quantized)
    assert found.shape == run_graph(graph, crops, ["landmarks"])["landmarks"].shape
    assert np.isfinite(found).all()


def int8_in_half(full: ir.Model, ranges: dict[str, float]) -> ir.Model:
    """Return INT8 within FP16; its tensors are called as in FP32."""
    typed = half_precision(full)
    own = {name: ranges[name] for name in tensors_to_observe(typed) if name in ranges}
    return quantize(typed, own)


def test_tensorrt_flavour_runs(
    full: ir.Model, ranges: dict[str, float], graph: bytes, crops: NDArray[np.uint8]
) -> None:
    assert_runs(quantize(full, ranges), graph, crops)


def test_cpu_flavour_runs(
    full: ir.Model, ranges: dict[str, float], graph: bytes, crops: NDArray[np.uint8]
) -> None:
    assert_runs(for_cpu(full, ranges), graph, crops)


@pytest.mark.parametrize(
    ("precision", "build"),
    [
        pytest.param("fp16", lambda full, _: half_precision(full), id="as:fp16"),
        pytest.param("int8", quantize, id="as:int8"),
        pytest.param("int8", int8_in_half, id="as:int8-and-fp16"),
        pytest.param("int8-cpu", for_cpu, id="as:int8-cpu"),
    ],
)
def test_flavour_holds_the_contract_of_its_name(
    full: ir.Model, ranges: dict[str, float], model: Model, precision: Precision, build: Build
) -> None:
    found = contract_problems(build(full, ranges), *contract(model), precision=precision)

    assert found == []


def test_tensorrt_flavour_keeps_every_rule(full: ir.Model, ranges: dict[str, float]) -> None:
    assert rule_problems(quantize(full, ranges)) == []


def test_cpu_flavour_breaks_rules(full: ir.Model, ranges: dict[str, float]) -> None:
    assert any(
        "unsigned activations" in problem for problem in rule_problems(for_cpu(full, ranges))
    )


def test_half_precision_keeps_every_rule(full: ir.Model) -> None:
    assert rule_problems(half_precision(full)) == []


def test_int8_in_half_precision_keeps_every_rule(full: ir.Model, ranges: dict[str, float]) -> None:
    assert rule_problems(int8_in_half(full, ranges)) == []
