"""Bundles in another form than the standard one: what is measured is what ships."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from facealign.bundle import read_bundle
from facealign.errors import UsageError
from facealign.export.graph import graph_from_bytes, node_counts
from facealign.pipeline.compile import CompileRequest, compile_checkpoint
from facealign.pipeline.targets import FormRequest, form_of
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


def test_form_tells_what_was_asked_for() -> None:
    form = form_of(FormRequest(("jetpack-5.1",), graph_convolution="gather"))

    assert form.options == {"targets": "jetpack-5.1", "graph_convolution": "gather"}
    assert form_of(FormRequest()).options == {}


def test_form_refuses_a_target_that_there_is_none_of() -> None:
    with pytest.raises(UsageError, match=r"there is no target 'jetpack-6\.3'; did you mean"):
        form_of(FormRequest(("jetpack-6.3",)))


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
    assert bundle.manifest.options == form_of(form).options
    with open_session(compiled.folder) as session:  # its golden landmarks are the module's
        assert session.engine_name == "onnxruntime"
