"""The bundles whose plans are tested: those in a folder, or tiny ones of every family."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from facealign.bundle import Bundle, Golden, GraphEntry, ParityEntry, read_bundle, write_bundle
from tests.device.machine import has

if TYPE_CHECKING:  # a device need not have what compiles a bundle
    from facealign.export.precision_rules import Precision

__all__ = [
    "FOLDER",
    "PRECISIONS",
    "bundle_names",
    "bundle_of",
    "one_of_each_family",
    "tiny_bundle",
]

FOLDER = "FACEALIGN_BUNDLES"
PRECISIONS: tuple[Precision, ...] = ("fp32", "fp16", "int8")


def bundle_names() -> list[str]:
    """Return what `bundle_of` takes: bundles of the folder, else one variant of each family.

    Tiny networks are made here, which takes torch; a device without it needs the folder.
    """
    folder = os.environ.get(FOLDER)
    if folder:
        return sorted(str(path.parent) for path in Path(folder).glob("*/manifest.json"))
    if not has("torch") or not has("onnxscript"):
        return []
    return one_of_each_family()


def one_of_each_family() -> list[str]:
    """Return the name of one tiny variant of each family."""
    from tests.conformance.tiny import tiny_names

    return list({name.partition("/")[0]: name for name in reversed(tiny_names())}.values())


def bundle_of(name: str, scratch: Path) -> Bundle:
    """Return a bundle that plans may be written into."""
    return read_bundle(name) if os.environ.get(FOLDER) else tiny_bundle(name, scratch)


def tiny_bundle(name: str, scratch: Path) -> Bundle:
    """Return a bundle of a tiny network: a graph of every precision, and its self-test."""
    from facealign.pipeline.contents import bundle_files, bundle_manifest, golden_of
    from facealign.pipeline.graphs import ShippedGraph
    from tests.conformance.tiny import tiny_checkpoint, tiny_model

    model = tiny_model(name)
    golden = golden_of(model)
    shipped = {
        precision: ShippedGraph(graph, _entry(precision, graph, golden))
        for precision, graph in _graphs(name).items()
    }
    manifest = bundle_manifest(model, tiny_checkpoint(name), shipped, options={})
    files = bundle_files(model, shipped, golden, None)
    return read_bundle(write_bundle(scratch / "tiny.facealign", manifest, files))


def _graphs(name: str) -> dict[Precision, bytes]:
    """Return the graph of every precision; INT8 with ranges of eight crops."""
    from facealign.calibration import Calibration, collect_ranges
    from facealign.export.graph import bytes_from_graph, expose_values, graph_from_bytes
    from facealign.export.passes.precision import half_precision
    from facealign.export.passes.quantize import quantize, tensors_to_observe
    from facealign.runtime.ort_engine import run_graph
    from tests.conformance.tiny import crops_of, tiny_graph, tiny_model

    graph = tiny_graph(name)
    full = graph_from_bytes(graph)
    observed = tensors_to_observe(full)
    exposed = expose_values(graph, observed)
    crops = np.stack([crop.pixels for crop in crops_of(tiny_model(name).crop.size_px)[:8]])
    how = Calibration(graph_sha256="0" * 64, observer="min_max", names_per_run=1000)
    ranges = collect_ranges(lambda *asked: run_graph(exposed, *asked), observed, [crops], how)
    return {
        "fp32": graph,
        "fp16": bytes_from_graph(half_precision(full)),
        "int8": bytes_from_graph(quantize(graph_from_bytes(graph), ranges.amax)),
    }


def _entry(precision: Precision, graph: bytes, golden: Golden) -> GraphEntry:
    """Return what the manifest says: how far each golden crop is off on the CPU, no verdict."""
    from facealign.pipeline.run_crops import graph_runner

    found = graph_runner(graph, integer_kernels=False)(golden.crops)
    distance = np.linalg.norm(found - golden.landmarks, axis=2) * golden.crops.shape[1]  # (K, N)
    golden_px = np.nan_to_num(distance).max(axis=1).astype(float).tolist()
    unjudged = ParityEntry(max_px=0, p99_px=0, crop_count=1, batch_sizes=(1,), bar_px=0.01)
    return GraphEntry(
        file=f"model.{precision}.onnx",
        opset=19,
        node_count=1,
        parameter_count=1,
        mac_count=1,
        parity=unjudged,
        golden_px=tuple(golden_px),
    )
