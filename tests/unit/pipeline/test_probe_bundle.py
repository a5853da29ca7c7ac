"""The bundle that engines are proved with."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest
from onnx import numpy_helper

from facealign.bundle import read_bundle, write_bundle
from facealign.errors import SelfTestError
from facealign.pipeline.probe_bundle import write_probe_bundle
from facealign.runtime import open_session
from tests.unit.pipeline.probe_graph import PROBE, probe_graph


def test_the_graph_in_the_package_is_the_one_that_is_told() -> None:
    shipped = onnx.load_from_string(PROBE.read_bytes())
    made = onnx.load_from_string(probe_graph())

    assert [(node.op_type, list(node.input)) for node in shipped.graph.node] == [
        (node.op_type, list(node.input)) for node in made.graph.node
    ]
    assert _constants(shipped) == _constants(made)


def test_an_engine_gives_the_golden_landmarks_of_the_probe(tmp_path: Path) -> None:
    with open_session(write_probe_bundle(tmp_path / "probe.bundle")) as session:
        assert session.manifest.family == "probe"


@pytest.mark.parametrize("name", ["convolution", "product", "bias"])
def test_an_engine_that_computes_otherwise_is_found_out(tmp_path: Path, name: str) -> None:
    bundle = read_bundle(write_probe_bundle(tmp_path / "probe.bundle"))
    model = onnx.load_from_string(bundle.read_file("model.onnx"))
    weight = next(each for each in model.graph.initializer if each.name == name)
    weight.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(weight) * 1.01, name))
    files = {each: bundle.read_file(each) for each in bundle.manifest.files}
    files["model.onnx"] = model.SerializeToString()
    folder = write_bundle(tmp_path / "other.bundle", bundle.manifest, files)

    with pytest.raises(SelfTestError, match="does not compute"):
        open_session(folder)


def _constants(model: onnx.ModelProto) -> dict[str, object]:
    return {each.name: numpy_helper.to_array(each).tolist() for each in model.graph.initializer}
