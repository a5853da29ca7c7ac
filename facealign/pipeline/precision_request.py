"""Which precisions to make, by what, and whether that can be done."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from facealign.calibration import observer_names
from facealign.datasets import read_dataset
from facealign.errors import UsageError
from facealign.pipeline.faces import FaceRequest
from facealign.pipeline.modelopt import check_modelopt_request

__all__ = ["PRECISIONS", "PrecisionRequest", "check_precisions"]

PRECISIONS = ("fp32", "fp16", "int8")


@dataclass(frozen=True, slots=True)
class PrecisionRequest:
    """What beside FP32 to make.

    Attributes:
        precisions: Of `PRECISIONS`.
        is_required: Whether a precision that costs too much is an error, or only left out.
        faces: To calibrate and judge by; INT8 needs them.
        budget_points: Largest change of NME by INT8, in points of percent; None for the default.
        observer: How ranges are chosen.
        rest: Precision of what is not INT8 in an INT8 graph.
        quantizer: Who makes INT8 for TensorRT; that for ONNX Runtime is always ours.
    """

    precisions: tuple[str, ...] = ("fp32",)
    is_required: bool = True
    faces: FaceRequest | None = None
    budget_points: float | None = None
    observer: str = "entropy"
    rest: Literal["fp32", "fp16"] = "fp32"
    quantizer: Literal["facealign", "modelopt"] = "facealign"

    @property
    def stages(self) -> tuple[str, ...]:
        """Names of the stages that this takes."""
        return tuple(self._stages())

    def _stages(self) -> Iterator[str]:
        if self.faces and set(self.precisions) > {"fp32"}:
            yield "faces"
        if "fp16" in self.precisions:
            yield "fp16"
        if "int8" in self.precisions:
            yield from ("calibrate", "int8")


def check_precisions(request: PrecisionRequest) -> None:
    """Check what can be checked before a minute of work depends on it.

    Raises:
        UsageError: If a precision or an observer is unknown, FP32 is missing, INT8 has nothing to
            calibrate on or to be put into, the budget is no number of 0 or more, or ModelOpt cannot
            do what is asked for.
        DatasetError: If the folder of faces cannot be used.
        MissingLibraryError: If ModelOpt is asked for and not installed.
    """
    unknown = [name for name in request.precisions if name not in PRECISIONS]
    if unknown:
        known = ", ".join(PRECISIONS)
        raise UsageError(f"there is no precision {unknown[0]!r}; choose from {known}")
    if "fp32" not in request.precisions:
        raise UsageError("FP32 is what the others are judged by; pass `--precision fp32,...`")
    if "int8" in request.precisions and request.faces is None:
        raise UsageError(
            "INT8 needs faces to calibrate on; pass `--calibration DIR`, a folder in the format of "
            "WFLW, 300W or COFW, or of images with boxes.csv"
        )
    if request.observer not in observer_names():
        known = ", ".join(observer_names())
        raise UsageError(f"there is no observer {request.observer!r}; choose from {known}")
    if request.rest == "fp16" and "int8" in request.precisions and "fp16" not in request.precisions:
        raise UsageError(
            "`--int8-rest fp16` puts INT8 into the FP16 graph; pass `--precision fp32,fp16,int8`, "
            "or leave it out"
        )
    if request.budget_points is not None and not 0 <= request.budget_points < float("inf"):
        raise UsageError(f"`--budget-nme` must be 0 or more, got {request.budget_points}")
    if request.quantizer == "modelopt" and "int8" in request.precisions:
        check_modelopt_request(observer=request.observer, rest=request.rest)
    if request.faces is not None and "faces" in request.stages:
        read_dataset(request.faces.folder)
