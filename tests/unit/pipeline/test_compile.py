"""Compiling: stages in order, a bundle at the end, and nothing at all when a check fails."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import onnx_ir as ir
import pytest
import torch
from make_checkpoint import recipe_state_dict

from facealign.bundle import Manifest, read_bundle
from facealign.errors import OutputError, ParityError, TargetError
from facealign.export.graph import graph_from_bytes, node_counts
from facealign.export.passes.simplify import simplify
from facealign.models.families.slpt import FAMILY
from facealign.pipeline import compile as compiling
from facealign.pipeline.compile import CompileRequest, compile_checkpoint, load_model
from facealign.pipeline.contents import check_same_network
from facealign.pipeline.progress import STAGES, Stage
from facealign.pipeline.targets import FormRequest, check_targets, form_of
from facealign.runtime import open_session
from facealign.targets import targets_from_names

SETTINGS = {"heads": 4}
PARITY_PX = 0.01


class Recorder:
    """Notes what the pipeline says, and how far its bars go."""

    def __init__(self) -> None:
        self.texts: dict[str, str] = {}
        self.done: dict[str, int] = {}
        self.totals: set[int] = set()

    @contextmanager
    def stage(self, name: str) -> Iterator[Stage]:
        recorder = self

        class Running:
            def say(self, text: str) -> None:
                recorder.texts[name] = text

            def advance(self, done: int, *, total: int) -> None:
                recorder.done[name] = recorder.done.get(name, 0) + done
                recorder.totals.add(total)

        yield Running()


@pytest.fixture(scope="module")
def request_(tmp_path_factory: pytest.TempPathFactory) -> CompileRequest:
    """Return the request for a tiny SLPT of recipe weights, in a folder of its own."""
    folder = tmp_path_factory.mktemp("tiny")
    hyperparameters = FAMILY.tiny()["slpt"]
    assets = FAMILY.made_up_assets(hyperparameters)
    network = FAMILY.build_network(hyperparameters, assets)
    torch.save(recipe_state_dict(network), folder / "tiny.pt")
    np.save(folder / "mean.npy", assets["mean-shape"])
    return CompileRequest(
        checkpoint=folder / "tiny.pt",
        folder=folder / "tiny.bundle",
        assets=(f"mean-shape={folder / 'mean.npy'}",),
        settings=SETTINGS,
    )


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_compile_checkpoint_passes_its_stages_and_writes_a_bundle(
    request_of_sdfl: CompileRequest,
) -> None:
    recorder = Recorder()

    compiled = compile_checkpoint(request_of_sdfl, recorder)

    assert tuple(recorder.texts) == STAGES
    assert recorder.totals == {recorder.done["verify"]}
    manifest = read_bundle(compiled.folder).manifest
    assert manifest.family == "sdfl"
    assert manifest.landmark_count == 29
    assert list(manifest.assets) == ["graph"]
    assert manifest.graphs["fp32"].parity.max_px == compiled.parity.max_px


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_compile_checkpoint_writes_nothing_when_parity_fails(
    request_of_sdfl: CompileRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def simplify_and_spoil(model: ir.Model, *, outputs: tuple[str, ...]) -> ir.Model:
        graph = simplify(model, outputs=outputs)
        pool = next(node for node in graph.graph if node.op_type == "MaxPool")
        pool.op_type = "AveragePool"  # of the same shape
        pool.attributes.pop("storage_order")
        return graph

    monkeypatch.setattr(compiling, "simplify", simplify_and_spoil)
    request = replace(request_of_sdfl, folder=tmp_path / "spoilt.bundle")

    with pytest.raises(ParityError, match=r"px at landmark .*; first difference at `backbone`"):
        compile_checkpoint(request)

    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_compile_checkpoint_writes_what_its_targets_read_in_the_form_asked_for(
    request_of_sdfl: CompileRequest, tmp_path: Path
) -> None:
    folder, names = tmp_path / "old.bundle", ("jetpack-6.0", "tensorrt-11")
    form = FormRequest(names, graph_convolution="gather")
    recorder = Recorder()

    compiled = compile_checkpoint(replace(request_of_sdfl, folder=folder, form=form), recorder)

    bundle = read_bundle(folder)
    entry = bundle.manifest.graphs["fp32"]
    assert recorder.texts["simplify"].endswith("nodes of opset 17, standard operators only")
    assert compiled.parity.max_px <= PARITY_PX
    graph = graph_from_bytes(bundle.read_file(entry.file))
    operators = node_counts(graph)
    assert "Gather" in operators
    assert "SparseGraphConv" not in operators
    assert (entry.opset, entry.node_count) == (17, sum(operators.values()))
    assert bundle.manifest.options == form_of(form).options
    check_targets({"fp32": graph}, targets_from_names(names))
    with open_session(folder) as session:  # its self-test passes
        assert session is not None


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_compile_checkpoint_writes_nothing_that_a_target_refuses(
    request_of_sdfl: CompileRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("facealign.pipeline.targets.lower", lambda graph, **_: graph)
    request = replace(
        request_of_sdfl, folder=tmp_path / "old.bundle", form=FormRequest(("jetpack-6.0",))
    )

    with pytest.raises(
        TargetError, match=r"^jetpack-6\.0 refuses the fp32 graph: opset 19 is beyond .* writes it$"
    ):
        compile_checkpoint(request)

    assert list(tmp_path.iterdir()) == []


def test_compile_checkpoint_looks_at_the_target_before_it_works(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("do not delete me")
    request = CompileRequest(checkpoint=tmp_path / "not read.pt", folder=tmp_path)

    with pytest.raises(OutputError, match="is not empty and not a bundle, so it is left alone"):
        compile_checkpoint(request)


def test_check_same_network_names_the_size_that_differs(
    request_: CompileRequest, tiny_manifest: Manifest
) -> None:
    _, model = load_model(request_.checkpoint, assets=request_.assets, settings={"heads": 2})
    manifest = msgspec.structs.replace(tiny_manifest, hyperparameters={"head_count": 4})

    with pytest.raises(ParityError, match="its head_count is 2, the bundle's is 4; pass the"):
        check_same_network(model, manifest)


def test_check_same_network_accepts_the_same_sizes(
    request_: CompileRequest, tiny_manifest: Manifest
) -> None:
    _, model = load_model(request_.checkpoint, assets=request_.assets, settings=SETTINGS)
    manifest = msgspec.structs.replace(
        tiny_manifest, hyperparameters={"head_count": 4, "backbone.stages.0.channels": (4, 6)}
    )

    check_same_network(model, manifest)
