"""The networks that benchmarks of precision measure: recipe weights at full size, and the demo."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import make_checkpoint
from family_latency import modules, shipped_graph
from torch import nn

from facealign.models.family import Family
from facealign.pipeline.compile import load_model
from facealign.spec import CropSpec

__all__ = ["DEMO", "Network", "network_names", "open_network", "present"]

DEMO = "demo"
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
        graph = shipped_graph(model.family, model.exportable)
        return Network(model.family, model.network, model.crop, graph)
    family, module, exportable = modules(name)
    crop = family.crop(make_checkpoint.model_detection(name).hyperparameters)
    return Network(family, module, crop, shipped_graph(family, exportable))
