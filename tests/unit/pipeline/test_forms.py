"""Bundles in another form than the standard one: what is measured is what ships."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from facealign.bundle import read_bundle
from facealign.errors import UsageError
from facealign.export.graph import graph_from_bytes, node_counts
from facealign.pipeline.compile import CompileRequest, compile_checkpoint
from facealign.pipeline.targets import FormRequest, form_of
from facealign.runtime import open_session


def test_form_tells_what_was_asked_for() -> None:
    form = form_of(FormRequest(("jetpack-5.1",), graph_convolution="gather"))

    assert form.options == {"targets": "jetpack-5.1", "graph_convolution": "gather"}
    assert form_of(FormRequest()).options == {}


def test_form_refuses_a_target_that_there_is_none_of() -> None:
    with pytest.raises(UsageError, match=r"there is no target 'jetpack-6\.3'; did you mean"):
        form_of(FormRequest(("jetpack-6.3",)))


@pytest.mark.slow
def test_bundle_is_in_the_form_that_was_asked_for(
    request_of_sdfl: CompileRequest, tmp_path: Path
) -> None:
    form = FormRequest(graph_convolution="function")

    compiled = compile_checkpoint(replace(request_of_sdfl, folder=tmp_path / "a.bundle", form=form))

    bundle = read_bundle(compiled.folder)
    entry = bundle.manifest.graphs["fp32"]
    operators = node_counts(graph_from_bytes(bundle.read_file(entry.file)))
    assert "SparseGraphConv" in operators
    assert "Gather" not in operators
    assert (entry.opset, entry.node_count) == (19, sum(operators.values()))
    assert bundle.manifest.options == form_of(form).options
    with open_session(compiled.folder) as session:  # its golden landmarks are the module's
        assert session.engine_name == "onnxruntime"
