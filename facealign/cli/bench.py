"""``facealign bench``: how fast a bundle is here, on every engine that works."""

from __future__ import annotations

import shlex
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from facealign.bench.result import BenchResult
from facealign.bundle import read_bundle
from facealign.cli.bench_tables import bench_text
from facealign.cli.console import ConsoleProgress, print_json, print_result, say
from facealign.cli.options import BundleArgument, JsonOption
from facealign.cli.output_files import check_writable, write_files
from facealign.datasets import read_dataset
from facealign.errors import FacealignError, MissingLibraryError, UsageError
from facealign.pipeline.bench import bench_stages, run_bench
from facealign.pipeline.bench_candidates import BenchRequest
from facealign.pipeline.evaluate import EVALUATE_STAGES, EvaluationRequest, evaluate_bundle
from facealign.pipeline.evaluation_result import Evaluation
from facealign.pipeline.report_page import check_page_libraries, report_page

__all__ = ["bench"]

_RESULT, _REPORT = "bench.json", "report.html"
_WRITE = "write"
_PIPE_WIDTH = 200  # nobody wraps what a program reads
_SAMPLES = ("forward_samples_ms", "end_to_end_samples_ms")


def bench(  # noqa: PLR0913  # typer makes an option of each
    bundle: BundleArgument,
    engine: Annotated[
        str | None,
        typer.Option(
            metavar="NAME,...",
            help="Engines, such as onnxruntime,tensorrt,pytorch.",
            show_default="all that work here",
        ),
    ] = None,
    precision: Annotated[
        str | None,
        typer.Option(
            metavar="NAME,...",
            help="Graphs, such as fp32,int8-cpu.",
            show_default="all that an engine takes",
        ),
    ] = None,
    checkpoint: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Also time PyTorch, with this checkpoint."),
    ] = None,
    batch: Annotated[
        str | None,
        typer.Option(
            metavar="N,...", help="Crops of a run.", show_default="1 and the bundle's most"
        ),
    ] = None,
    seconds: Annotated[
        float, typer.Option(metavar="SECONDS", help="Time for all turns together.")
    ] = 12.0,
    *,
    threads: Annotated[
        int | None,
        typer.Option(
            metavar="N", help="Threads of one run.", show_default="OMP_NUM_THREADS, or one per core"
        ),
    ] = None,
    rate: Annotated[
        float | None,
        typer.Option(metavar="FPS", help="Also run at so many frames a second, and count misses."),
    ] = None,
    faces: Annotated[int, typer.Option(metavar="N", help="Faces of a frame at that rate.")] = 1,
    dataset: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Also evaluate on a data set, as `facealign eval` does, for the report.",
        ),
    ] = None,
    output: Annotated[
        Path,
        typer.Option("-o", "--output", metavar="DIR", help=f"Folder for {_RESULT} and {_REPORT}."),
    ] = Path("bench"),
    as_json: JsonOption = False,
) -> None:
    """Measure how fast the graphs of a bundle run here.

    Candidates take turns, each in a process of its own, and are compared by ratios with intervals.
    Says so where the machine was too noisy to compare. FP32 in ONNX Runtime is what landmarks are
    compared with.
    """
    request = BenchRequest(
        bundle=bundle,
        engines=_names(engine, "--engine onnxruntime,tensorrt"),
        precisions=_names(precision, "--precision fp32,int8"),
        batches=_numbers(batch),
        checkpoint=checkpoint,
        seconds=seconds,
        threads=threads,
        frames_per_s=rate,
        faces_per_frame=faces,
    )
    evaluate_stages = EVALUATE_STAGES if dataset else ()
    progress = ConsoleProgress(stages=(*bench_stages(request), *evaluate_stages, _WRITE))
    check_writable(output / _RESULT)  # before a minute of work depends on it
    if dataset is not None:  # likewise
        check_page_libraries()
        read_dataset(dataset)
    result = run_bench(request, progress)
    with _kept_if_it_fails(result, output):
        evaluation = _evaluation(bundle, dataset, progress)
        with progress.stage(_WRITE) as stage:
            files, note = _files(result, bundle, evaluation)
            written = {output / name: data for name, data in files.items()}
            write_files(written)
            stage.say(", ".join(files))
    if as_json:
        print_json({"code": 0, **_facts(result), "written": [str(path) for path in written]})
        return
    print_result(bench_text(result, width=_width()))
    for path in written:
        say("wrote", str(path), style="dim")
    if note:
        say("note", note, style="dim")


@contextmanager
def _kept_if_it_fails(result: BenchResult, output: Path) -> Iterator[None]:
    """Write what was measured where the data set or the page fails: it took a minute."""
    try:
        yield
    except FacealignError:
        write_files({output / _RESULT: _json(result)})
        raise


def _json(result: BenchResult) -> bytes:
    return msgspec.json.format(msgspec.json.encode(result), indent=1) + b"\n"


def _evaluation(bundle: Path, dataset: Path | None, progress: ConsoleProgress) -> Evaluation | None:
    if dataset is None:
        return None
    return evaluate_bundle(EvaluationRequest(bundle=bundle, dataset=dataset), progress)


def _files(
    result: BenchResult, bundle: Path, evaluation: Evaluation | None
) -> tuple[dict[str, bytes], str]:
    """Return what is to be written by name, and why there is no report, if there is none."""
    files = {_RESULT: _json(result)}
    command = shlex.join(["facealign", *sys.argv[1:]])
    try:
        page = report_page(result, read_bundle(bundle), command=command, evaluation=evaluation)
    except MissingLibraryError as error:
        return files, f"no {_REPORT}: {error}"
    return {**files, _REPORT: page}, ""


def _facts(result: BenchResult) -> dict[str, Any]:
    """Return the result without the single times, which the file has."""
    facts: dict[str, Any] = msgspec.to_builtins(result)
    for candidate in facts["candidates"]:
        for name in _SAMPLES:
            candidate.pop(name)
    return facts


def _names(text: str | None, example: str) -> tuple[str, ...]:
    """Return the names of a list with commas.

    Raises:
        UsageError: If one is empty.
    """
    if text is None:
        return ()
    names = tuple(part.strip() for part in text.split(","))
    if not all(names):
        raise UsageError(f"{text!r} is not NAME,NAME; pass for example `{example}`")
    return names


def _numbers(text: str | None) -> tuple[int, ...]:
    """Return the batch sizes of a list with commas.

    Raises:
        UsageError: If one is no whole number.
    """
    names = _names(text, "--batch 1,4")
    if not all(map(str.isdecimal, names)):
        raise UsageError(f"batch {text!r} is not N,N; pass for example `--batch 1,4`")
    return tuple(map(int, names))


def _width() -> int:
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else _PIPE_WIDTH
