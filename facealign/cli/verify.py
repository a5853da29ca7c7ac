"""``facealign verify``: does a bundle give its landmarks here, and is it still its checkpoint?"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from facealign.bundle import Bundle, read_bundle
from facealign.cli.console import ConsoleProgress, print_facts, print_json
from facealign.cli.options import AssetOption, BundleArgument, JsonOption
from facealign.cli.texts import parity_text
from facealign.errors import UsageError
from facealign.runtime import open_session

__all__ = ["verify"]

_SELF_TEST = ("checksums", "self-test")
_WITH_CHECKPOINT = (*_SELF_TEST, "read", "detect", "load", "verify")


def verify(
    bundle: BundleArgument,
    checkpoint: Annotated[
        Path | None,
        typer.Option(
            "--checkpoint", metavar="FILE", help="Also compare every graph with this checkpoint."
        ),
    ] = None,
    asset: AssetOption = [],  # noqa: B006  # typer reads the default, nobody writes it
    *,
    as_json: JsonOption = False,
) -> None:
    """Check every byte and the golden landmarks of a bundle.

    With a checkpoint, every graph is also compared with it, as `facealign export` does.
    """
    if asset and checkpoint is None:
        raise UsageError("`--asset` belongs to a checkpoint; pass `--checkpoint FILE` too")
    progress = ConsoleProgress(stages=_WITH_CHECKPOINT if checkpoint else _SELF_TEST)
    with progress.stage("checksums") as stage:
        opened = read_bundle(bundle)
        stage.say(f"{len(opened.manifest.files)} files, every byte as written")
    with progress.stage("self-test") as stage:
        for precision in opened.manifest.graphs:
            open_session(opened, precision=precision).close()
        stage.say(f"{', '.join(opened.manifest.graphs)}: crops and landmarks as golden")
    facts: dict[str, Any] = {"bundle": str(bundle), "self_test": "passed"}
    if checkpoint is not None:
        facts |= _compare(opened, checkpoint, tuple(asset), progress)
    if as_json:
        print_json({"code": 0, **facts})
    else:
        print_facts(_texts(facts))


def _compare(
    bundle: Bundle, path: Path, assets: tuple[str, ...], progress: ConsoleProgress
) -> dict[str, Any]:
    from facealign.pipeline.compile import load_model
    from facealign.pipeline.contents import check_same_network
    from facealign.pipeline.verify import remembered_points, verify_graph, verify_reduced

    manifest = bundle.manifest
    checkpoint, model = load_model(
        path,
        assets=assets or _bundled_assets(bundle),
        family=manifest.family,
        settings=_settings(manifest.options),
        progress=progress,
    )
    check_same_network(model, manifest)
    parity = {}
    points = remembered_points(model)
    with progress.stage("verify") as stage:
        for precision, entry in manifest.graphs.items():
            data = bundle.read_file(entry.file)
            if entry.verdict is None:
                report = verify_graph(model, data, stage, points=points)
            else:
                report = verify_reduced(model, data, entry.parity, points, stage)
            parity[precision] = {
                "max_px": report.max_px,
                "p99_px": report.p99_px,
                "crop_count": report.crop_count,
                "bar_px": report.bar_px if entry.verdict is None else None,
            }
    is_same = checkpoint.sha256 == manifest.checkpoint.sha256
    return {"checkpoint": str(path), "is_same_checkpoint": is_same, "parity": parity}


def _settings(options: Mapping[str, str]) -> dict[str, int]:
    """Return the hyper-parameters among a manifest's options; the others are the graphs' form."""
    return {name: int(text) for name, text in options.items() if text.isdecimal()}


def _bundled_assets(bundle: Bundle) -> tuple[str, ...]:
    return tuple(
        f"{name}={bundle.folder / 'assets' / f'{name}.npy'}" for name in bundle.manifest.assets
    )


def _texts(facts: dict[str, Any]) -> dict[str, str | dict[str, str]]:
    texts: dict[str, str | dict[str, str]] = {
        "bundle": facts["bundle"],
        "self-test": facts["self_test"],
    }
    if "parity" in facts:
        origin = (
            "the file this bundle was made from" if facts["is_same_checkpoint"] else "another file"
        )
        texts["checkpoint"] = f"{facts['checkpoint']}, {origin}"
        texts["parity"] = {name: parity_text(entry) for name, entry in facts["parity"].items()}
    return texts
