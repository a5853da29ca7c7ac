"""README's tables of how fast graphs run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from markdown import interval, network_title, percent, table
from result_file import read_result

__all__ = ["LATENCY_TABLES"]

_OURS, _EAGER = "facealign graph", "PyTorch eager"
_DYNAMO, _LEGACY = "naive export (dynamo)", "naive export (legacy)"
_LAST_BY_HAND = "`facealign-export`, checkpoint to bundle"


def _slpt(results: Path) -> str:
    runs = [read_result(f"slpt_latency_{n}", folder=results).figures for n in (6, 12)]
    by_hand = read_result("slpt_by_hand", folder=results).figures
    measured = _slpt_measured(runs)
    last = [_LAST_BY_HAND, *by_hand.pop(_LAST_BY_HAND)]
    noted = [[what, *cells] for what, cells in by_hand.items()]
    return table(("", "SLPT, 6 layers", "SLPT, 12 layers"), [*noted, *measured, last])


def _slpt_measured(runs: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    naive = "; ".join(f"{run['nodes'][_DYNAMO]} and {run['nodes'][_LEGACY]}" for run in runs)
    faster = [run["ours_is_faster_by"] for run in runs]
    both = [f"{each[_DYNAMO][0]:.1f} / {each[_LEGACY][0]:.1f}" for each in faster]
    return [
        [f"nodes of the graph (naive exports: {naive})", *(str(r["nodes"][_OURS]) for r in runs)],
        ["latency", *(f"{run['median_ms'][_OURS]:.0f} ms" for run in runs)],
        [
            "times as fast as PyTorch eager of the same module",
            *(f"{each[_EAGER][0]:.1f}" for each in faster),
        ],
        ["times as fast as the naive export, dynamo / legacy", *both],
        [
            "share of the peak of a matrix product, measured in the same run",
            *(percent(run["share_of_roof"]) for run in runs),
        ],
    ]


def _int8(results: Path) -> str:
    figures = read_result("int8_latency", folder=results).figures
    header = (
        "",
        "ONNX Runtime FP32",
        "its INT8 file",
        "TensorRT's INT8 file",
        "FP16",
        "OpenVINO FP32",
        "ONNX Runtime's INT8 file",
        "TensorRT's INT8 file",
    )
    return table(header, [_int8_row(name, row) for name, row in figures.items()])


def _int8_row(name: str, row: Mapping[str, Any]) -> list[str]:
    cells = [network_title(name).removesuffix(" with a learned graph")]
    files = ("INT8 for ONNX Runtime", "INT8 for TensorRT", "FP16")
    for engine, ratios in row["times_as_fast_as_fp32"].items():
        cells.append(f"{row['median_ms'][f'{engine}, FP32']:.0f} ms")
        cells += [interval(ratios[key]) for f in files if (key := f"{engine}, {f}") in ratios]
    return cells


def _families(results: Path) -> str:
    figures = read_result("family_latency", folder=results).figures
    header = (
        "",
        "GMAC of the graph",
        "nodes (naive)",
        "latency",
        "faster than naive",
        "faster than PyTorch eager",
        "share of the roof",
    )
    return table(header, [_family_row(name, row) for name, row in figures.items()])


def _family_row(name: str, row: Mapping[str, Any]) -> list[str]:
    nodes, faster = row["nodes"], row["ours_is_faster_by"]
    return [
        network_title(name),
        f"{row['gmac']:.1f}",
        f"{nodes[_OURS]} ({nodes[_DYNAMO]})",
        f"{row['median_ms'][_OURS]:.0f} ms",
        interval(faster[_DYNAMO]),
        f"{faster[_EAGER][0]:.1f}",
        percent(row["share_of_roof"]),
    ]


def _engines(results: Path) -> str:
    figures = read_result("family_latency", folder=results).figures
    titles = list(dict.fromkeys(each for row in figures.values() for each in row["median_ms"]))
    return table(
        ("latency (share of the FP32 roof)", *titles),
        [_engine_row(name, row, titles) for name, row in figures.items()],
    )


def _engine_row(name: str, row: Mapping[str, Any], titles: Sequence[str]) -> list[str]:
    gflops = {each: 2e3 * row["gmac"] / took for each, took in row["median_ms"].items()}
    cells = {
        each: f"{took:.0f} ms ({percent(gflops[each] / row['roof_gflops'])})"
        for each, took in row["median_ms"].items()
    }
    return [f"{network_title(name)}, {row['gmac']:.1f} GMAC", *(cells.get(t, "") for t in titles)]


def _batches(results: Path) -> str:
    figures = read_result("batch_scaling", folder=results).figures
    batches = list(next(iter(figures.values()))["crops_per_s"])
    header = ("crops a second (share of the roof)", *(f"batch {batch}" for batch in batches))
    rows = [
        [network_title(name), *(_batch_cell(row, batch) for batch in batches)]
        for name, row in figures.items()
    ]
    return table(header, rows)


def _batch_cell(row: Mapping[str, Any], batch: str) -> str:
    return f"{row['crops_per_s'][batch]:.1f} ({percent(row['share_of_roof'][batch])})"


LATENCY_TABLES: dict[str, Callable[[Path], str]] = {
    "slpt": _slpt,
    "families": _families,
    "engines": _engines,
    "batches": _batches,
    "int8": _int8,
}
