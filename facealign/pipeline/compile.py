"""READ FIRST: how a checkpoint becomes a verified bundle, one step per stage, in order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import onnx_ir as ir

from facealign.bundle import Manifest, check_replaceable, write_bundle
from facealign.export.graph import (
    OPSET,
    STANDARD_DOMAINS,
    bytes_from_graph,
    finish_graph,
    node_counts,
)
from facealign.export.lint import check_contract
from facealign.export.parity_report import ParityReport
from facealign.export.passes.simplify import simplify
from facealign.export.trace import trace
from facealign.models.checkpoint import Checkpoint, read_checkpoint
from facealign.models.detect import detect
from facealign.models.load import Model, assemble, load_assets
from facealign.pipeline.contents import (
    bundle_files,
    bundle_manifest,
    golden_of,
    graph_metadata,
)
from facealign.pipeline.graphs import FULL, Reference, contract, full_graph, reduced_graphs_of
from facealign.pipeline.precision_request import PrecisionRequest, check_precisions
from facealign.pipeline.precisions import Reductions, reduced_graphs
from facealign.pipeline.progress import SILENT, STAGES, Progress
from facealign.pipeline.targets import FormRequest, fitted_request, form_of, lowered_for
from facealign.pipeline.verify import remembered_points, verify_graph

__all__ = ["CompileRequest", "Compiled", "compile_checkpoint", "load_model"]


@dataclass(frozen=True, slots=True)
class CompileRequest:
    """What to compile, where to, and what the checkpoint does not say.

    Attributes:
        checkpoint: File.
        folder: Of the bundle; an older bundle there is replaced.
        assets: ``NAME=FILE`` each.
        family: Overrules detection.
        settings: Hyper-parameters that no shape shows.
        precision: What beside FP32 to make.
        form: Where the graphs are to run, and in which operators.
    """

    checkpoint: Path
    folder: Path
    assets: tuple[str, ...] = ()
    family: str | None = None
    settings: Mapping[str, int] = field(default_factory=dict)
    precision: PrecisionRequest = field(default_factory=PrecisionRequest)
    form: FormRequest = field(default_factory=FormRequest)

    @property
    def stages(self) -> tuple[str, ...]:
        """Names of all stages, in order."""
        return (*STAGES[:-1], *self.precision.stages, STAGES[-1])


@dataclass(frozen=True, slots=True)
class Compiled:
    """What came of a compile.

    Attributes:
        folder: The bundle.
        manifest: What it says about itself, but for the hashes of its files.
        parity: How far the FP32 graph and the module are apart.
        operators: How many nodes of each operator the FP32 graph has.
        reduced: What came of the reduced precisions, if any was asked for.
    """

    folder: Path
    manifest: Manifest
    parity: ParityReport
    operators: Mapping[str, int]
    reduced: Reductions | None = None


def compile_checkpoint(request: CompileRequest, progress: Progress = SILENT) -> Compiled:
    """Return the verified bundle of a checkpoint; if anything fails, nothing is written.

    Raises:
        FacealignError: One of its classes, see `errors`; its exit code tells what failed.
    """
    check_replaceable(request.folder)  # before a minute of work depends on it
    check_precisions(request.precision)
    form = form_of(request.form)
    precision = fitted_request(request.precision, form.targets)
    checkpoint, model = load_model(
        request.checkpoint,
        assets=request.assets,
        family=request.family,
        settings=request.settings,
        progress=progress,
    )
    image, outputs = contract(model)
    with progress.stage("trace") as stage:
        traced = trace(
            model.exportable, size_px=model.crop.size_px, output_names=model.output_names
        )
        stage.say(f"opset {OPSET}, {len(traced.graph)} nodes")
    with progress.stage("simplify") as stage:
        graph = simplify(traced, outputs=tuple(spec.name for spec in outputs))
        graph = finish_graph(graph, metadata=graph_metadata(model, checkpoint))
        check_contract(graph, image, outputs)
        shipped = lowered_for(graph, FULL, form)
        stage.say(f"{len(graph.graph)} nodes, the contract holds{_lowered_text(graph, shipped)}")
    points = remembered_points(model)
    with progress.stage("verify") as stage:
        parity = verify_graph(model, bytes_from_graph(shipped), stage, points=points)
    reduced = reduced_graphs(graph, model, precision, folder=request.folder, progress=progress)
    with progress.stage("write") as stage:
        reference = Reference(model, golden_of(model), points, form)
        graphs = {FULL: full_graph(graph, shipped, parity)}
        graphs |= reduced_graphs_of(graph, reduced, reference, stage)
        options: dict[str, int | str] = {**request.settings, **form.options}
        manifest = bundle_manifest(model, checkpoint, graphs, options=options)
        files = bundle_files(model, graphs, reference.golden, reduced)
        folder = write_bundle(request.folder, manifest, files)
        sizes = [f"{name} {len(each.data) / 1e6:.1f} MB" for name, each in graphs.items()]
        stage.say(f"{folder}: {', '.join(sizes)}")
    return Compiled(folder, manifest, parity, node_counts(shipped), reduced)


def _lowered_text(graph: ir.Model, shipped: ir.Model) -> str:
    if shipped is graph:
        return ", standard operators only"
    opset = shipped.opset_imports[""]
    operators = sorted({n.op_type for n in shipped.graph if n.domain not in STANDARD_DOMAINS})
    own = f", with {' and '.join(operators)}" if operators else ", standard operators only"
    return f"; written as {len(shipped.graph)} nodes of opset {opset}{own}"


def load_model(
    path: Path,
    *,
    assets: tuple[str, ...] = (),
    family: str | None = None,
    settings: Mapping[str, int] | None = None,
    progress: Progress = SILENT,
) -> tuple[Checkpoint, Model]:
    """Return a checkpoint and the network with its weights: the first three stages."""
    with progress.stage("read") as stage:
        checkpoint = read_checkpoint(path)
        inside = f" under `{checkpoint.wrapper}`" if checkpoint.wrapper else ""
        prefix = f" behind `{checkpoint.prefix}`" if checkpoint.prefix else ""
        count = len(checkpoint.state_dict)
        stage.say(f"{count} tensors{inside}{prefix}, sha256 {checkpoint.sha256[:12]}")
    with progress.stage("detect") as stage:
        detection = detect(checkpoint.shapes, settings=settings, family=family)
        stage.say(detection.family.describe(detection.hyperparameters))
    with progress.stage("load") as stage:
        side_files = load_assets(detection, assets, checkpoint=path)
        model = assemble(checkpoint, detection, side_files)
        names = [f"{name} from {asset.file_name}" for name, asset in side_files.items()]
        stage.say(", ".join(["weights fit", *names]))
    return checkpoint, model
