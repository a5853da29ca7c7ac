"""Does OpenVINO earn a place as an engine: how fast is it, and how far do landmarks move?

    python benchmarks/openvino_engine.py [--models NAME ...] [--rounds 8] [--threads 2]

Batch 1. All candidates of a model take turns in one process: FP32 and the INT8 file for ONNX
Runtime in that engine; FP32, FP16 and both INT8 files in ours of OpenVINO; and OpenVINO's BF16,
which the engine does not offer, everywhere and with the islands that are FP32 in our FP16 graph.
OpenVINO keeps no full island, so BF16 is also judged as it would be typed, every rounding made
explicit, in FP32 of ONNX Runtime. Distances are in crop pixels from FP32 of ONNX Runtime, over all
landmarks, on the crops of the parity check, of the golden self-test and of held-out rendered faces.

Models are at full size with recipe weights, but for ``demo``, which is trained. Everything that may
be INT8 is. Needs ``facealign[openvino]``. Writes results/openvino_engine.json after each model.
"""

from __future__ import annotations

import argparse
import gc
import os
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "examples"))

from landmark_runs import Run, distance_px, landmarks_by_run, on_one, openvino, ort
from measuring import ratio_interval, take_turns
from networks import DEMO, Network, network_names, open_network, present, reduced_files
from openvino_bf16 import bf16_as_typed, bf16_runner, has_bf16
from result_file import provenance, result_of, write_result
from synthetic_crops import synthetic_crops

from facealign.export.crops import face_boxes, face_frame, parity_crops
from facealign.geometry import crops_from_frame, placement_from_boxes

_MODELS = ("sdfl_resnet34_lgrl", "slpt_98_dec6", DEMO)
_HELD_OUT_SEED, _HELD_OUT = 2, 16  # calibration has seed 1
_BASE = "ONNX Runtime, FP32"
_TYPED = "BF16 as typed, islands FP32, every rounding (not timed)"


def main() -> None:
    """Measure, print a line per model, write the result."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--models", nargs="+", default=_MODELS, choices=network_names(), metavar="NAME"
    )
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--faces", type=int, default=64, help="to calibrate on")
    parser.add_argument("--suffix", default="", help="of the result's name")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    where = provenance(threads=options.threads)
    settings = {
        "rounds": options.rounds,
        "calibration_faces": options.faces,
        "openvino_computes_bf16_here": has_bf16(),
    }
    rows: dict[str, object] = {}
    for name in present(options.models):
        rows[name] = _measure(open_network(name), options)
        print(name, rows[name], flush=True)
        result = result_of(__doc__, where, settings=settings, figures=rows)
        write_result(f"openvino_engine{options.suffix}", result)
        gc.collect()


def _measure(network: Network, options: argparse.Namespace) -> dict[str, object]:
    graphs = _graphs(network, options.faces)
    runs, counts = _candidates(graphs, network.crop.size_px, options.threads)
    sets = _crops(network)
    judged = {**runs, _TYPED: ort(bf16_as_typed(graphs["FP32"]), threads=options.threads)}
    moved = {each: _moved(judged, crops) for each, crops in sets.items()}
    one = sets["held-out faces"][:1]
    load = os.getloadavg()[0]
    turns = {each: on_one(run, one) for each, run in runs.items()}
    times = take_turns(turns, rounds=options.rounds)
    return {
        "load_before": load,
        "median_ms": {each: round(float(np.median(took)), 2) for each, took in times.items()},
        "fp32_of_onnx_runtime_takes_times_as_long": {
            each: [round(x, 2) for x in ratio_interval(times[_BASE], took)]
            for each, took in times.items()
        },
        "crops": {each: len(crops) for each, crops in sets.items()},
        "moved_px": moved,
        "bf16_nodes": counts,
    }


def _graphs(network: Network, faces: int) -> dict[str, bytes]:
    reduced = reduced_files(network, faces)
    return {
        "FP32": network.graph,
        "FP16": reduced["fp16"],
        "int8-cpu": reduced["int8-cpu"],
        "int8": reduced["int8"],
    }


def _candidates(
    graphs: Mapping[str, bytes], size_px: int, threads: int
) -> tuple[dict[str, Run], dict[str, dict[str, int]]]:
    """Return what runs each file in each engine, and what OpenVINO made of BF16."""
    runs = {
        f"ONNX Runtime, {name}": ort(graphs[name], threads=threads) for name in ("FP32", "int8-cpu")
    }
    runs |= {
        f"OpenVINO, {name}": openvino(graph, threads=threads) for name, graph in graphs.items()
    }
    counts = {}
    for title, islands in (("BF16", False), ("BF16 with islands", True)):
        if has_bf16():
            runs[f"OpenVINO, {title}"], counts[title] = bf16_runner(
                graphs["FP32"], size_px=size_px, threads=threads, islands=islands
            )
    return runs, counts


def _crops(network: Network) -> dict[str, NDArray[np.uint8]]:
    """Return the crops that landmarks are compared on, by what they are."""
    parity = np.stack([crop.pixels for crop in parity_crops(network.crop.size_px)])
    placement = placement_from_boxes(face_boxes(), network.crop.from_box)
    return {
        "parity crops": parity,
        "golden faces": crops_from_frame(face_frame(), placement, network.crop),
        "held-out faces": synthetic_crops(network.crop, seed=_HELD_OUT_SEED, count=_HELD_OUT),
    }


def _moved(runs: Mapping[str, Run], crops: NDArray[np.uint8]) -> dict[str, dict[str, float]]:
    """Return how far each candidate's landmarks are from FP32 of ONNX Runtime, crop pixels."""
    found = landmarks_by_run(runs, crops)
    return {
        each: _summary(landmarks, found[_BASE], crops.shape[1])
        for each, landmarks in found.items()
        if each != _BASE
    }


def _summary(
    one: NDArray[np.float32], other: NDArray[np.float32], size_px: int
) -> dict[str, float]:
    distance = distance_px(one, other, size_px)
    return {
        "p99": round(float(np.percentile(distance, 99, method="higher")), 4),
        "max": round(float(distance.max()), 4),
        "mean": round(float(distance.mean()), 4),
    }


if __name__ == "__main__":
    main()
