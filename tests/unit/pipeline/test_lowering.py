"""The form that targets need, and bundles in it: what is measured is what ships."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx_ir as ir
import pytest
import torch

from facealign.bundle import read_bundle
from facealign.errors import TargetError, UsageError
from facealign.export.graph import graph_from_bytes, node_counts
from facealign.pipeline.compile import CompileRequest, compile_checkpoint
from facealign.pipeline.lowering import STANDARD, FormRequest, Lowering, lowering_of
from facealign.runtime import open_session
from tests.conformance.tiny import tiny_checkpoint, tiny_detection

SDFL = "sdfl/l-grl-vgg-bn"


@pytest.fixture(scope="module")
def request_(tmp_path_factory: pytest.TempPathFactory) -> CompileRequest:
    folder = tmp_path_factory.mktemp("sdfl")
    detection = tiny_detection(SDFL)
    assets = detection.family.made_up_assets(detection.hyperparameters)
    torch.save(dict(tiny_checkpoint(SDFL).state_dict), folder / "tiny.pt")
    np.save(folder / "graph.npy", assets["graph"])
    return CompileRequest(
        checkpoint=folder / "tiny.pt",
        folder=folder / "tiny.bundle",
        assets=(f"graph={folder / 'graph.npy'}",),
    )


@pytest.mark.parametrize(
    ("targets", "opset", "layer_normalization"),
    [
        pytest.param((), 19, "standard", id="none"),
        pytest.param(("onnxruntime",), 19, "standard", id="onnxruntime"),
        pytest.param(("jetpack-6.2", "tensorrt-11"), 19, "standard", id="tensorrt-10-and-11"),
        pytest.param(("jetpack-6.0",), 17, "standard", id="8.6"),
        pytest.param(("jetpack-6.2", "jetpack-5.1"), 17, "decomposed", id="8.5-and-10.3"),
    ],
)
def test_lowering_is_what_the_oldest_target_reads(
    targets: tuple[str, ...], opset: int, layer_normalization: str
) -> None:
    lowering = lowering_of(FormRequest(targets), ("fp32",))

    assert (lowering.opset, lowering.layer_normalization) == (opset, layer_normalization)
    assert lowering.patch_crop == "standard"


def test_lowering_tells_what_it_is() -> None:
    lowering = lowering_of(
        FormRequest(("jetpack-5.1",), graph_convolution="gather"), ("fp32", "int8")
    )

    assert lowering.options == {
        "targets": "jetpack-5.1",
        "graph-convolution": "gather",
        "layer-normalization": "decomposed",
        "opset": "17",
    }
    assert lowering.text == "graph-convolution gather, layer-normalization decomposed, opset 17"
    assert (STANDARD.options, STANDARD.text) == ({}, "standard operators only")


def test_lowering_refuses_fp16_where_types_are_hints() -> None:
    with pytest.raises(TargetError, match=r"jetpack-6.0 \(TensorRT 8.6.2\) takes types for hints"):
        lowering_of(FormRequest(("jetpack-6.2", "jetpack-6.0")), ("fp32", "fp16"))


def test_lowering_refuses_a_target_that_there_is_none_of() -> None:
    with pytest.raises(UsageError, match=r"there is no target 'jetpack-6\.3'; did you mean"):
        lowering_of(FormRequest(("jetpack-6.3",)), ("fp32",))


def test_apply_refuses_a_graph_that_a_target_cannot_take() -> None:
    (target,) = lowering_of(FormRequest(("jetpack-6.0",)), ("fp32",)).targets
    graph = ir.from_onnx_text(
        '<ir_version: 9, opset_import: ["": 19]> g (float[2] x) => (float[2] y) { y = Relu (x) }'
    )

    with pytest.raises(TargetError, match=r"jetpack-6\.0 refuses the fp32 graph: .*opset"):
        Lowering((target,), opset=19).apply(graph, "fp32")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("form", "has", "has_not", "opset"),
    [
        pytest.param(
            FormRequest(graph_convolution="function"),
            "SparseGraphConv",
            "Gather",
            19,
            id="function",
        ),
        pytest.param(
            FormRequest(("jetpack-6.0",), graph_convolution="gather"),
            "Gather",
            "SparseGraphConv",
            17,
            id="gather-and-opset-17",
        ),
    ],
)
def test_bundle_is_in_the_form_that_was_asked_for(
    request_: CompileRequest, tmp_path: Path, form: FormRequest, has: str, has_not: str, opset: int
) -> None:
    compiled = compile_checkpoint(replace(request_, folder=tmp_path / "a.bundle", form=form))

    bundle = read_bundle(compiled.folder)
    entry = bundle.manifest.graphs["fp32"]
    operators = node_counts(graph_from_bytes(bundle.read_file(entry.file)))
    assert has in operators
    assert has_not not in operators
    assert (entry.opset, entry.node_count) == (opset, sum(operators.values()))
    assert bundle.manifest.options == lowering_of(form, ("fp32",)).options
    with open_session(compiled.folder) as session:  # its golden landmarks are the module's
        assert session.engine_name == "onnxruntime"
