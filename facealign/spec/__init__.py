"""The words that the compiler and the runtime share; standard library and numpy only."""

from __future__ import annotations

from facealign.spec.crop import CropSpec, SquareRule
from facealign.spec.landmarks import Landmarks
from facealign.spec.scheme import (
    AFLW19,
    COFW29,
    FACE68,
    WFLW98,
    Scheme,
    scheme_by_count,
    scheme_by_name,
)
from facealign.spec.tensor import BATCH, ExtraOutput, TensorSpec, contract_input, contract_outputs

__all__ = [
    "AFLW19",
    "BATCH",
    "COFW29",
    "FACE68",
    "WFLW98",
    "CropSpec",
    "ExtraOutput",
    "Landmarks",
    "Scheme",
    "SquareRule",
    "TensorSpec",
    "contract_input",
    "contract_outputs",
    "scheme_by_count",
    "scheme_by_name",
]
