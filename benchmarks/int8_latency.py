"""How much faster is INT8 on this CPU, and what does it cost, beside FP32, FP16 and OpenVINO?

    python benchmarks/int8_latency.py [--models NAME ...] [--rounds 8] [--threads 2]

Batch 1. All candidates of a model take turns in one process: the FP32 graph, the INT8 file for ONNX
Runtime, the INT8 file for TensorRT and the FP16 file, all under ONNX Runtime on the CPU, and FP32
and both INT8 files under OpenVINO (``pip install openvino``). The ranges are of rendered faces;
distances are on others, p99 over all landmarks, from the FP32 graph in the same engine and from
that of ONNX Runtime. Its FP16 kernels for the CPU leave roundings out, so the distance of FP16 is
what half_precision.py says, not this. Models are at full size with recipe weights, but for
``demo``, which is trained: its figures say what INT8 costs a network that has learned something.
Nothing is searched: all products that may be INT8 are. Writes results/int8_latency.json.
"""

from __future__ import annotations

import argparse
import gc
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import onnx_ir as ir
import torch
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "examples"))

from measuring import provenance, ratio_interval, take_turns, write_result
from networks import DEMO, Network, network_names, open_network, present
from openvino_peer import openvino_runner, openvino_version
from synthetic_crops import synthetic_crops

from facealign.errors import BackendError, MissingLibraryError
from facealign.export.graph import bytes_from_graph, graph_from_bytes
from facealign.export.passes.precision import half_precision
from facealign.export.passes.quantize import for_cpu, quantize
from facealign.pipeline.calibrate import calibrate
from facealign.pipeline.progress import SILENT
from facealign.runtime.ort_engine import OrtEngine

Run = Callable[[NDArray[np.uint8]], NDArray[np.float32]]
"""From one crop ``(1, S, S, 3)`` to its landmarks ``(1, N, 2)``, a fraction of the crop."""

_MODELS = ("sdfl_resnet34_lgrl", "slpt_98_dec6", DEMO)
_OBSERVER = "entropy"  # the default of the compiler
_CALIBRATION_SEED, _HELD_OUT_SEED = 1, 2
_HELD_OUT = 16
_ORT, _PEER = "ONNX Runtime", "OpenVINO"
_FULL, _CPU, _TENSORRT, _HALF = "FP32", "INT8 for ONNX Runtime", "INT8 for TensorRT", "FP16"
_INSTRUCTIONS = ("avx2", "avx512f", "avx_vnni", "avx512_vnni", "avx512_bf16", "amx_int8")


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
        openvino_version()
    except MissingLibraryError as error:
        parser.error(str(error))
    result = {
        "question": __doc__.partition("\n")[0],
        "where": _where(options.threads),
        "rounds": options.rounds,
        "calibration": {"observer": _OBSERVER, "faces": options.faces, "seed": _CALIBRATION_SEED},
        "held_out": {"faces": _HELD_OUT, "seed": _HELD_OUT_SEED},
    }
    rows: dict[str, object] = {}
    for name in present(options.models):
        rows[name] = _measure(
            name, faces=options.faces, rounds=options.rounds, threads=options.threads
        )
        print(name, rows[name], flush=True)
        write_result(f"int8_latency{options.suffix}", {**result, "models": rows})
        gc.collect()
    print(_where(options.threads)["load_before"], "processes wanted a core at the end")


def _where(threads: int) -> dict[str, object]:
    return {
        **provenance(threads=threads),
        "openvino": openvino_version(),
        "instructions": instructions(),
    }


def instructions() -> dict[str, bool]:
    """Return what the CPU has for small numbers: kernels depend on it."""
    text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    line = next(line for line in text.splitlines() if line.startswith("flags"))
    flags = set(line.split())
    return {name: name in flags for name in _INSTRUCTIONS}


def _measure(name: str, *, faces: int, rounds: int, threads: int) -> dict[str, object]:
    network = open_network(name)
    graphs = _graphs(network, faces)
    runs, refused = _candidates(graphs, network.crop.size_px, threads)
    crops = synthetic_crops(network.crop, seed=_HELD_OUT_SEED, count=_HELD_OUT)
    moved = _moved(runs, crops)
    turns = {each: _on_one(run, crops[:1]) for each, run in runs.items()}
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


def _graphs(network: Network, faces: int) -> dict[str, bytes]:
    graph = graph_from_bytes(network.graph)
    crops = synthetic_crops(network.crop, seed=_CALIBRATION_SEED, count=faces)
    with SILENT.stage("calibrate") as stage:
        ranges = calibrate(graph, crops, observer=_OBSERVER, state=None, stage=stage).amax
    files: dict[str, ir.Model] = {
        _FULL: graph,
        _CPU: for_cpu(graph, ranges),
        _TENSORRT: quantize(graph, ranges),
        _HALF: half_precision(graph),
    }
    return {file: bytes_from_graph(model) for file, model in files.items()}


def _candidates(
    graphs: Mapping[str, bytes], size_px: int, threads: int
) -> tuple[dict[str, Run], dict[str, str]]:
    """Return what runs each file in each engine, and what OpenVINO says of those it refuses."""
    runs = {_title(_ORT, file): _ort_runner(data, threads) for file, data in graphs.items()}
    refused = {}
    for file in (_FULL, _CPU, _TENSORRT):
        title = _title(_PEER, file)
        try:
            runs[title] = openvino_runner(graphs[file], size_px=size_px, threads=threads)
        except BackendError as error:
            refused[title] = str(error)
    return runs, refused


def _title(engine: str, file: str) -> str:
    return f"{engine}, {file}"


def _ort_runner(graph: bytes, threads: int) -> Run:
    engine = OrtEngine(
        graph, input_name="image", output_names=["landmarks"], max_batch=1, threads=threads
    )
    return lambda crop: engine.run(crop)["landmarks"]


def _on_one(run: Run, crop: NDArray[np.uint8]) -> Callable[[], object]:
    return lambda: run(crop)


def _moved(runs: Mapping[str, Run], crops: NDArray[np.uint8]) -> dict[str, dict[str, float]]:
    """Return how far each candidate's landmarks are from FP32, p99 in crop pixels."""
    found = {
        each: np.concatenate([run(crop[None]) for crop in crops]) for each, run in runs.items()
    }
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
    distance = np.linalg.norm(one.astype(np.float64) - other, axis=-1) * size_px
    distance = np.where(np.isfinite(distance), distance, np.inf)
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
