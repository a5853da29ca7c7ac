from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from numpy.typing import NDArray

from facealign.errors import BackendError
from facealign.export.graph import bytes_from_graph, graph_from_bytes
from facealign.export.passes.lower import Form, Opset, lower
from facealign.runtime.ort_engine import run_graph
from facealign.runtime.patch_crop_body import patch_crop_kind, with_patch_crop_body
from tests.patch_crop_bundle import patch_crop_graph

SAME = 1e-6  # largest measured 0: ONNX Runtime 1.31 inlines the body


@pytest.fixture
def crops(rng: np.random.Generator) -> NDArray[np.uint8]:
    return rng.integers(0, 256, (3, 16, 16, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    ("form", "kind"),
    [
        ("standard", "absent"),
        ("gather", "absent"),
        ("function", "with_body"),
        ("plugin", "without_body"),
    ],
)
def test_patch_crop_kind_tells_the_forms_apart(form: Form, kind: str) -> None:
    assert patch_crop_kind(patch_crop_graph(form)) == kind


@pytest.mark.parametrize("data", [b"", b"no ONNX", b"\x42\xff"], ids=["empty", "text", "cut off"])
def test_patch_crop_kind_of_what_is_no_graph_is_absent(data: bytes) -> None:
    assert patch_crop_kind(data) == "absent"
    assert with_patch_crop_body(data) is data


@pytest.mark.parametrize("opset", [17, 19])
def test_body_is_the_one_that_export_writes(opset: Opset) -> None:
    standard = graph_from_bytes(patch_crop_graph("standard"))
    function = _proto(lower(standard, patch_crop="function", opset=opset))
    plugin = _proto(lower(standard, patch_crop="plugin", opset=opset))

    found = onnx.load_from_string(with_patch_crop_body(plugin.SerializeToString()))

    assert found.functions == function.functions
    assert found.graph == plugin.graph


@pytest.mark.parametrize("form", ["standard", "function"])
def test_nothing_is_added_to_a_graph_that_lacks_no_body(form: Form) -> None:
    graph = patch_crop_graph(form)

    assert with_patch_crop_body(graph) is graph


@pytest.mark.parametrize("opset", [None, 0, 300, -1], ids=["none", "0", "300", "negative"])
def test_graph_of_an_opset_that_there_is_not_is_refused_in_one_line(opset: int | None) -> None:
    graph = onnx.load_from_string(patch_crop_graph("plugin"))
    others = [entry for entry in graph.opset_import if entry.domain]
    del graph.opset_import[:]
    graph.opset_import.extend(others)
    graph.opset_import.extend([] if opset is None else [onnx.helper.make_opsetid("", opset)])

    with pytest.raises(BackendError, match=r"^onnxruntime \S+ cannot open the graph: .*$"):
        run_graph(graph.SerializeToString(), np.zeros((1, 16, 16, 3), np.uint8))


def test_graph_without_its_body_gives_what_standard_operators_give(
    crops: NDArray[np.uint8],
) -> None:
    expected = run_graph(patch_crop_graph("standard"), crops)["landmarks"]

    found = run_graph(patch_crop_graph("plugin"), crops)["landmarks"]

    assert np.ptp(expected) > 0.1  # samples of a picture, not zeros
    np.testing.assert_allclose(found, expected, atol=SAME, rtol=0)


def _proto(model: ir.Model) -> onnx.ModelProto:
    return onnx.load_from_string(bytes_from_graph(model))
