"""The tiny networks of every family with recipe weights, and their graphs; made once per run.

A name is that of the family and that of the variant, such as ``slpt/slpt``.
"""

from __future__ import annotations

import hashlib
import io
from functools import cache
from pathlib import Path

import torch
from make_checkpoint import recipe_state_dict

from facealign.bundle import npy_from_array
from facealign.export.graph import bytes_from_graph, finish_graph
from facealign.export.passes.simplify import simplify
from facealign.export.trace import trace
from facealign.models.checkpoint import Checkpoint
from facealign.models.detect import Detection
from facealign.models.family import discover_families
from facealign.models.load import Asset, Model, assemble
from facealign.pipeline.contents import contract, graph_metadata

__all__ = [
    "tiny_checkpoint",
    "tiny_detection",
    "tiny_graph",
    "tiny_model",
    "tiny_names",
    "traced_bytes",
]


def tiny_names() -> list[str]:
    """Return every variant of every family."""
    return [
        f"{family.name}/{variant}" for family in discover_families() for variant in family.tiny()
    ]


@cache
def tiny_detection(name: str) -> Detection:
    """Return family and sizes; they are given, as no shape shows the size of the crop."""
    family_name, _, variant = name.partition("/")
    family = next(family for family in discover_families() if family.name == family_name)
    return Detection(family, family.tiny()[variant])


@cache
def tiny_checkpoint(name: str) -> Checkpoint:
    """Return what reading a file of the tiny network's weights would give."""
    detection = tiny_detection(name)
    family, hyperparameters = detection.family, detection.hyperparameters
    network = family.build_network(hyperparameters, family.made_up_assets(hyperparameters))
    state_dict = recipe_state_dict(network)
    file = io.BytesIO()
    torch.save(state_dict, file)
    digest = hashlib.sha256(file.getvalue()).hexdigest()
    return Checkpoint(
        Path(f"tiny_{name.replace('/', '_')}.pt"), digest, state_dict, wrapper=None, prefix=""
    )


@cache
def tiny_model(name: str) -> Model:
    """Return the tiny network."""
    detection = tiny_detection(name)
    family = detection.family
    assets = {
        asset: Asset(array, f"{asset}.npy", hashlib.sha256(npy_from_array(array)).hexdigest())
        for asset, array in family.made_up_assets(detection.hyperparameters).items()
    }
    return assemble(tiny_checkpoint(name), detection, assets)


@cache
def tiny_graph(name: str) -> bytes:
    """Return its ONNX file, by the stages of `compile_checkpoint`."""
    return traced_bytes(tiny_model(name), tiny_checkpoint(name))


def traced_bytes(model: Model, checkpoint: Checkpoint) -> bytes:
    """Return the ONNX file of a model; traced anew on every call."""
    _, outputs = contract(model)
    traced = trace(model.exportable, size_px=model.crop.size_px, output_names=model.output_names)
    graph = simplify(traced, outputs=tuple(spec.name for spec in outputs))
    return bytes_from_graph(finish_graph(graph, metadata=graph_metadata(model, checkpoint)))
