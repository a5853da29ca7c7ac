"""How many crops a second does each graph run, by batch size, and how near is that to the roof?

    python benchmarks/batch_scaling.py [--models NAME ...] [--batches 1 2 4 8] [--rounds 10]

Full size, recipe weights, FP32 in ONNX Runtime on the CPU. All batch sizes of a model take turns in
one process; the ratio to batch 1 has its 95 % interval. The roof is a matrix product of the same
run. Each row is written when it is measured, to results/batch_scaling.json.
"""

from __future__ import annotations

import argparse
import gc
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "examples"))

from measuring import ort_runner, peak_gflops, ratio_interval, take_turns
from networks import MODELS, Network, network_names, open_network, present
from result_file import provenance, result_of, write_result
from synthetic_crops import synthetic_crops

from facealign.export.cost import macs_by_operator
from facealign.export.graph import graph_from_bytes

__all__ = ["scaling"]

_SEED = 2


def main() -> None:
    """Measure, print a line per model, write the result after each."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "--models", nargs="+", default=MODELS, choices=network_names(), metavar="NAME"
    )
    parser.add_argument("--batches", type=int, nargs="+", default=(1, 2, 4, 8))
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--suffix", default="", help="of the result's name")
    options = parser.parse_args()
    where = provenance(threads=options.threads)
    settings = {"rounds": options.rounds, "batches": list(options.batches)}
    rows: dict[str, object] = {}
    for name in present(options.models):
        rows[name] = _measure(
            open_network(name), options.batches, rounds=options.rounds, threads=options.threads
        )
        print(name, rows[name], flush=True)
        result = result_of(__doc__, where, settings=settings, figures=rows)
        write_result(f"batch_scaling{options.suffix}", result)
        gc.collect()


def _measure(
    network: Network, batches: Sequence[int], *, rounds: int, threads: int
) -> dict[str, object]:
    crops = synthetic_crops(network.crop, seed=_SEED, count=max(batches))
    runs = {
        str(batch): ort_runner(network.graph, crops[:batch], threads=threads) for batch in batches
    }
    times = take_turns(runs, rounds=rounds)
    gmac = sum(macs_by_operator(graph_from_bytes(network.graph)).values()) / 1e9
    return scaling(times, gmac=gmac, roof_gflops=peak_gflops(threads=threads))


def scaling(
    times: Mapping[str, NDArray[np.float64]], *, gmac: float, roof_gflops: float
) -> dict[str, Any]:
    """Return latency, crops a second, ratio to the first batch size and share of the roof.

    Args:
        times: Milliseconds per run by batch size, one per round.
        gmac: Of one crop.
        roof_gflops: Two operations per multiply-accumulate.
    """
    per_crop = {batch: each / int(batch) for batch, each in times.items()}
    first = next(iter(per_crop.values()))
    medians = {batch: float(np.median(each)) for batch, each in per_crop.items()}
    return {
        "gmac": round(gmac, 2),
        "roof_gflops": round(roof_gflops, 1),
        "median_ms": {batch: round(float(np.median(each)), 2) for batch, each in times.items()},
        "crops_per_s": {batch: round(1e3 / each, 2) for batch, each in medians.items()},
        "times_as_fast_per_crop": {
            batch: [round(x, 3) for x in ratio_interval(first, each)]
            for batch, each in per_crop.items()
        },
        "share_of_roof": {
            batch: round(2e3 * gmac / each / roof_gflops, 3) for batch, each in medians.items()
        },
    }


if __name__ == "__main__":
    main()
