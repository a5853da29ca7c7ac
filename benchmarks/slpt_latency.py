"""How much faster is the bundle's graph than PyTorch, and than a naive export of the same module?

    python benchmarks/slpt_latency.py --bundle DIR [--layers 6] [--rounds 40] [--threads 2]

Batch 1, full size, recipe weights. All candidates take turns in one process; ratios, medians over
the rounds, are what counts, as the machine may be shared. Writes
results/slpt_latency_<layers>.json.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxsim
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "examples"))

import make_checkpoint
import recipe
from measuring import (
    operator_profile,
    ort_runner,
    peak_gflops,
    ratio_interval,
    take_turns,
)
from naive_slpt import NaiveSlpt
from result_file import provenance, result_of, write_result

from facealign.export.cost import macs_by_operator
from facealign.export.graph import bytes_from_graph, graph_from_bytes, read_graph
from facealign.models.blocks.imagenet import normalised_image
from facealign.models.families.slpt.network import Slpt

OURS = "facealign graph"
NAIVE = "naive export"


def main() -> None:
    """Measure, print a table, write the result."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--layers", type=int, choices=(6, 12), default=6)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--bundle", type=Path, required=True, help="of the same recipe weights")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    where = provenance(threads=options.threads)
    network = _network(options.layers)
    ours = read_graph(options.bundle / "model.fp32.onnx")
    candidates, nodes = _candidates(network, bytes_from_graph(ours), threads=options.threads)
    times = take_turns(candidates, rounds=options.rounds)
    gmac = sum(macs_by_operator(ours).values()) / 1e9
    roof = peak_gflops(threads=options.threads)
    profile = operator_profile(
        bytes_from_graph(ours), recipe.image(0)[None], threads=options.threads
    )
    figures: dict[str, object] = {
        "median_ms": {name: round(float(np.median(t)), 2) for name, t in times.items()},
        "p90_ms": {name: round(float(np.percentile(t, 90)), 2) for name, t in times.items()},
        "nodes": nodes,
        "ours_is_faster_by": {
            name: [round(x, 3) for x in ratio_interval(times[name], times[OURS])]
            for name in times
            if name != OURS
        },
        "gmac": round(gmac, 3),
        "operators_ms": profile,
        "roof_gflops": round(roof, 1),
        "share_of_roof": round(2e3 * gmac / float(np.median(times[OURS])) / roof, 3),
    }
    _print(figures)
    settings = {"rounds": options.rounds, "layers": options.layers}
    result = result_of(__doc__, where, settings=settings, figures=figures)
    print(write_result(f"slpt_latency_{options.layers}", result))


def _network(layer_count: int) -> Slpt:
    mean_shape = torch.from_numpy(recipe.mean_shape(98).astype(np.float32))
    model = f"slpt_98_dec{layer_count}"
    network = Slpt(make_checkpoint.model_detection(model).hyperparameters, mean_shape)
    network.load_state_dict(make_checkpoint.model_state_dict(model))
    return network.eval().requires_grad_(requires_grad=False)


def _candidates(
    network: Slpt, ours: bytes, *, threads: int
) -> tuple[dict[str, Callable[[], object]], dict[str, int]]:
    crops = recipe.image(0)[None]
    image = normalised_image(torch.from_numpy(crops))
    naive = NaiveSlpt(network)
    dynamo, legacy = _naive_dynamo(naive, image), _naive_legacy(naive, image)
    simplified = onnxsim.simplify(onnx.load_from_string(dynamo))[0].SerializeToString()
    graphs = {
        f"{NAIVE} (dynamo)": dynamo,
        f"{NAIVE} (legacy)": legacy,
        f"{NAIVE} (dynamo, onnxsim)": simplified,
    }
    candidates: dict[str, Callable[[], object]] = {
        "PyTorch eager": lambda: _run_eager(network, crops),
        **{
            name: ort_runner(graph, image.numpy(), threads=threads)
            for name, graph in graphs.items()
        },
        OURS: ort_runner(ours, crops, threads=threads),
    }
    nodes = {name: len(graph_from_bytes(g).graph) for name, g in {**graphs, OURS: ours}.items()}
    return candidates, nodes


def _run_eager(network: Slpt, crops: np.ndarray) -> None:
    with torch.inference_mode():
        network(normalised_image(torch.from_numpy(crops)))


def _naive_dynamo(module: NaiveSlpt, image: torch.Tensor) -> bytes:
    program = torch.onnx.export(module, (image,), dynamo=True, opset_version=19, verbose=False)
    if program is None:
        raise RuntimeError("the exporter gave nothing")
    graph: bytes = program.model_proto.SerializeToString()
    return graph


def _naive_legacy(module: NaiveSlpt, image: torch.Tensor) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "naive.onnx"
        torch.onnx.export(module, (image,), path, dynamo=False, opset_version=17)
        return path.read_bytes()


def _print(figures: dict[str, object]) -> None:
    for name, value in figures.items():
        print(f"{name}: {value}")


if __name__ == "__main__":
    main()
