"""Every tiny network in every lowered form: the same landmarks, and nothing touched by mistake."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import onnx_ir as ir
import pytest
from numpy.typing import NDArray

from facealign.calibration import Calibration, collect_ranges
from facealign.export.graph import bytes_from_graph, expose_values, graph_from_bytes, node_counts
from facealign.export.passes.lower import lower
from facealign.export.passes.precision import half_precision
from facealign.export.passes.quantize import quantize, tensors_to_observe
from facealign.models.blocks.folded_graph import _FoldedGraphConv
from facealign.models.load import Model
from facealign.runtime.ort_engine import run_graph
from tests.conformance.tiny import crops_of

# ONNX Runtime 1.31 on CPU, 8 crops of 64 px (128 px: spiga/300w). Max measured:
# fp32: 6.1e-5 px, spiga/wflw without GridSample.
# fp16: 0.047 px, spiga/wflw without GridSample, whose FP16 graph is 0.4 px from FP32. Forms round
# to FP16 in other places; 0 if every FP16 value of both is rounded, which this CPU leaves out.
# int8: 0.020 px, slpt without LayerNormalization: a value rounds up, not down.
SAME_PX = {"fp32": 1e-3, "fp16": 0.1, "int8": 0.05}

CHOICES: dict[str, dict[str, Any]] = {
    "function": {"patch_crop": "function", "graph_convolution": "function"},
    "plugin": {"patch_crop": "plugin", "graph_convolution": "plugin"},
    "gather": {"patch_crop": "gather", "graph_convolution": "gather"},
    "decomposed": {"layer_normalization": "decomposed"},
    "opset-17": {"opset": 17},
    "all": {
        "patch_crop": "gather",
        "graph_convolution": "gather",
        "layer_normalization": "decomposed",
        "opset": 17,
    },
}
every_precision = pytest.mark.parametrize("precision", SAME_PX, ids="as:{}".format)
Lowered = Callable[[str, str], ir.Model]
LandmarksOf = Callable[[ir.Model], NDArray[np.float32]]


@pytest.fixture(scope="module")
def full(graph: bytes) -> ir.Model:
    return graph_from_bytes(graph)


@pytest.fixture(scope="module")
def crops(model: Model) -> NDArray[np.uint8]:
    return np.stack([crop.pixels for crop in crops_of(model.crop.size_px)[::9]])


@pytest.fixture(scope="module")
def half(full: ir.Model) -> ir.Model:
    return half_precision(full)


@pytest.fixture(scope="module")
def quantized(full: ir.Model, graph: bytes, crops: NDArray[np.uint8]) -> ir.Model:
    names = tensors_to_observe(full)
    exposed = expose_values(graph, names)
    how = Calibration(graph_sha256="0" * 64, observer="min_max", names_per_run=1000)
    ranges = collect_ranges(lambda *asked: run_graph(exposed, *asked), names, [crops], how).amax
    return quantize(full, ranges)


@pytest.fixture(scope="module")
def graphs(full: ir.Model, half: ir.Model, quantized: ir.Model) -> dict[str, ir.Model]:
    return {"fp32": full, "fp16": half, "int8": quantized}


@pytest.fixture(scope="module")
def lowered(graphs: dict[str, ir.Model]) -> Lowered:
    """Return what gives the graph of a precision in a form of `CHOICES`; each is lowered once."""
    return cache(lambda precision, form: lower(graphs[precision], **CHOICES[form]))


@pytest.fixture(scope="module")
def landmarks_px(crops: NDArray[np.uint8]) -> LandmarksOf:
    """Return what runs a graph; where a form has nothing to rewrite, its bytes have run already."""
    run = cache(lambda data: run_graph(data, crops, ["landmarks"])["landmarks"] * crops.shape[1])
    return lambda model: run(bytes_from_graph(model))


def graph_convolution_count(model: Model) -> int:
    """Return how many graph convolutions were traced."""
    return sum(isinstance(module, _FoldedGraphConv) for module in model.exportable.modules())


@pytest.mark.parametrize(
    "form", ["function", "gather", "decomposed", "opset-17", "all"], ids="as:{}".format
)
@every_precision
def test_lowered_landmarks_are_those_of_the_graph(
    graphs: dict[str, ir.Model],
    lowered: Lowered,
    landmarks_px: LandmarksOf,
    precision: str,
    form: str,
) -> None:
    expected = landmarks_px(graphs[precision])

    found = landmarks_px(lowered(precision, form))

    assert np.abs(found - expected).max() <= SAME_PX[precision]


@pytest.mark.parametrize("precision", ["fp16", "int8"], ids="as:{}".format)
def test_graph_convolutions_are_found_in_reduced_precision(
    model: Model, lowered: Lowered, precision: str
) -> None:
    counts = node_counts(lowered(precision, "function"))

    assert counts.get("SparseGraphConv", 0) == graph_convolution_count(model)


@pytest.mark.parametrize("form", ["function", "plugin"], ids="as:{}".format)
def test_every_patch_crop_becomes_ours(full: ir.Model, lowered: Lowered, form: str) -> None:
    before, after = node_counts(full), node_counts(lowered("fp32", form))

    assert after.get("PatchCrop", 0) == before.get("GridSample", 0)
    assert "GridSample" not in after


@every_precision
def test_no_grid_sample_is_left_before_8_5(lowered: Lowered, precision: str) -> None:
    assert "GridSample" not in node_counts(lowered(precision, "gather"))


@every_precision
def test_no_layer_normalization_is_left_before_8_6(lowered: Lowered, precision: str) -> None:
    assert "LayerNormalization" not in node_counts(lowered(precision, "decomposed"))


@pytest.mark.parametrize("form", ["function", "plugin"], ids="as:{}".format)
def test_graph_convolutions_become_ours_and_no_other_product(
    model: Model, full: ir.Model, lowered: Lowered, form: str
) -> None:
    count = graph_convolution_count(model)

    before, after = node_counts(full), node_counts(lowered("fp32", form))

    assert after.get("SparseGraphConv", 0) == count
    assert after.get("MatMul", 0) == before.get("MatMul", 0) - count


def test_opset_17_keeps_the_number_of_nodes(full: ir.Model, lowered: Lowered) -> None:
    after = lowered("fp32", "opset-17")

    assert dict(after.opset_imports) == {"": 17}
    assert node_counts(after) == node_counts(full)
