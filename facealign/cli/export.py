"""``facealign export``: checkpoint to verified bundle."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from facealign.cli.console import ConsoleProgress, print_json, print_result, say
from facealign.cli.options import (
    AssetOption,
    CheckpointArgument,
    FamilyOption,
    GraphConvolutionOption,
    JsonOption,
    PatchCropOption,
    SetOption,
    TargetOption,
    settings_from_arguments,
)
from facealign.cli.output_files import check_writable
from facealign.cli.precision_options import (
    BudgetOption,
    CalibrationFacesOption,
    CalibrationOption,
    CropsFromOption,
    Int8RestOption,
    ObserverOption,
    PrecisionOption,
    QuantizerOption,
    face_request,
    precision_request,
)
from facealign.cli.serve_config import ServeOption, result_of_serving, say_next
from facealign.models.source_file import checkpoint_stem
from facealign.pipeline.serve import check_serving_folder, serve_bundle, serving_folder

if TYPE_CHECKING:  # torch comes with it, and a device that only runs bundles has none
    from facealign.pipeline.compile import Compiled

__all__ = ["export"]


def export(  # noqa: PLR0913, PLR0917  # typer makes an option of each
    checkpoint: CheckpointArgument,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            metavar="DIR",
            help="Bundle folder. An older bundle there is replaced.",
            show_default="CHECKPOINT.bundle, here",
        ),
    ] = None,
    asset: AssetOption = [],  # noqa: B006  # typer reads the default, nobody writes it
    family: FamilyOption = None,
    setting: SetOption = [],  # noqa: B006  # likewise
    precision: PrecisionOption = None,
    calibration: CalibrationOption = None,
    crops_from: CropsFromOption = "box",
    faces: CalibrationFacesOption = 256,
    budget_nme: BudgetOption = None,
    observer: ObserverOption = "entropy",
    int8_rest: Int8RestOption = "fp32",
    quantizer: QuantizerOption = "facealign",
    target: TargetOption = [],  # noqa: B006  # likewise
    patch_crop: PatchCropOption = "standard",
    graph_convolution: GraphConvolutionOption = "standard",
    serve: ServeOption = None,
    *,
    as_json: JsonOption = False,
) -> None:
    """Compile a checkpoint into a verified bundle.

    The graph is compared with the checkpoint's module on many crops, in pixels; a bundle is written
    only if it passes, and then whole. FP16 and INT8 are judged on faces that were not calibrated
    on; one that costs more accuracy than it may is refused. With `--target`, so is a bundle of
    which that target could not take a graph. Prints the bundle's path.
    """
    from facealign.pipeline.compile import CompileRequest, compile_checkpoint
    from facealign.pipeline.targets import FormRequest

    folder = output or Path(checkpoint_stem(checkpoint.name) + ".bundle")
    request = CompileRequest(
        checkpoint=checkpoint,
        folder=folder,
        assets=tuple(asset),
        family=family,
        settings=settings_from_arguments(setting),
        precision=precision_request(
            precision,
            face_request(calibration, crops_from=crops_from, count=faces),
            budget_points=budget_nme,
            observer=observer,
            rest=int8_rest,
            quantizer=quantizer,
        ),
        form=FormRequest(tuple(target), patch_crop, graph_convolution),
    )
    check_writable(folder)
    if serve is not None:
        check_serving_folder(serving_folder(folder, serve))
    compiled = compile_checkpoint(request, ConsoleProgress(stages=request.stages))
    served = serve_bundle(compiled.folder, serve) if serve is not None else None
    if as_json:
        print_json(_result(compiled) | ({"served": result_of_serving(served)} if served else {}))
        return
    print_result(str(compiled.folder))
    if served is not None:
        print_result(str(served.folder))
        say_next(served)
    bundle = shlex.quote(str(compiled.folder))
    say("next", f"facealign run {bundle} face.jpg --box x,y,w,h", style="dim")


def _result(compiled: Compiled) -> dict[str, object]:
    return {
        "code": 0,
        "bundle": str(compiled.folder),
        "operators": dict(compiled.operators),
        "manifest": msgspec.to_builtins(compiled.manifest),
    }
