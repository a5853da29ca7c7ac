"""``facealign doctor``: what this machine is, what works on it, and what would mend the rest."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from facealign.bundle import read_bundle
from facealign.cli.console import ConsoleProgress, print_facts, print_json, say
from facealign.cli.options import JsonOption
from facealign.errors import BackendError
from facealign.machine.facts import size_text
from facealign.pipeline.bundle_needs import BUILD_BASIS, LABEL, MEMORY_BASIS, BundleNeeds
from facealign.pipeline.doctor import DOCTOR_STAGES, Diagnosis, Finding, diagnose
from facealign.pipeline.doctor_target import targets_text

__all__ = ["doctor"]

_Text = str | Sequence[str] | Mapping[str, str]
_MARKS = {"ok": "ok     ", "missing": "missing", "broken": "BROKEN "}
_MINUTE = 60.0


def doctor(
    bundle: Annotated[
        Path | None,
        typer.Argument(
            metavar="[BUNDLE]",
            help="Bundle folder: engines are proved on it, and its needs are estimated.",
            show_default=False,
        ),
    ] = None,
    *,
    as_json: JsonOption = False,
) -> None:
    """Tell what this machine is, which engines work on it, and what would mend the others.

    Every engine and library is used once, in a process of its own. Nothing is installed or changed.
    Exits with 0 if at least one engine works, with 7 if none does.
    """
    opened = None if bundle is None else read_bundle(bundle)
    stages = DOCTOR_STAGES[:-1] if opened is None else DOCTOR_STAGES
    found = diagnose(opened, progress=ConsoleProgress(stages=stages))
    problem = None if found.has_engine else _no_engine(found)
    if as_json:
        code = BackendError.exit_code if problem else 0
        print_json({"code": code, **({"error": problem} if problem else {}), **_result(found)})
    else:
        print_facts(dict(_sections(found)))
    if problem:
        say("error", problem, style="red")
        raise typer.Exit(BackendError.exit_code)


def _no_engine(found: Diagnosis) -> str:
    fix = next((engine.fix for engine in found.engines if engine.fix), None)
    names = ", ".join(engine.name for engine in found.engines)
    return f"no engine works here ({names})" + (f"; run `{fix}`" if fix else "")


def _sections(found: Diagnosis) -> Iterator[tuple[str, _Text]]:
    yield "machine", found.machine
    yield "lint target", targets_text(found.targets)
    yield "engines", _rows(found.engines)
    yield "for tensorrt", _rows(found.cuda)
    yield "workstation", _rows(found.workstation)
    if found.needs is not None:
        yield "bundle", dict(_need_rows(found.needs))
    fixes = _fixes((*found.engines, *found.cuda, *found.workstation))
    if fixes:
        yield "to mend", fixes


def _rows(findings: Sequence[Finding]) -> dict[str, str]:
    return {each.name: f"{_MARKS[each.verdict]}  {each.text}" for each in findings}


def _fixes(findings: Sequence[Finding]) -> dict[str, str]:
    """Return the parts that each command mends, as several are often mended by one."""
    by_fix: dict[str, list[str]] = {}
    for each in findings:
        if each.fix is not None:
            by_fix.setdefault(each.fix, []).append(each.name)
    return {", ".join(names): fix for fix, names in by_fix.items()}


def _need_rows(needs: BundleNeeds) -> Iterator[tuple[str, str]]:
    for graph in needs.graphs:
        text = f"weights {size_text(graph.weight_bytes)}"
        if graph.activation_bytes is not None:
            one, most = map(size_text, graph.activation_bytes)
            text += f", activations {one} for 1 crop and {most} for {needs.max_batch}"
        if graph.build_s is not None:
            shortest, longest = map(_time_text, graph.build_s)
            text += f", plan built in {shortest} to {longest} (a guess)"
        yield graph.precision, text
    yield "sizes", f"{LABEL}, from {needs.basis}"
    if needs.build_memory_bytes is not None and needs.disk_bytes is not None:
        build, disk = size_text(needs.build_memory_bytes), size_text(needs.disk_bytes)
        yield (
            "to build plans",
            f"{build} of memory and {disk} of disk; {LABEL}, from {MEMORY_BASIS}",
        )
        yield "build time", f"{LABEL}, from {BUILD_BASIS}"
    if needs.lacking:
        yield "too little", "; ".join(needs.lacking)
    else:
        yield "enough", "memory and disk, as far as they are known"


def _time_text(seconds: float) -> str:
    if seconds < _MINUTE:
        return f"{max(1, round(seconds))} s"
    return f"{round(seconds / _MINUTE)} min"


def _result(found: Diagnosis) -> dict[str, object]:
    needs = found.needs
    return {
        "machine": dict(found.machine),
        "targets": [each.name for each in found.targets],
        "engines": [asdict(each) for each in found.engines],
        "cuda": [asdict(each) for each in found.cuda],
        "workstation": [asdict(each) for each in found.workstation],
        "bundle": None
        if needs is None
        else {
            **asdict(needs),
            "label": LABEL,
            "build_basis": BUILD_BASIS,
            "memory_basis": MEMORY_BASIS,
        },
    }
