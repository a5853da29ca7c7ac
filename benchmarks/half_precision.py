"""How far do landmarks move when each family's graph is FP16, and by which nodes?

    python benchmarks/half_precision.py [--models NAME ...] [--faces 16] [--resume]

The five families at full size with recipe weights, and the trained demo, on rendered faces cut by
the family's own box rule, against the FP32 graph of the same run. Every rounding that the typed
graph asks for is made explicit, as ONNX Runtime's FP16 kernels leave some out. Landmarks that hang
on a tie of heat maps in the module itself are passed over, as parity does.

Where the 99th percentile is above 0.1 px, the FP16 nodes are searched, on the first faces, for the
smallest groups that alone move landmarks by more than a bar. And in every family the weights of the
FP16 products are changed by 2**-12 of themselves, up or down, in FP32; FP16 rounds a number by up
to 2**-11 of itself. A network whose landmarks move as far by that amplifies rounding itself, and no
few nodes are to blame.

In each family an FP16 coordinate path is planted, which the contract must catch. Writes
results/half_precision.json after each family.
"""

from __future__ import annotations

import argparse
import gc
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import onnx_ir as ir
import torch
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "examples"))

from half_precision_faults import planted, values_by_fault
from half_precision_subject import SEED, Subject, jittered, open_subject
from networks import DEMO, MODELS, network_names, present
from result_file import RESULTS, provenance, read_result, result_of, write_result

from facealign.errors import GraphContractError
from facealign.export.lint import check_contract
from facealign.export.passes.precision import half_precision
from facealign.export.passes.precision.deviation import NodeDeviation, deviation_by_node
from facealign.export.passes.precision.every_rounding import with_every_rounding
from facealign.export.passes.precision.half_range import RangeFinding
from facealign.export.passes.precision.ranges import audit_ranges
from facealign.pipeline.reduce import HALF_BAR_PX
from facealign.pipeline.run_crops import graph_runner
from facealign.runtime.ort_engine import run_graph
from facealign.spec import contract_input, contract_outputs

_MODELS = (*MODELS, DEMO)
_JITTERS = 3
# Deviations of many nodes add up in quadrature: few groups can each be a third of the whole.
_BAR_SHARE = 1 / 3
_SEARCH_FACES = 4
_OPERATORS_SHOWN = 6
_CHUNK_BYTES = 2 * 2**30  # the default opens PropNet's graph a hundred times


