"""``facealign eval``: how good the graphs of a bundle are on a data set."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Literal

import typer

from facealign.cli.console import ConsoleProgress, print_facts, print_json, say
from facealign.cli.evaluation_tables import evaluation_texts
from facealign.cli.options import BundleArgument, JsonOption
from facealign.cli.output_files import check_writable, write_files
from facealign.errors import UsageError
from facealign.pipeline.evaluate import EVALUATE_STAGES, EvaluationRequest, evaluate_bundle
from facealign.pipeline.evaluation_result import Evaluation, facts_from_evaluation
from facealign.pipeline.progress import Stage

__all__ = ["evaluate"]

_WRITE = "write"
_REPORT, _CURVE, _WORST = "evaluation.json", "ced.svg", "worst.png"


def evaluate(  # noqa: PLR0913  # typer makes an option of each
    bundle: BundleArgument,
    dataset: Annotated[
        Path,
        typer.Argument(
            metavar="DATASET",
            help="Folder of WFLW, 300W or COFW, or of images with boxes.csv.",
            show_default=False,
        ),
    ],
    split: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Part of the data set.", show_default="test"),
    ] = None,
    precision: Annotated[
        str | None,
        typer.Option(
            metavar="NAME,...",
            help="Graphs, such as fp32,int8; fp32 is run in any case.",
            show_default="all of the bundle",
        ),
    ] = None,
    *,
    crops_from: Annotated[
        Literal["box", "landmarks"] | None,
        typer.Option(
            help="What crops are cut by: the data set's boxes, or the boxes around its landmarks.",
            show_default="landmarks, where there are any",
        ),
    ] = None,
    normalisation: Annotated[
        Literal["corners", "pupils", "box"],
        typer.Option(help="What errors are divided by: a distance of the eyes, or the face's box."),
    ] = "corners",
    limit: Annotated[
        int | None,
        typer.Option(metavar="N", help="Only the first N faces.", show_default="all"),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            metavar="DIR",
            help=f"Folder for {_REPORT}, {_CURVE} and {_WORST}.",
            show_default="nothing is written",
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Measure the graphs of a bundle on a data set.

    NME, failure rate and AUC at 10 %, of all faces and of each subset; for each graph beside FP32,
    its change of NME with a paired bootstrap interval, its drift from the landmarks of FP32, and
    its jitter while a face hardly moves. Without labels, drift and jitter only.
    """
    request = EvaluationRequest(
        bundle=bundle,
        dataset=dataset,
        split=split,
        precisions=_names(precision),
        crops_from=crops_from,
        normalisation=normalisation,
        limit=limit,
    )
    progress = ConsoleProgress(stages=(*EVALUATE_STAGES, *([_WRITE] if output else [])))
    if output is not None:
        _check_output(output)
    evaluation = evaluate_bundle(request, progress)
    written: list[str] = []
    if output is not None:
        with progress.stage(_WRITE) as stage:
            written = _write(evaluation, output, stage)
    if as_json:
        facts = facts_from_evaluation(evaluation, with_faces=False)
        print_json({"code": 0, "bundle": str(bundle), **facts, "written": written})
        return
    print_facts(evaluation_texts(evaluation))
    for path in written:
        say("wrote", path, style="dim")


def _names(text: str | None) -> tuple[str, ...]:
    """Return the names of a list with commas.

    Raises:
        UsageError: If one is empty.
    """
    if text is None:
        return ()
    names = tuple(part.strip() for part in text.split(","))
    if not all(names):
        raise UsageError(f"precision {text!r} is not NAME,NAME; pass for example `fp32,int8`")
    return names


def _check_output(folder: Path) -> None:
    """Check that files can be written and figures drawn, before an hour of work depends on it."""
    from facealign.report import check_matplotlib

    check_matplotlib()
    check_writable(folder / _REPORT)


def _write(evaluation: Evaluation, folder: Path, stage: Stage) -> list[str]:
    """Write the report and what pictures there are; return their paths."""
    from facealign.pipeline.evaluation_figures import error_curve, worst_faces

    facts = facts_from_evaluation(evaluation, with_faces=True)
    contents = {
        _REPORT: (json.dumps(facts, indent=1) + "\n").encode(),
        _CURVE: error_curve(evaluation),
        _WORST: worst_faces(evaluation),
    }
    files = {folder / name: data for name, data in contents.items() if data is not None}
    write_files(files)
    stage.say(", ".join(path.name for path in files))
    return [str(path) for path in files]
