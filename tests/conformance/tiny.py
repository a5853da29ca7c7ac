"""The tiny networks of every family with recipe weights, and their graphs; made once per run.

A name is that of the family and that of the variant, such as ``slpt/slpt``.
"""

from __future__ import annotations

import hashlib
import io
from functools import cache
from pathlib import Path

import numpy as np
import torch
from make_checkpoint import recipe_state_dict
from torch import nn
from torch.onnx._internal.exporter._registration import ONNXRegistry

from facealign.bundle import npy_from_array
from facealign.export.crops import NamedCrop, parity_crops
from facealign.export.graph import bytes_from_graph, finish_graph
from facealign.export.passes.simplify import simplify
from facealign.export.trace import trace
from facealign.models.checkpoint import Checkpoint
from facealign.models.detect import Detection
from facealign.models.family import discover_families
from facealign.models.load import Asset, Model, assemble
from facealign.pipeline.contents import graph_metadata
from facealign.pipeline.graphs import contract

__all__ = [
    "crops_of",
    "tiny_checkpoint",
    "tiny_detection",
    "tiny_graph",
    "tiny_model",
    "tiny_names",
    "traced_bytes",
]

# The exporter makes its table of operators anew for each trace, in 0.4 s; nothing changes it.
ONNXRegistry.from_torchlib = staticmethod(cache(ONNXRegistry.from_torchlib))  # type: ignore[method-assign]
_LEAST_MOVE_PX = 0.5  # below it, settle; measured: slpt 0.8 px, the dullest, a VGG, 0.02 px
_BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)


def tiny_names() -> list[str]:
    """Return every variant of every family."""
    return [
        f"{family.name}/{variant}" for family in discover_families() for variant in family.tiny()
    ]


@cache
def crops_of(size_px: int) -> tuple[NamedCrop, ...]:
    """Return the parity crops; to draw them takes longer than a tiny network does to read them."""
    return parity_crops(size_px)


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
    network.load_state_dict(recipe_state_dict(network))
    _settle(network, detection)
    state_dict = network.state_dict()
    file = io.BytesIO()
    torch.save(state_dict, file)
    digest = hashlib.sha256(file.getvalue()).hexdigest()
    return Checkpoint(
        Path(f"tiny_{name.replace('/', '_')}.pt"), digest, state_dict, wrapper=None, prefix=""
    )


def _settle(network: nn.Module, detection: Detection) -> None:
    """Set the running statistics of a dull network to those of the parity crops.

    The recipe's suit the published sizes. A few channels may all be below zero with them, and then
    nothing of the crop comes through, and no fault either.
    """
    family = detection.family
    size_px = family.crop(detection.hyperparameters).size_px
    crops = torch.from_numpy(np.stack([crop.pixels for crop in crops_of(size_px)[:16]]))
    network.eval()
    with torch.no_grad():
        moves = family.reference(network, crops)["landmarks"].std(dim=0) * size_px
        if float(moves.mean()) >= _LEAST_MOVE_PX:
            return
        for layer in network.modules():
            if isinstance(layer, _BATCH_NORMS):
                layer.momentum = 1.0
        network.train()
        family.reference(network, crops)
        network.eval()


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
