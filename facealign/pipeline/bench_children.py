"""The processes that take turns in a benchmark, one for each candidate."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

import facealign
from facealign.bench.child import Child
from facealign.bench.result import Candidate
from facealign.bundle import Bundle
from facealign.errors import BackendError, SelfTestError, TargetError
from facealign.pipeline.bench_candidates import BenchRequest, candidates_of
from facealign.pipeline.bench_subject import PYTORCH, SubjectSpec

__all__ = ["Opened", "open_candidate", "open_children", "restart_children"]

_OPEN_S = 300.0  # a plan of a large network, from a slow disk


@dataclass(frozen=True, slots=True)
class Opened:
    """A candidate whose process is ready.

    Attributes:
        candidate: What it runs.
        child: The process.
        base_memory_mb: Its peak before the engine was opened, MB of 10^6 bytes.
        open_s: From nothing to ready, while nobody else was opened.
    """

    candidate: Candidate
    child: Child
    base_memory_mb: float
    open_s: float


def open_children(
    bundle: Bundle, request: BenchRequest, stack: ExitStack, skipped: list[str]
) -> Iterator[Opened]:
    """Yield the candidates that can be opened here, one after the other, as each is ready.

    An engine that nobody named is skipped where it does not work here, and the graphs that do not
    pass their self-test on it.

    Args:
        bundle: Whose graphs.
        request: What was asked for.
        stack: Ends the processes.
        skipped: Told what cannot be measured.

    Raises:
        BackendError: If one that was named cannot be opened, or none can.
        TargetError: If there is no plan for one that was named.
        SelfTestError: If a graph does not pass on an engine that was named.
        FacealignError: What else `open_session` raises.
    """
    missing: set[str] = set()  # engines, and candidates by name
    works: set[str] = set()
    for candidate in candidates_of(bundle, request):
        if missing & {candidate.engine, candidate.name}:
            continue
        try:
            opened = open_candidate(bundle, request, candidate, stack)
        except SelfTestError as error:
            if candidate.engine in request.engines:
                raise
            missing.add(candidate.name)
            skipped.append(f"{candidate.name} fails its self-test: {error}")
            continue
        except (BackendError, TargetError) as error:
            if candidate.engine in {*request.engines, *works, PYTORCH}:
                raise
            missing.add(candidate.engine)
            skipped.append(f"{candidate.engine} does not work here: {error}")
            continue
        works.add(candidate.engine)
        yield opened
    if not works:
        raise BackendError(f"there is nothing to measure: {'; '.join(skipped)}")


def open_candidate(
    bundle: Bundle, request: BenchRequest, candidate: Candidate, stack: ExitStack
) -> Opened:
    """Return a candidate whose process is ready; `stack` ends it.

    Raises:
        FacealignError: What it cannot be opened for.
    """
    child = _start(bundle, request, candidate, stack)
    ready = child.wait_ready(deadline_s=_OPEN_S)
    return Opened(candidate, child, ready.base_memory_mb, child.open_s)


def restart_children(
    bundle: Bundle, request: BenchRequest, opened: Sequence[Opened], stack: ExitStack
) -> list[Opened]:
    """Return the same candidates, each in a new process; `stack` ends the old, then the new ones.

    They start side by side, as nobody measures how long that takes a second time.

    Raises:
        FacealignError: What one cannot be opened for.
    """
    for each in opened:
        each.child.wish_to_end()
    stack.close()  # two processes of each may be more than the memory holds
    children = [_start(bundle, request, each.candidate, stack) for each in opened]
    for child in children:
        child.wait_ready(deadline_s=_OPEN_S)
    return [replace(each, child=child) for each, child in zip(opened, children, strict=True)]


def _start(bundle: Bundle, request: BenchRequest, candidate: Candidate, stack: ExitStack) -> Child:
    spec = SubjectSpec(
        bundle=str(bundle.folder.absolute()),
        engine=candidate.engine,
        precision=candidate.precision,
        batch=candidate.batch,
        threads=candidate.threads,
        checkpoint=None if request.checkpoint is None else str(request.checkpoint.absolute()),
    )
    return stack.enter_context(
        Child(
            [sys.executable, "-m", "facealign.pipeline.bench_worker"],
            msgspec.json.encode(spec),
            name=f"{candidate.name} at batch {candidate.batch}",
            environment=_environment(candidate.threads),
        )
    )


def _environment(threads: int | None) -> dict[str, str]:
    """Return variables with which a child finds this very package, and so many threads."""
    root = Path(facealign.__file__).parents[1]
    environment = dict(os.environ)
    # A source tree must be named. Installed packages are found, and would come before the standard
    # library if they were named.
    if not {"site-packages", "dist-packages"} & set(root.parts):
        paths = (str(root), *filter(None, [environment.get("PYTHONPATH")]))
        environment["PYTHONPATH"] = os.pathsep.join(paths)
    environment["PYTHONSAFEPATH"] = "1"  # no module of the working folder; Python 3.11 and later
    if threads is not None:
        environment["OMP_NUM_THREADS"] = str(threads)  # PyTorch has no other way in
    return environment
