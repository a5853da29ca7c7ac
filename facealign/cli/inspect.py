"""``facealign inspect``: what a checkpoint, a graph or a bundle is."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec
import typer

from facealign.bundle import read_bundle
from facealign.cli.console import print_json, print_lines
from facealign.cli.options import FamilyOption, JsonOption, SetOption, settings_from_arguments

__all__ = ["inspect"]


def inspect(
    path: Annotated[
        Path, typer.Argument(help="Checkpoint, .onnx graph or bundle folder.", show_default=False)
    ],
    family: FamilyOption = None,
    setting: SetOption = [],  # noqa: B006  # typer reads the default, nobody writes it
    *,
    as_json: JsonOption = False,
) -> None:
    """Tell what a checkpoint, a graph or a bundle is."""
    if path.is_dir():
        facts = _bundle_facts(path)
    elif path.suffix.lower() == ".onnx":
        facts = _graph_facts(path)
    else:
        facts = _checkpoint_facts(path, family=family, settings=settings_from_arguments(setting))
    if as_json:
        print_json({"code": 0, **facts})
    else:
        print_lines({name.replace("_", " "): _text(value) for name, value in facts.items()})


def _bundle_facts(path: Path) -> dict[str, object]:
    manifest = read_bundle(path).manifest
    graphs = {
        precision: f"{entry.file}, opset {entry.opset}, {entry.node_count} nodes, "
        f"{entry.parameter_count:,} parameters, parity max {entry.parity.max_px:.2g} px "
        f"over {entry.parity.crop_count} crops (bar {entry.parity.bar_px} px)"
        for precision, entry in manifest.graphs.items()
    }
    return {
        "kind": "bundle",
        "family": manifest.family,
        "variant": manifest.title,
        "scheme": manifest.scheme,
        "crop": msgspec.to_builtins(manifest.crop),
        "graphs": graphs,
        "checkpoint": f"{manifest.checkpoint.name}, sha256 {manifest.checkpoint.sha256}",
        "assets": {name: asset.name for name, asset in manifest.assets.items()},
        "paper": manifest.card.paper,
        "licence_of_the_authors_code": manifest.card.code_licence,
        "published": manifest.card.published,
        "made_with": {"facealign": manifest.facealign_version, **manifest.tools},
    }


def _graph_facts(path: Path) -> dict[str, object]:
    from facealign.export.graph import graph_facts, read_graph

    return {"kind": "graph", **graph_facts(read_graph(path))}


def _checkpoint_facts(
    path: Path, *, family: str | None, settings: dict[str, int]
) -> dict[str, object]:
    from facealign.models.checkpoint import read_checkpoint
    from facealign.models.detect import detect
    from facealign.models.facts import checkpoint_facts

    checkpoint = read_checkpoint(path)
    detection = detect(checkpoint.shapes, settings=settings, family=family)
    return {"kind": "checkpoint", **checkpoint_facts(checkpoint, detection)}


def _text(value: object) -> str:
    if isinstance(value, dict):
        return "; ".join(f"{name}: {_text(item)}" for name, item in value.items()) or "none"
    return str(value)
