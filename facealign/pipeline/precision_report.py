"""What was tried for each precision, as lines for people and as JSON for the bundle."""

from __future__ import annotations

from typing import Any

import msgspec

from facealign.calibration import Trial
from facealign.export.passes.quantize import Block
from facealign.pipeline.judge import Judge, Judgement
from facealign.pipeline.reduction import Reduction

__all__ = ["json_from_reductions", "refusal", "trial_lines"]

_NAMED = 3  # of the most sensitive blocks, in one line


def refusal(reduction: Reduction) -> str:
    """Return why a precision is refused, which blocks are to blame, and what to do."""
    name = reduction.precision.upper()
    if not reduction.search.trials:
        return f"{name} has nothing to gain: too little of the graph can be reduced"
    last = reduction.search.trials[-1]
    blamed = list(reduction.search.alone)[:_NAMED]
    blocks = {block.name: block for block in reduction.blocks}
    named = ", ".join(f"{each} ({_nodes_text(blocks[each])})" for each in blamed)
    return (
        f"{name} is refused: even with {100 * last.share:.0f} % of the work reduced it costs "
        f"{_cost_text(reduction, reduction.judgements[last.left])}; most sensitive: {named}; "
        f"{_way_out(reduction)}"
    )


def trial_lines(reduction: Reduction) -> list[str]:
    """Return one line per trial, the largest share first; the last is what was chosen."""
    return [_trial_text(reduction, trial) for trial in reduction.search.trials]


def json_from_reductions(judge: Judge, reductions: tuple[Reduction, ...]) -> bytes:
    """Return the whole report: every trial, every block, every subset."""
    held_out = judge.held_out
    report = {
        "faces": held_out.faces,
        "crops_from": held_out.crops_from,
        "face_count": len(held_out.crops),
        "normalisation": judge.normalisation,
        "nme_fp32_percent": judge.nme_fp32_percent,
        "subset_sizes": {name: len(indices) for name, indices in held_out.subsets.items()},
        "precisions": {each.precision: _reduction_facts(each) for each in reductions},
    }
    return msgspec.json.format(msgspec.json.encode(report), indent=1) + b"\n"


def _way_out(reduction: Reduction) -> str:
    leave = f"leave {reduction.precision} out of `--precision`"
    if reduction.precision == "fp16":
        return leave  # its bar is fixed
    return f"{leave}, or allow more with `--budget-nme`"


def _trial_text(reduction: Reduction, trial: Trial) -> str:
    left = f", {len(trial.left)} of {len(reduction.blocks)} blocks left" if trial.left else ""
    cost = _cost_text(reduction, reduction.judgements[trial.left])
    speed = reduction.speeds.get(trial.left)
    fast = "" if speed is None else f", {speed:.2f} times as fast as FP32 in ONNX Runtime"
    return f"{100 * trial.share:.0f} % of the work{left}: {cost}{fast}"


def _cost_text(reduction: Reduction, found: Judgement) -> str:
    limits = reduction.limits
    bar = "" if limits.p99_px is None else f" (bar {limits.p99_px:g})"
    text = f"p99 {found.p99_px:.3f} px{bar}"
    if limits.change_points is None:
        return text
    low, high = found.change_interval
    kind = "drift" if found.nme_percent is None else "NME"
    return (
        f"{text}, {kind} {found.change_points:+.3f} points ({low:+.3f} to {high:+.3f}, budget "
        f"{limits.change_points:g})"
    )


def _nodes_text(block: Block) -> str:
    more = f" and {len(block.nodes) - 1} more" if len(block.nodes) > 1 else ""
    return f"`{block.nodes[0]}`{more}"


def _reduction_facts(reduction: Reduction) -> dict[str, Any]:
    return {
        "may_ship": reduction.graph is not None,
        "made_by": reduction.made_by,
        "limits": {
            "p99_px": reduction.limits.p99_px,
            "change_points": reduction.limits.change_points,
        },
        "kept_in_fp32": reduction.kept,
        "trials": [
            {
                "left": trial.left,
                "share": trial.share,
                **_facts(reduction.judgements[trial.left]),
                "onnxruntime_times_as_fast_as_fp32": reduction.speeds.get(trial.left),
            }
            for trial in reduction.search.trials
        ],
        "blocks": {
            block.name: {
                "nodes": block.nodes,
                "share": block.share,
                "alone": _alone_facts(reduction, block),
            }
            for block in reduction.blocks
        },
    }


def _alone_facts(reduction: Reduction, block: Block) -> dict[str, Any] | None:
    found = reduction.alone.get(block.name)
    return None if found is None else _facts(found)


def _facts(found: Judgement) -> dict[str, Any]:
    return {
        "p99_px": found.p99_px,
        "max_px": found.max_px,
        "drift_percent": found.drift_percent,
        "nme_percent": found.nme_percent,
        "change_points": found.change_points,
        "change_interval": found.change_interval,
        "subset_change_points": dict(found.subset_points),
    }
