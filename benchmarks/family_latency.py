"""How fast is each family on each engine and in each precision at hand?

    python benchmarks/family_latency.py [--models NAME ...] [--rounds 20] [--threads 2]

Batch 1, full size, recipe weights, on the CPU. Per model, all candidates take turns in one process;
ratios, medians over the rounds, are what counts, as the machine may be shared. Candidates are
PyTorch eager; a naive export (`naive_export`) and our graph in ONNX Runtime, which they are
compared by; our INT8 file for ONNX Runtime there (``--faces 0`` leaves it out); and under OpenVINO,
where it is installed, FP32 and both INT8 files. The roof is a matrix product of the same run, in
FP32: INT8 may exceed it. Each row is written when it is measured, to results/family_latency.json.
"""

from __future__ import annotations

import argparse
import gc
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "examples"))

import recipe
from landmark_runs import on_one, openvino
from measuring import operator_profile, ort_runner, peak_gflops, ratio_interval, take_turns
from naive_export import naive_export
from networks import MODELS, Network, network_names, open_network, present, reduced_files
from result_file import provenance, result_of, write_result

from facealign.errors import BackendError, MissingLibraryError
from facealign.export.cost import macs_by_operator
from facealign.export.graph import graph_from_bytes

OURS, NAIVE, EAGER = "facealign graph", "naive export (dynamo)", "PyTorch eager"
INT8, PEER = "facealign graph, int8-cpu", "OpenVINO"
_OPERATORS_SHOWN = 6


def main() -> None:
    """Measure, print a line per model, write the result after each."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "--models", nargs="+", default=MODELS, choices=network_names(), metavar="NAME"
    )
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--faces", type=int, default=16, help="to calibrate INT8 on; 0: no INT8")
    parser.add_argument("--suffix", default="", help="of the result's name")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    where = provenance(threads=options.threads)
    settings = {"rounds": options.rounds, "calibration_faces": options.faces}
    rows: dict[str, object] = {}
    for name in present(options.models):
        network = open_network(name)
        files = {"fp32": network.graph}
        files |= reduced_files(network, options.faces) if options.faces else {}
        rows[name] = _measure(network, files, rounds=options.rounds, threads=options.threads)
        print(name, rows[name], flush=True)
        result = result_of(__doc__, where, settings=settings, figures=rows)
        write_result(f"family_latency{options.suffix}", result)
        gc.collect()


def _measure(
    network: Network, files: Mapping[str, bytes], *, rounds: int, threads: int
) -> dict[str, object]:
    crops = recipe.image(0)[None]
    ours = network.graph
    naive = naive_export(network.family, network.module, crops)
    candidates, missing = _candidates(network, files, crops, threads=threads)
    candidates[NAIVE] = ort_runner(naive, crops, threads=threads)
    times = take_turns(candidates, rounds=rounds)
    roof = peak_gflops(threads=threads)
    gmac = sum(macs_by_operator(graph_from_bytes(ours)).values()) / 1e9
    profile = operator_profile(ours, crops, threads=threads)
    median_ms = {each: float(np.median(values)) for each, values in times.items()}
    shares = {each: round(2e3 * gmac / took / roof, 3) for each, took in median_ms.items()}
    return {
        "median_ms": {each: round(value, 1) for each, value in median_ms.items()},
        "ours_is_faster_by": {
            each: [round(x, 2) for x in ratio_interval(values, times[OURS])]
            for each, values in times.items()
            if each != OURS
        },
        "nodes": {NAIVE: _node_count(naive), OURS: _node_count(ours)},
        "gmac": round(gmac, 2),
        "roof_gflops": round(roof, 1),
        "share_of_roof": shares[OURS],
        "share_of_roof_by_candidate": shares,
        "not_run": missing,
        "operators_ms": dict(list(profile.items())[:_OPERATORS_SHOWN]),
    }


def _candidates(
    network: Network, files: Mapping[str, bytes], crops: NDArray[np.uint8], *, threads: int
) -> tuple[dict[str, Callable[[], object]], dict[str, str]]:
    """Return what takes turns, and why the others do not."""
    candidates: dict[str, Callable[[], object]] = {
        EAGER: _eager_runner(network, crops),
        OURS: ort_runner(files["fp32"], crops, threads=threads),
    }
    if "int8-cpu" in files:
        candidates[INT8] = ort_runner(files["int8-cpu"], crops, threads=threads)
    missing = {}
    for precision in ("fp32", "int8-cpu", "int8"):
        title = f"{PEER}, {precision}"
        if precision not in files:
            continue
        try:
            candidates[title] = on_one(openvino(files[precision], threads=threads), crops)
        except (BackendError, MissingLibraryError) as error:
            missing[title] = str(error)
    return candidates, missing


def _eager_runner(network: Network, crops: NDArray[np.uint8]) -> Callable[[], object]:
    image = torch.from_numpy(crops)

    def run() -> None:
        with torch.inference_mode():
            network.family.reference(network.module, image)

    return run


def _node_count(graph: bytes) -> int:
    return len(graph_from_bytes(graph).graph)


if __name__ == "__main__":
    main()
