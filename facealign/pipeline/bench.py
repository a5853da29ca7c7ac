"""How fast a bundle is here: every candidate measured in turns, and what was made of it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import datetime, timezone
from pathlib import Path

import facealign
from facealign import __version__
from facealign.bench.fixed_rate import fixed_rate_result
from facealign.bench.messages import Frames, KeepRate
from facealign.bench.result import SCHEMA_VERSION, BenchResult, FixedRateResult
from facealign.bench.turns import Turns
from facealign.bundle import Bundle, read_bundle
from facealign.machine import machine_facts
from facealign.pipeline.bench_candidates import FULL, BenchRequest
from facealign.pipeline.bench_children import Opened, open_children
from facealign.pipeline.bench_results import candidate_results, distances, ratios
from facealign.pipeline.bench_rooflines import rooflines_of, rooflines_text
from facealign.pipeline.bench_subject import FORWARD
from facealign.pipeline.bench_turns import SEED, machine_state, turns_of
from facealign.pipeline.progress import SILENT, Progress, Stage

__all__ = ["PURPOSE", "bench_stages", "run_bench"]

_FIXED_RATE, _ROOFLINE = "fixed rate", "roofline"
PURPOSE = " is for"  # ends the name of a setting
_RATE_SHARE = 0.5  # of the time of all turns
_LEAST_RATE_S = 2.0
_MOST_RATE_TIMES = 2.0
_GRACE_S = 60.0


def bench_stages(request: BenchRequest) -> tuple[str, ...]:
    """Return the stages of a run, in order."""
    at_rate = () if request.frames_per_s is None else (_FIXED_RATE,)
    return ("bundle", "open", "turns", *at_rate, _ROOFLINE)


def run_bench(request: BenchRequest, progress: Progress = SILENT) -> BenchResult:
    """Return how fast each candidate is, how they compare, and whether the machine was quiet.

    Every candidate has a process of its own. They take turns, so that a machine that gets slower
    is so for all, and are started several times, as some starts are luckier than others.

    Raises:
        UsageError: If something was asked for that there is not.
        BackendError: If an engine that was named does not work here, or a process dies.
        FacealignError: What `open_session` raises.
    """
    skipped: list[str] = []
    load_before = os.getloadavg()[0]
    with ExitStack() as stack:
        with progress.stage("bundle") as stage:
            bundle = read_bundle(request.bundle)
            stage.say(f"{bundle.manifest.title}: {', '.join(bundle.manifest.graphs)}")
        with progress.stage("open") as stage:
            opened = _open(bundle, request, stack, skipped, stage)
        with progress.stage("turns") as stage:
            opened, turns, watch = turns_of(bundle, request, opened, stack, stage)
            far = distances(bundle, request, opened, skipped)
            results = candidate_results(opened, turns, far)
        fixed_rate = _at_fixed_rate(opened, request, progress)
    with progress.stage(_ROOFLINE) as stage:  # the children have ended, so that nobody else runs
        roof, lines = rooflines_of(bundle, results, skipped)
        stage.say(rooflines_text(roof, lines))
    return BenchResult(
        schema_version=SCHEMA_VERSION,
        bundle=bundle.folder.resolve().name,
        title=bundle.manifest.title,
        manifest_sha256=_manifest_sha256(bundle),
        facealign_version=__version__,
        commit=_commit(),
        made_at=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        settings=_settings(request, opened, turns) | _purposes(bundle, opened),
        machine=machine_facts(),
        state=machine_state(watch, opened, turns, load_before=load_before),
        candidates=results,
        ratios=ratios([each.candidate for each in opened], turns),
        fixed_rate=fixed_rate,
        roof=roof,
        rooflines=lines,
        skipped=tuple(skipped),
    )


def _open(
    bundle: Bundle, request: BenchRequest, stack: ExitStack, skipped: list[str], stage: Stage
) -> list[Opened]:
    opened = []
    for each in open_children(bundle, request, stack, skipped):
        opened.append(each)
        stage.say(f"{len(opened)} candidates, each in a process of its own")
    return opened


def _at_fixed_rate(
    opened: Sequence[Opened], request: BenchRequest, progress: Progress
) -> tuple[FixedRateResult, ...]:
    """Return how each graph on each engine keeps a fixed rate, one after the other."""
    if request.frames_per_s is None:
        return ()
    # The batch is that of the frame, so each has to run once only.
    chosen = {each.candidate.name: each for each in reversed(opened)}
    seconds = max(_LEAST_RATE_S, _RATE_SHARE * request.seconds / len(chosen))
    order = KeepRate(
        frames_per_s=request.frames_per_s,
        faces_per_frame=request.faces_per_frame,
        frame_count=max(1, round(seconds * request.frames_per_s)),
        limit_s=_MOST_RATE_TIMES * seconds,
    )
    results = []
    with progress.stage(_FIXED_RATE) as stage:
        for each in reversed(chosen.values()):
            deadline_s = order.limit_s + _GRACE_S
            frames = each.child.ask(order, Frames, deadline_s=deadline_s)
            results.append(fixed_rate_result(each.candidate, order, frames))
            stage.advance(1, total=len(chosen))
        stage.say(f"{order.frame_count} frames each, {order.frames_per_s:g} a second")
    return tuple(results)


def _settings(
    request: BenchRequest, opened: Sequence[Opened], turns: Sequence[Turns]
) -> dict[str, str]:
    batches = dict.fromkeys(str(each.candidate.batch) for each in opened)
    names = dict.fromkeys(each.candidate.name for each in opened)
    settings = {
        "candidates": ", ".join(names),
        "batches": ", ".join(batches),
        "threads": str(request.threads or os.environ.get("OMP_NUM_THREADS") or "one per core"),
        "seconds": f"{request.seconds:g}",
        "launches": str(len(turns[0].launches)),
        "rounds": str(len(turns[0].rounds)),
        "runs of a turn": ", ".join(str(len(each.rounds[0][FORWARD])) for each in turns),
        "seed": str(SEED),
    }
    if request.frames_per_s is not None:
        settings["frames per second"] = f"{request.frames_per_s:g}"
        settings["faces per frame"] = str(request.faces_per_frame)
    if request.checkpoint is not None:
        settings["checkpoint"] = request.checkpoint.name
    return settings


def _purposes(bundle: Bundle, opened: Sequence[Opened]) -> dict[str, str]:
    """Return which engine each graph was made for, where that matters."""
    names = dict.fromkeys(each.candidate.precision for each in opened)
    graphs = bundle.manifest.graphs
    return {f"{name}{PURPOSE}": graphs[name].purpose for name in names if name != FULL}


def _manifest_sha256(bundle: Bundle) -> str:
    """Return the hash beside the manifest, which was checked when the bundle was read."""
    return (bundle.folder / "manifest.sha256").read_text("ascii").split()[0]


def _commit() -> str | None:
    root = Path(facealign.__file__).parents[1]
    if not (root / ".git").exists():
        return None
    try:
        found = subprocess.run(
            ["git", "rev-parse", "--short", "HEAD"],  # noqa: S607  # whichever git made the tree
            cwd=root,
            capture_output=True,
            text=True,
            check=False,
        )
    except OSError:
        return None
    return found.stdout.strip() or None
