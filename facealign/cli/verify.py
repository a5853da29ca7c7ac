"""``facealign verify``: does a bundle still give its landmarks here, and is it still its checkpoint?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from facealign.bundle import Bundle, read_bundle
from facealign.cli.console import ConsoleProgress, print_json, print_lines
from facealign.cli.options import AssetOption, BundleArgument, JsonOption
from facealign.runtime import open_session

__all__ = ["verify"]

_SELF_TEST = ("checksums", "self-test")
_WITH_CHECKPOINT = (*_SELF_TEST, "read", "detect", "load", "verify")


def verify(
    bundle: BundleArgument,
    checkpoint: Annotated[
        Path | None,
        typer.Option("--checkpoint", help="Also compare every graph with this checkpoint."),
    ] = None,
    asset: AssetOption = [],  # noqa: B006  # typer reads the default, nobody writes it
    *,
    as_json: JsonOption = False,
) -> None:
    """Check a bundle: every byte, the golden landmarks, and with a checkpoint full parity."""
    progress = ConsoleProgress(stages=_WITH_CHECKPOINT if checkpoint else _SELF_TEST)
    with progress.stage("checksums") as stage:
        opened = read_bundle(bundle)
        stage.say(f"{len(opened.manifest.files)} files, every byte as written")
    with progress.stage("self-test") as stage:
        for precision in opened.manifest.graphs:
            open_session(opened, precision=precision).close()
        stage.say(f"{', '.join(opened.manifest.graphs)}: crops and landmarks as golden")
    facts: dict[str, object] = {"bundle": str(bundle), "self_test": "passed"}
    if checkpoint is not None:
        facts |= _compare(opened, checkpoint, tuple(asset), progress)
    if as_json:
        print_json({"code": 0, **facts})
    else:
        print_lines(facts)


def _compare(
    bundle: Bundle, path: Path, assets: tuple[str, ...], progress: ConsoleProgress
) -> dict[str, object]:
    from facealign.pipeline.compile import load_model
    from facealign.pipeline.verify import verify_graph

    manifest = bundle.manifest
    settings = {name: int(value) for name, value in manifest.options.items()}
    checkpoint, model = load_model(
        path, assets=assets or _bundled_assets(bundle), settings=settings, progress=progress
    )
    is_same = checkpoint.sha256 == manifest.checkpoint.sha256
    facts: dict[str, object] = {
        "checkpoint": "the file this bundle was made from" if is_same else "another file",
    }
    with progress.stage("verify") as stage:
        for precision, entry in manifest.graphs.items():
            report = verify_graph(model, bundle.read_file(entry.file), stage)
            facts[f"parity {precision}"] = (
                f"max {report.max_px:.2g} px over {report.crop_count} crops (bar {report.bar_px} px)"
            )
    return facts


def _bundled_assets(bundle: Bundle) -> tuple[str, ...]:
    return tuple(
        f"{name}={bundle.folder / 'assets' / f'{name}.npy'}" for name in bundle.manifest.assets
    )
