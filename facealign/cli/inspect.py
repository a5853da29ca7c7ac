"""``facealign inspect``: what a checkpoint, a graph or a bundle is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from facealign.bundle import read_bundle
from facealign.cli.console import print_facts, print_json
from facealign.cli.options import FamilyOption, JsonOption, SetOption, settings_from_arguments
from facealign.cli.texts import parity_text, verdict_text

__all__ = ["inspect"]

_Text = str | Sequence[str] | Mapping[str, str]


def inspect(
    path: Annotated[
        Path,
        typer.Argument(
            metavar="PATH", help="Checkpoint, .onnx graph or bundle folder.", show_default=False
        ),
    ],
    family: FamilyOption = None,
    setting: SetOption = [],  # noqa: B006  # typer reads the default, nobody writes it
    *,
    as_json: JsonOption = False,
) -> None:
    """Tell what a checkpoint, a graph or a bundle is.

    Nothing in a checkpoint is run, and a bundle is checked byte for byte.
    """
    settings = settings_from_arguments(setting)
    if path.is_dir() or path.suffix.lower() == ".bundle":
        facts = _bundle_facts(path)
    elif path.suffix.lower() == ".onnx":
        facts = _graph_facts(path)
    else:
        facts = _checkpoint_facts(path, family=family, settings=settings)
    if as_json:
        print_json({"code": 0, **facts})
    else:
        print_facts({_label(name): _text(name, value) for name, value in facts.items()})


def _bundle_facts(path: Path) -> dict[str, object]:
    manifest = read_bundle(path).manifest
    card = manifest.card
    return {
        "kind": "bundle",
        "path": str(path),
        "size_bytes": sum(entry.size for entry in manifest.files.values()),
        "family": manifest.family,
        "variant": manifest.title,
        "scheme": manifest.scheme,
        "landmark_count": manifest.landmark_count,
        "crop": msgspec.to_builtins(manifest.crop),
        "graphs": msgspec.to_builtins(manifest.graphs),
        "inputs": {spec.name: _tensor(spec.dtype, spec.shape) for spec in manifest.inputs},
        "outputs": {spec.name: _tensor(spec.dtype, spec.shape) for spec in manifest.outputs},
        "max_batch": manifest.max_batch,
        "checkpoint": msgspec.to_builtins(manifest.checkpoint),
        "assets": {name: asset.name for name, asset in manifest.assets.items()},
        "settings": manifest.options,
        "title": card.title,
        "paper": card.paper,
        "licence_of_the_authors_code": f"{card.code_licence} ({card.code})",
        "published": card.published,
        "written_from": card.written_from,
        "notes": card.notes,
        "made_with": {"facealign": manifest.facealign_version, **manifest.tools},
    }


def _tensor(dtype: str, shape: Sequence[int | str]) -> str:
    return f"{dtype} ({', '.join(map(str, shape))})"


def _graph_facts(path: Path) -> dict[str, object]:
    from facealign.export.graph import graph_facts, read_graph

    facts = graph_facts(read_graph(path))
    return {"kind": "graph", "path": str(path), "size_bytes": path.stat().st_size, **facts}


def _checkpoint_facts(
    path: Path, *, family: str | None, settings: dict[str, int]
) -> dict[str, object]:
    from facealign.models.checkpoint import read_checkpoint
    from facealign.models.detect import detect
    from facealign.models.facts import checkpoint_facts

    checkpoint = read_checkpoint(path)
    facts = checkpoint_facts(
        checkpoint, detect(checkpoint.shapes, settings=settings, family=family)
    )
    return {"kind": "checkpoint", "path": str(path), "size_bytes": path.stat().st_size, **facts}


def _label(name: str) -> str:
    return name.removesuffix("_bytes").replace("_count", "s").replace("_", " ")


def _text(name: str, value: object) -> _Text:
    """Return a fact for people."""
    if value is None or value in ({}, ""):
        return "none"
    if name in _TEXTS:
        return _TEXTS[name](value)
    if isinstance(value, Mapping):
        return {key: str(_text("", item)) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "none"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _size_text(size_bytes: int) -> str:
    return f"{size_bytes / 1e6:,.1f} MB" if size_bytes >= 100_000 else f"{size_bytes:,} bytes"


def _crop_text(crop: Mapping[str, Any]) -> _Text:
    rules = {
        name: f"{crop[name]['side_factor']:g} times its larger side, {crop[name]['centre']} centre"
        for name in ("from_box", "from_landmarks")
    }
    size, border = f"{crop['size_px']} x {crop['size_px']} px", f"grey {crop['border_value']}"
    return [
        f"{size}, {crop['interpolation']}, {border} outside the frame",
        f"from a detector's box: {rules['from_box']}",
        f"from the box around landmarks: {rules['from_landmarks']}",
    ]


def _graphs_text(graphs: Mapping[str, Mapping[str, Any]]) -> _Text:
    return {precision: _graph_text(graph) for precision, graph in graphs.items()}


def _graph_text(graph: Mapping[str, Any]) -> str:
    verdict = graph["verdict"]
    return (
        f"{graph['file']}, for {graph['purpose']}, opset {graph['opset']}, "
        f"{graph['node_count']:,} nodes, {graph['parameter_count']:,} parameters, "
        f"{_macs_text(graph['mac_count'])} multiply-accumulates, parity "
        f"{parity_text(graph['parity'])}" + (f"; {verdict_text(verdict)}" if verdict else "")
    )


def _counts_text(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counts.items())


def _macs_text(count: int) -> str:
    return f"{count / 1e9:.2f} G" if count >= 10**8 else f"{count / 1e6:.1f} M"


_TEXTS: dict[str, Callable[[Any], _Text]] = {
    "checkpoint": lambda entry: f"{entry['name']}, sha256 {entry['sha256']}",
    "crop": _crop_text,
    "graphs": _graphs_text,
    "macs": _macs_text,
    "operators": _counts_text,
    "size_bytes": _size_text,
}
