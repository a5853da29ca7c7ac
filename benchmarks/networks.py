"""The networks that benchmarks measure: recipe weights at full size, and the demo."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import make_checkpoint
import recipe
from synthetic_crops import synthetic_crops
from torch import nn

from facealign.export.graph import bytes_from_graph, finish_graph, graph_from_bytes
from facealign.export.passes.precision import half_precision
from facealign.export.passes.quantize import for_cpu, quantize
from facealign.export.passes.simplify import simplify
from facealign.export.trace import trace
from facealign.models.family import Exportable, Family
from facealign.pipeline.calibrate import calibrate
from facealign.pipeline.compile import load_model
from facealign.pipeline.progress import SILENT
from facealign.spec import CropSpec, contract_outputs

__all__ = [
    "DEMO",
    "MODELS",
    "OBSERVER",
    "Network",
    "modules",
    "network_names",
    "open_network",
    "present",
    "reduced_files",
]

MODELS = ("spiga_98", "slpt_98_dec6", "sdfl_resnet34_lgrl", "sdfl_resnet34_scc", "propnet_98")
DEMO = "demo"
OBSERVER = "entropy"  # the default of the compiler
_CALIBRATION_SEED = 1
_METADATA = {"facealign_version": "benchmark", "family": "benchmark"}
_FOLDER = Path(__file__).resolve().parents[1] / "examples" / "demo"
_CHECKPOINT, _MEAN_SHAPE = _FOLDER / "demo.pt", _FOLDER / "demo.mean-shape.npy"


@dataclass(frozen=True, slots=True)
class Network:
    """A network, and what a bundle would hold of it.

    Attributes:
        family: Its family.
        module: The reference, with its weights.
        crop: How its crops are cut.
        graph: The FP32 ONNX file.
    """

    family: Family
    module: nn.Module
    crop: CropSpec
    graph: bytes


def network_names() -> list[str]:
    """Return all names that `open_network` may know."""
    return [*make_checkpoint.model_names(), DEMO]


def present(names: Sequence[str]) -> list[str]:
    """Return those that are there: a checkout may lack the demo's checkpoint. It is said then."""
    if DEMO in names and not _CHECKPOINT.exists():
        print(f"left out: there is no {_CHECKPOINT}", flush=True)
        return [name for name in names if name != DEMO]
    return list(names)


def open_network(name: str) -> Network:
    """Return a network of `network_names`; all but the demo have recipe weights."""
    if name == DEMO:
        _, model = load_model(_CHECKPOINT, assets=(f"mean-shape={_MEAN_SHAPE}",))
        graph = _shipped_graph(model.family, model.exportable)
        return Network(model.family, model.network, model.crop, graph)
    family, module, exportable = modules(name)
    crop = family.crop(make_checkpoint.model_detection(name).hyperparameters)
    return Network(family, module, crop, _shipped_graph(family, exportable))


def modules(name: str) -> tuple[Family, nn.Module, Exportable]:
    """Return the family of a model, its module with recipe weights, and its exportable."""
    detection = make_checkpoint.model_detection(name)
    family, hyperparameters = detection.family, detection.hyperparameters
    assets = family.made_up_assets(hyperparameters)
    network = family.build_network(hyperparameters, assets)
    network.load_state_dict(make_checkpoint.recipe_state_dict(network))
    network.eval().requires_grad_(requires_grad=False)
    return family, network, family.build_exportable(network)


def reduced_files(network: Network, faces: int) -> dict[str, bytes]:
    """Return the ONNX files of reduced precision, with nothing left out for accuracy's sake.

    Args:
        network: Of `open_network`.
        faces: Rendered ones, to calibrate on.

    Returns:
        ``int8-cpu``, ``int8`` and ``fp16``, as a bundle names them.
    """
    graph = graph_from_bytes(network.graph)
    crops = synthetic_crops(network.crop, seed=_CALIBRATION_SEED, count=faces)
    with SILENT.stage("calibrate") as stage:
        ranges = calibrate(graph, crops, observer=OBSERVER, state=None, stage=stage).amax
    made = {
        "int8-cpu": for_cpu(graph, ranges),
        "int8": quantize(graph, ranges),
        "fp16": half_precision(graph),
    }
    return {precision: bytes_from_graph(model) for precision, model in made.items()}


def _shipped_graph(family: Family, exportable: Exportable) -> bytes:
    """Return the ONNX file that `compile_checkpoint` would put into a bundle."""
    size_px = recipe.SIZE_PX
    traced = trace(exportable, size_px=size_px, output_names=exportable.output_names)
    outputs = tuple(spec.name for spec in contract_outputs(1, family.extra_outputs))
    return bytes_from_graph(finish_graph(simplify(traced, outputs=outputs), metadata=_METADATA))
