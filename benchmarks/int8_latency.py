"""How much faster is INT8 on this CPU, and what does it cost, beside FP32, FP16 and OpenVINO?

    python benchmarks/int8_latency.py [--models NAME ...] [--rounds 8] [--threads 2]

Batch 1. All candidates of a model take turns in one process: the FP32 graph, the INT8 file for ONNX
Runtime, the INT8 file for TensorRT and the FP16 file, all under ONNX Runtime on the CPU, and FP32
and both INT8 files under OpenVINO, an extra. The ranges are of rendered faces; distances are on
others, p99 over all landmarks, from the FP32 graph in the same engine and from that of ONNX
Runtime. Its FP16 kernels for the CPU leave roundings out, so the distance of FP16 is what
half_precision.py says, not this. Models are at full size with recipe weights, but for ``demo``,
which is trained: its figures say what INT8 costs a network that has learned something. Nothing is
searched: all products that may be INT8 are. Writes results/int8_latency.json.
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

from landmark_runs import Run, check_openvino, distance_px, landmarks_by_run, on_one, openvino, ort
from measuring import ratio_interval, take_turns
from networks import DEMO, OBSERVER, network_names, open_network, present, reduced_files
from result_file import provenance, result_of, write_result
from synthetic_crops import synthetic_crops

from facealign.errors import BackendError, MissingLibraryError

_MODELS = ("sdfl_resnet34_lgrl", "slpt_98_dec6", DEMO)
_HELD_OUT_SEED = 2  # calibration has 1
_HELD_OUT = 16
_ORT, _PEER = "ONNX Runtime", "OpenVINO"
_FULL, _CPU, _TENSORRT, _HALF = "FP32", "INT8 for ONNX Runtime", "INT8 for TensorRT", "FP16"
_FILES = {"int8-cpu": _CPU, "int8": _TENSORRT, "fp16": _HALF}  # as a bundle names them


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
    try:
        check_openvino()
    except MissingLibraryError as error:
        parser.error(str(error))
    where = provenance(threads=options.threads)
    settings = {
        "rounds": options.rounds,
        "calibration": {"observer": OBSERVER, "faces": options.faces},
        "held_out": {"faces": _HELD_OUT, "seed": _HELD_OUT_SEED},
    }
    rows: dict[str, object] = {}
    for name in present(options.models):
        rows[name] = _measure(
            name, faces=options.faces, rounds=options.rounds, threads=options.threads
        )
        print(name, rows[name], flush=True)
        result = result_of(__doc__, where, settings=settings, figures=rows)
        write_result(f"int8_latency{options.suffix}", result)
        gc.collect()
    print(round(os.getloadavg()[0], 2), "processes wanted a core at the end")


def _measure(name: str, *, faces: int, rounds: int, threads: int) -> dict[str, object]:
    network = open_network(name)
    reduced = reduced_files(network, faces)
    graphs = {_FULL: network.graph, **{_FILES[each]: data for each, data in reduced.items()}}
    runs, refused = _candidates(graphs, threads)
    crops = synthetic_crops(network.crop, seed=_HELD_OUT_SEED, count=_HELD_OUT)
    moved = _moved(runs, crops)
    turns = {each: on_one(run, crops[:1]) for each, run in runs.items()}
    load = os.getloadavg()[0]
    times = take_turns(turns, rounds=rounds)
    return {
        "load_before": load,
        "median_ms": {each: round(float(np.median(took)), 2) for each, took in times.items()},
        "times_as_fast_as_fp32": {engine: _ratios(times, engine) for engine in (_ORT, _PEER)},
        "fp32_of_onnx_runtime_takes_times_as_long": {
            each: _ratio(times[_title(_ORT, _FULL)], took) for each, took in times.items()
        },
        "p99_px": moved,
        "megabytes": {file: round(len(data) / 1e6, 1) for file, data in graphs.items()},
        "refused": refused,
    }


def _candidates(graphs: Mapping[str, bytes], threads: int) -> tuple[dict[str, Run], dict[str, str]]:
    """Return what runs each file in each engine, and what OpenVINO says of those it refuses."""
    runs = {_title(_ORT, file): ort(data, threads=threads) for file, data in graphs.items()}
    refused = {}
    for file in (_FULL, _CPU, _TENSORRT):
        title = _title(_PEER, file)
        try:
            runs[title] = openvino(graphs[file], threads=threads)
        except BackendError as error:
            refused[title] = str(error)
    return runs, refused


def _title(engine: str, file: str) -> str:
    return f"{engine}, {file}"


def _moved(runs: Mapping[str, Run], crops: NDArray[np.uint8]) -> dict[str, dict[str, float]]:
    """Return how far each candidate's landmarks are from FP32, p99 in crop pixels."""
    found = landmarks_by_run(runs, crops)
    size_px = crops.shape[1]
    return {
        each: {
            f"from FP32 of {engine}": _p99_px(landmarks, found[_title(engine, _FULL)], size_px)
            for engine in dict.fromkeys((each.partition(",")[0], _ORT))
            if _title(engine, _FULL) in found
        }
        for each, landmarks in found.items()
    }


def _p99_px(one: NDArray[np.float32], other: NDArray[np.float32], size_px: int) -> float:
    distance = distance_px(one, other, size_px)
    return round(float(np.percentile(distance, 99, method="higher")), 4)


def _ratios(times: Mapping[str, NDArray[np.float64]], engine: str) -> dict[str, list[float]]:
    """Return how many times as fast as its FP32 each file is in an engine."""
    full = times.get(_title(engine, _FULL))
    if full is None:
        return {}
    own = {each: took for each, took in times.items() if each.startswith(engine)}
    return {each: _ratio(full, took) for each, took in own.items()}


def _ratio(slow: NDArray[np.float64], fast: NDArray[np.float64]) -> list[float]:
    return [round(x, 2) for x in ratio_interval(slow, fast)]


if __name__ == "__main__":
    main()
