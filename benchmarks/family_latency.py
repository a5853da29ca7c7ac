"""How fast is each family's graph beside PyTorch eager, and beside a naive export of its module?

    python benchmarks/family_latency.py [--models NAME ...] [--rounds 8] [--threads 2]

Batch 1, full size, recipe weights, ONNX Runtime on the CPU. Per model, all candidates take turns in
one process; ratios of medians are what counts, as the machine may be shared. The naive export is
that of the reference module, normalisation included, by ``torch.onnx.export(dynamo=True)`` and
nothing else; SLPT's is `naive_slpt`, as the authors' sampler cannot be traced otherwise. Writes
results/family_latency.json.
"""

from __future__ import annotations

import argparse
import gc
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "examples"))

import make_checkpoint
import recipe
from measuring import (
    operator_profile,
    ort_runner,
    peak_gflops,
    provenance,
    ratio_interval,
    take_turns,
    write_result,
)
from naive_slpt import NaiveSlpt

from facealign.export.cost import macs_by_operator
from facealign.export.graph import bytes_from_graph, finish_graph, graph_from_bytes
from facealign.export.passes.simplify import simplify
from facealign.export.trace import trace
from facealign.models.blocks.imagenet import normalised_image
from facealign.models.families.slpt.network import Slpt
from facealign.models.family import Exportable, Family
from facealign.spec import contract_outputs

MODELS = ("spiga_98", "slpt_98_dec6", "sdfl_resnet34_lgrl", "sdfl_resnet34_scc", "propnet_98")
OURS, NAIVE, EAGER = "facealign graph", "naive export (dynamo)", "PyTorch eager"
_OPERATORS_SHOWN = 6
_METADATA = {"facealign_version": "benchmark", "family": "benchmark"}


class NaiveModule(nn.Module):
    """The contract's outputs of the reference module, as anyone would wrap it for an export."""

    def __init__(self, family: Family, network: nn.Module) -> None:
        super().__init__()
        self.family, self.network = family, network
        self.names = ("landmarks", *family.extra_outputs)

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """Return landmarks and the extra outputs, from ``(1, H, W, 3)`` uint8 crops."""
        points = self.family.reference(self.network, image)
        return tuple(points[name] for name in self.names)


class NaiveSlptModule(nn.Module):
    """`NaiveSlpt` with its normalisation."""

    def __init__(self, network: Slpt) -> None:
        super().__init__()
        self.naive = NaiveSlpt(network)

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """Return the landmarks of every stage, from ``(1, H, W, 3)`` uint8 crops."""
        stages: tuple[Tensor, ...] = self.naive(normalised_image(image))
        return stages


def main() -> None:
    """Measure, print a line per model, write the result."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    known = make_checkpoint.model_names()
    parser.add_argument("--models", nargs="+", default=MODELS, choices=known, metavar="NAME")
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--suffix", default="", help="of the result's name")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    where = provenance(threads=options.threads)
    rows = {}
    for name in options.models:
        rows[name] = _measure(name, rounds=options.rounds, threads=options.threads)
        print(name, rows[name], flush=True)
        gc.collect()
    result = {
        "question": __doc__.partition("\n")[0],
        "where": where,
        "rounds": options.rounds,
        "models": rows,
    }
    print(write_result(f"family_latency{options.suffix}", result))


def _measure(name: str, *, rounds: int, threads: int) -> dict[str, object]:
    family, network, exportable = modules(name)
    crops = recipe.image(0)[None]
    image = torch.from_numpy(crops)
    ours = shipped_graph(family, exportable)
    naive = _naive(_naive_module(family, network), image)
    candidates: dict[str, Callable[[], object]] = {
        EAGER: lambda: _run_eager(family, network, image),
        NAIVE: ort_runner(naive, crops, threads=threads),
        OURS: ort_runner(ours, crops, threads=threads),
    }
    times = take_turns(candidates, rounds=rounds)
    roof = peak_gflops(threads=threads)
    gmac = sum(macs_by_operator(graph_from_bytes(ours)).values()) / 1e9
    profile = operator_profile(ours, crops, threads=threads)
    median_ms = {each: float(np.median(values)) for each, values in times.items()}
    return {
        "median_ms": {each: round(value, 1) for each, value in median_ms.items()},
        "ours_is_faster_by": {
            each: [round(x, 2) for x in ratio_interval(times[each], times[OURS])]
            for each in (EAGER, NAIVE)
        },
        "nodes": {
            each: len(graph_from_bytes(graph).graph)
            for each, graph in ((NAIVE, naive), (OURS, ours))
        },
        "gmac": round(gmac, 2),
        "roof_gflops": round(roof, 1),
        "share_of_roof": round(2e3 * gmac / median_ms[OURS] / roof, 3),
        "operators_ms": dict(list(profile.items())[:_OPERATORS_SHOWN]),
    }


def modules(name: str) -> tuple[Family, nn.Module, Exportable]:
    """Return the family of a model, its module with recipe weights, and its exportable."""
    detection = make_checkpoint.model_detection(name)
    family, hyperparameters = detection.family, detection.hyperparameters
    assets = family.made_up_assets(hyperparameters)
    network = family.build_network(hyperparameters, assets)
    network.load_state_dict(make_checkpoint.recipe_state_dict(network))
    network.eval().requires_grad_(requires_grad=False)
    return family, network, family.build_exportable(network)


def shipped_graph(family: Family, exportable: Exportable) -> bytes:
    """Return the ONNX file that `compile_checkpoint` would put into a bundle."""
    size_px = recipe.SIZE_PX
    traced = trace(exportable, size_px=size_px, output_names=exportable.output_names)
    outputs = tuple(spec.name for spec in contract_outputs(1, family.extra_outputs))
    return bytes_from_graph(finish_graph(simplify(traced, outputs=outputs), metadata=_METADATA))


def _naive_module(family: Family, network: nn.Module) -> nn.Module:
    if isinstance(network, Slpt):
        return NaiveSlptModule(network)
    return NaiveModule(family, network)


def _naive(module: nn.Module, image: Tensor) -> bytes:
    program: Any = torch.onnx.export(module, (image,), dynamo=True, opset_version=19, verbose=False)
    graph: bytes = program.model_proto.SerializeToString()
    return graph


def _run_eager(family: Family, network: nn.Module, image: Tensor) -> None:
    with torch.inference_mode():
        family.reference(network, image)


if __name__ == "__main__":
    main()
