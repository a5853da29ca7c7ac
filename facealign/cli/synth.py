"""``facealign synth``: a synthetic WFLW."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from facealign.cli.console import ConsoleProgress, print_json, print_result
from facealign.cli.options import JsonOption
from facealign.synth import write_dataset

__all__ = ["synth"]


def synth(
    folder: Annotated[
        Path,
        typer.Argument(
            metavar="DIR", help="Folder for the data set: new, or empty.", show_default=False
        ),
    ],
    count: Annotated[
        int, typer.Option(metavar="N", help="Number of faces; of every five, one is for the test.")
    ] = 1000,
    seed: Annotated[int, typer.Option(metavar="S", help="The same seed draws the same faces.")] = 0,
    size: Annotated[
        int, typer.Option(metavar="PX", help="Side of every picture, 64 to 1024.")
    ] = 256,
    *,
    as_json: JsonOption = False,
) -> None:
    """Draw a data set of faces in the format of WFLW.

    Rendered heads with 98 landmarks, boxes and the six attributes, in WFLW_images and
    WFLW_annotations, for tests, demos and calibration without a download. A network that is to see
    people is trained and judged on people. Prints the folder.
    """
    progress = ConsoleProgress(stages=("draw",))
    with progress.stage("draw") as stage:
        counts = write_dataset(
            folder,
            count=count,
            seed=seed,
            size_px=size,
            on_face=lambda done: stage.advance(done, total=count),
        )
        stage.say(f"{counts.train} faces to train on, {counts.test} to test on")
    if as_json:
        print_json({"code": 0, "folder": str(folder), "seed": seed, "size": size, **asdict(counts)})
    else:
        print_result(str(folder))
