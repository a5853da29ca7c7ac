"""Options of ``facealign export`` for FP16 and INT8."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:  # torch comes with it, and a device that only runs bundles has none
    from facealign.pipeline.faces import FaceRequest
    from facealign.pipeline.precision_request import PrecisionRequest

__all__ = [
    "BudgetOption",
    "CalibrationFacesOption",
    "CalibrationOption",
    "CropsFromOption",
    "Int8RestOption",
    "ObserverOption",
    "PrecisionOption",
    "QuantizerOption",
    "face_request",
    "precision_request",
]

_ALL = "fp32,fp16,int8"

PrecisionOption = Annotated[
    str | None,
    typer.Option(
        metavar="NAME,...",
        help=f"Precisions, such as {_ALL}. One that is named and costs too much is an error.",
        show_default=f"fp32; with --calibration {_ALL}, of which what costs too much is left out",
    ),
]
CalibrationOption = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR",
        help="Faces to calibrate on and, others of them, to judge by: a folder of WFLW, 300W or "
        "COFW, or of images with boxes.csv.",
        show_default=False,
    ),
]
CropsFromOption = Annotated[
    Literal["box", "landmarks"],
    typer.Option(help="What these faces are cut out by."),
]
CalibrationFacesOption = Annotated[
    int,
    typer.Option(
        "--faces", metavar="N", min=10, help="Most faces to calibrate on, and to judge by."
    ),
]
BudgetOption = Annotated[
    float | None,
    typer.Option(
        metavar="POINTS",
        help="Most that INT8 may add to the NME, in points of percent.",
        show_default="0.1; for faces without landmarks 0.5, of the distance to FP32",
    ),
]
ObserverOption = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        help="How the range of a tensor is chosen from its values: entropy, min_max, mse or "
        "percentile.",
    ),
]
Int8RestOption = Annotated[
    Literal["fp32", "fp16"],
    typer.Option(help="Precision of what is not INT8 in the INT8 graph for TensorRT."),
]
QuantizerOption = Annotated[
    Literal["facealign", "modelopt"],
    typer.Option(help="Who makes INT8 for TensorRT; modelopt is an extra of its own."),
]


def precision_request(
    names: str | None,
    faces: FaceRequest | None,
    *,
    budget_points: float | None,
    observer: str,
    rest: Literal["fp32", "fp16"],
    quantizer: Literal["facealign", "modelopt"] = "facealign",
) -> PrecisionRequest:
    """Return what the options ask for."""
    from facealign.pipeline.precision_request import PrecisionRequest

    default = "fp32" if faces is None else _ALL
    return PrecisionRequest(
        precisions=tuple(name.strip() for name in (names or default).split(",")),
        is_required=names is not None,
        faces=faces,
        budget_points=budget_points,
        observer=observer,
        rest=rest,
        quantizer=quantizer,
    )


def face_request(
    folder: Path | None, *, crops_from: Literal["box", "landmarks"], count: int
) -> FaceRequest | None:
    """Return which faces to calibrate on and to judge by, if there are any."""
    from facealign.pipeline.faces import FaceRequest

    if folder is None:
        return None
    return FaceRequest(folder, crops_from=crops_from, calibration_count=count, held_out_count=count)