def main() -> None:
    """Measure, print lines per model, write the result after each."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--models", nargs="+", default=_MODELS, choices=network_names(), metavar="NAME"
    )
    parser.add_argument("--faces", type=int, default=16)
    parser.add_argument("--audited", type=int, default=4, help="faces of the range audit")
    parser.add_argument("--resume", action="store_true", help="keep what the result file has")
    parser.add_argument("--suffix", default="", help="of the result's name")
    options = parser.parse_args()
    name = f"half_precision{options.suffix}"
    for model in present(options.models):
        if options.resume and model in _rows_of(name):
            continue
        where = provenance(threads=torch.get_num_threads())
        row = {
            "where": msgspec.to_builtins(where),
            **_measure(model, options.faces, options.audited),
        }
        rows = {**_rows_of(name), model: row}  # of other families, perhaps measured meanwhile
        settings = {"seed": SEED, "faces": options.faces}
        result = result_of(__doc__, where, settings=settings, figures=rows)
        print(write_result(name, result), flush=True)
        gc.collect()


def _rows_of(name: str) -> dict[str, Any]:
    is_there = (RESULTS / f"{name}.json").exists()
    return read_result(name).figures if is_there else {}


def _measure(name: str, faces: int, audited: int) -> dict[str, object]:
    tell = _teller(name)
    subject = open_subject(name, faces)
    tell(f"{len(subject.graph.graph)} nodes, {faces} faces")
    findings = _audit(subject, audited)
    tell(f"{len(findings)} values that FP16 does not hold")
    keep = [finding.value for finding in findings]
    typed = half_precision(subject.graph, keep=keep)
    moved_px = subject.moved_px(with_every_rounding(typed))
    whole = _summary(moved_px)
    tell(f"FP16 {whole}")
    row = {
        "faces": faces,
        "landmarks": subject.is_decided.size,
        "undecided": int(np.count_nonzero(~subject.is_decided)),
        "nodes": _node_counts(subject.graph, typed),
        "audited_faces": audited,
        "does_not_fit_fp16": [str(finding) for finding in findings],
        "fp16": whole,
        "keeps_the_bar": bool(whole["p99_px"] <= HALF_BAR_PX),
        "fp32_with_weights_off_by_2**-12": _jitter(subject, tell),
    }
    if not row["keeps_the_bar"]:
        row["by_node"] = _by_node(subject, _BAR_SHARE * whole["p99_px"], tell)
    return {**row, "planted": _faults(subject, typed, tell)}


def _audit(subject: Subject, audited: int) -> tuple[RangeFinding, ...]:
    crops = subject.crops[:audited]
    return audit_ranges(subject.graph, crops, run=run_graph, chunk_bytes=_CHUNK_BYTES)


def _teller(name: str) -> Callable[[str], None]:
    started = time.perf_counter()
    return lambda text: print(f"{name} {time.perf_counter() - started:5.0f} s  {text}", flush=True)


def _summary(moved_px: NDArray[np.float64]) -> dict[str, float]:
    return {
        "p99_px": round(float(np.percentile(moved_px, 99, method="higher")), 4),
        "max_px": round(float(moved_px.max()), 4),
        "median_px": round(float(np.median(moved_px)), 5),
    }


def _node_counts(graph: ir.Model, typed: ir.Model) -> dict[str, int]:
    is_half = [any(v.dtype == ir.DataType.FLOAT16 for v in n.outputs) for n in typed.graph]
    casts = len(typed.graph) - len(graph.graph)
    return {"fp16": sum(is_half), "others": len(is_half) - sum(is_half), "of_them_new_casts": casts}


def _jitter(subject: Subject, tell: Callable[[str], None]) -> list[dict[str, float]]:
    """Return how far landmarks move in FP32 when weights are off, one summary per draw."""
    found = []
    for seed in range(_JITTERS):
        found.append(_summary(subject.moved_px(jittered(subject.graph, seed))))
        tell(f"FP32 with other weights {found[-1]}")
    return found


def _by_node(subject: Subject, least_px: float, tell: Callable[[str], None]) -> dict[str, object]:
    """Return the smallest groups of FP16 nodes that alone move landmarks by more than a bar."""
    crops, is_decided = subject.crops[:_SEARCH_FACES], subject.is_decided[:_SEARCH_FACES]
    runs = Counter[str]()

    def run(graph: bytes, asked: NDArray[np.uint8]) -> Mapping[str, NDArray[Any]]:
        runs["done"] += 1
        if runs["done"] % 10 == 0:
            tell(f"{runs['done']} groups of nodes")
        landmarks = graph_runner(graph)(asked)
        return {"landmarks": np.where(is_decided[..., None], landmarks, 0)}

    groups = deviation_by_node(subject.graph, crops, run=run, least_px=least_px)
    return {
        "faces": len(crops),
        "bar_px": round(least_px, 4),
        "groups_tried": runs["done"],
        "groups": [_described(group) for group in groups],
    }


def _described(group: NodeDeviation) -> dict[str, object]:
    return {
        "nodes": len(group.values),
        "first": group.values[0],
        "last": group.values[-1],
        "operators": dict(Counter(group.operators).most_common(_OPERATORS_SHOWN)),
        "p99_px": round(group.p99_px, 4),
        "max_px": round(group.max_px, 4),
    }


def _faults(subject: Subject, typed: ir.Model, tell: Callable[[str], None]) -> dict[str, object]:
    """Return what the contract says of each fault in the FP16 graph, and what it does to FP32."""
    _check(subject, typed)
    found: dict[str, object] = {}
    for fault, names in values_by_fault(subject.graph.graph).items():
        found[fault] = {
            "values": len(names),
            "refused_by_contract": _refusal(subject, planted(typed, names)),
            "moves_fp32": _summary(subject.moved_px(planted(subject.graph, names))),
        }
        tell(f"{fault}: {found[fault]}")
    return found


def _check(subject: Subject, graph: ir.Model) -> None:
    count = subject.exact.shape[1]
    image = contract_input(subject.crops.shape[1])
    outputs = contract_outputs(count, subject.family.extra_outputs)
    check_contract(graph, image, outputs, precision="fp16")


def _refusal(subject: Subject, graph: ir.Model) -> str:
    """Return the first problem that the contract names, and how many there are.

    Raises:
        RuntimeError: If it names none.
    """
    try:
        _check(subject, graph)
    except GraphContractError as error:
        problems: Sequence[str] = str(error).partition(": ")[2].split("; ")
        return f"{problems[0]} (and {len(problems) - 1} more)"
    raise RuntimeError("the contract does not see FP16 coordinates that were planted")


if __name__ == "__main__":
    main()
