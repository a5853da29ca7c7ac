"""``facealign lint``: which targets take a graph, and why the others do not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from facealign.bundle import read_bundle
from facealign.cli.console import print_facts, print_json, say
from facealign.cli.lint_texts import verdict_lines
from facealign.cli.options import JsonOption, TargetOption
from facealign.errors import TargetError
from facealign.targets import discover_targets, targets_from_names

if TYPE_CHECKING:  # onnx comes with it, and a device that only runs bundles has none
    import onnx_ir as ir

    from facealign.pipeline.targets import TargetVerdict

__all__ = ["lint"]


def lint(
    path: Annotated[
        Path,
        typer.Argument(
            metavar="GRAPH_OR_BUNDLE", help=".onnx graph or bundle folder.", show_default=False
        ),
    ],
    target: TargetOption = [],  # noqa: B006  # typer reads the default, nobody writes it
    *,
    as_json: JsonOption = False,
) -> None:
    """Tell which targets take a graph, or which node each refuses, why, and what fixes it.

    Without `--target` all are asked. Exits with 6 if a target that was named refuses, or if none
    was named and all do. It reads tables and reports of others: no TensorRT is run.
    """
    from facealign.pipeline.targets import judge_targets, refusal_lines

    targets = targets_from_names(target) or discover_targets()
    verdicts = judge_targets(_read_graphs(path), targets)
    refused = [verdict for verdict in verdicts if verdict.is_refused]
    is_failure = bool(refused) if target else len(refused) == len(verdicts)
    code = TargetError.exit_code if is_failure else 0
    reasons = [line for verdict in refused for line in refusal_lines(verdict)]
    if as_json:
        error = {"error": reasons[0]} if is_failure else {}
        print_json({"code": code, **error, "path": str(path), "targets": _result(verdicts)})
    else:
        print_facts(_texts(verdicts, with_notes=bool(target)))
    if is_failure:
        count = f"{len(refused)} of {len(verdicts)} targets refuse `{path}`"
        say("error", f"{count}: {reasons[0]}", style="red")
        raise typer.Exit(code)


def _read_graphs(path: Path) -> dict[str, ir.Model]:
    """Return the graphs of a bundle by precision, or the one graph of a file.

    Raises:
        InputError: If the file is no ONNX model, or one without a graph.
        IntegrityError: If the bundle is not what it was.
    """
    from facealign.export.graph import graph_from_bytes, read_whole_graph

    if path.is_dir() or path.suffix.lower() == ".bundle":
        bundle = read_bundle(path)
        return {
            name: graph_from_bytes(bundle.read_file(entry.file))
            for name, entry in bundle.manifest.graphs.items()
        }
    return {path.name: read_whole_graph(path)}


def _texts(verdicts: Sequence[TargetVerdict], *, with_notes: bool) -> Mapping[str, list[str]]:
    return {
        verdict.target.name: verdict_lines(verdict, with_notes=with_notes) for verdict in verdicts
    }


def _result(verdicts: Sequence[TargetVerdict]) -> list[dict[str, object]]:
    return [
        {
            "target": verdict.target.name,
            "title": verdict.target.title,
            "engine": verdict.target.engine_text,
            "verdict": "refused" if verdict.is_refused else "ok",
            "findings": [
                {"graph": name, **asdict(each)}
                for name, found in verdict.findings.items()
                for each in found
            ],
        }
        for verdict in verdicts
    ]
