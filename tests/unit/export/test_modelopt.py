"""The door to ModelOpt: what goes in, what comes out, and what is said when it cannot be opened."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import onnx_ir as ir
import pytest

from facealign.errors import BackendError, GraphContractError, MissingLibraryError
from facealign.export.graph import node_counts, node_name
from facealign.export.modelopt import check_modelopt, int8_by_modelopt, modelopt_version
from facealign.export.passes.quantize.foreign import planned_nodes, quantized_products
from tests.unit.modelopt_double import (
    SIZE_PX,
    VERSION,
    ModeloptDouble,
    install_double,
    small_graph,
)

CROPS = np.random.default_rng(1).integers(0, 256, (6, SIZE_PX, SIZE_PX, 3), dtype=np.uint8)


@pytest.fixture
def double(monkeypatch: pytest.MonkeyPatch) -> ModeloptDouble:
    double = ModeloptDouble()
    install_double(monkeypatch, double)
    return double


class Scribbler(ModeloptDouble):
    """Writes no graph."""

    def quantize(self, onnx_path: str, **settings: object) -> None:
        """Write a few bytes."""
        Path(str(settings["output_path"])).write_bytes(b"not like " + onnx_path.encode())


def made(*leave_float: str) -> ir.Model:
    return int8_by_modelopt(small_graph(), CROPS, leave_float=leave_float, observer="min_max")


def test_modelopt_calibrates_on_the_crops_and_leaves_the_rest_in_fp32(
    double: ModeloptDouble,
) -> None:
    made()

    calibration = double.settings["calibration_data"]
    assert isinstance(calibration, dict)
    np.testing.assert_array_equal(calibration["image"], CROPS)
    assert double.settings["calibration_method"] == "max"
    assert double.settings["high_precision_dtype"] == "fp32"
    assert double.settings["calibration_eps"] == ["cpu"]


def test_modelopt_leaves_out_nodes_of_that_very_name(double: ModeloptDouble) -> None:
    graph = small_graph()

    quantized = made("c1", "c")

    assert double.excluded(graph) == {"c1"}
    assert quantized_products(quantized) == {"c2", "c3"}


def test_modelopt_is_given_the_names_that_reports_have(double: ModeloptDouble) -> None:
    graph = small_graph()
    assert not graph.graph[0].name

    made()

    assert double.names == [node_name(node) for node in graph.graph]


def test_modelopt_is_kept_from_the_terminal(
    double: ModeloptDouble, capfd: pytest.CaptureFixture[str]
) -> None:
    made()

    assert double.settings
    assert capfd.readouterr() == ("", "")


@pytest.mark.usefixtures("double")
def test_version_is_that_of_the_library() -> None:
    assert modelopt_version() == VERSION


def test_missing_modelopt_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "modelopt", None)

    with pytest.raises(
        MissingLibraryError,
        match=r"cannot import ModelOpt: .*modelopt.*; install it, and what it "
        r'needs, with `pip install "facealign\[modelopt\]"`$',
    ):
        check_modelopt()


def test_library_that_modelopt_misses_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    package = tmp_path / "modelopt" / "onnx"
    package.mkdir(parents=True)
    (package.parent / "__init__.py").touch()
    (package / "__init__.py").write_text('raise ImportError("No module named onnxslim\\nand more")')
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("modelopt", "modelopt.onnx", "modelopt.onnx.quantization"):
        monkeypatch.setitem(sys.modules, name, None)  # so that it is put back, or gone, at the end
        monkeypatch.delitem(sys.modules, name)

    with pytest.raises(MissingLibraryError, match="ModelOpt: No module named onnxslim; install it"):
        check_modelopt()


def test_failure_of_modelopt_is_told_in_one_line(double: ModeloptDouble) -> None:
    def fail(_: ir.Model) -> None:
        raise RuntimeError("no scale for `x`\nand much more")

    double.spoil = fail

    with pytest.raises(
        BackendError,
        match=r"^ModelOpt could not quantise the graph: RuntimeError: no scale for `x`; leave out "
        r"`--quantizer modelopt`$",
    ):
        made()


def test_what_is_no_graph_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    install_double(monkeypatch, Scribbler())

    with pytest.raises(GraphContractError, match="not an ONNX model"):
        made()


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # of a dozen libraries that come with it
def test_modelopt_itself_quantises_what_it_may() -> None:
    pytest.importorskip("modelopt.onnx.quantization", exc_type=ImportError)
    graph = small_graph()
    planned = planned_nodes(graph)
    others = {node_name(node) for node in graph.graph} - planned

    quantized = int8_by_modelopt(graph, CROPS, leave_float=others, observer="entropy")

    assert quantized_products(quantized) == {"c1", "c2", "c3"}
    assert node_counts(quantized)["QuantizeLinear"] == node_counts(quantized)["DequantizeLinear"]
