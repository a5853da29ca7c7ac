"""The words that the compiler and the runtime share; standard library and numpy only."""

from __future__ import annotations

from facealign.spec.crop import CropSpec, SquareRule
from facealign.spec.landmarks import Landmarks
from facealign.spec.scheme import WFLW98, Scheme, scheme_by_count, scheme_by_name
from facealign.spec.tensor import BATCH, TensorSpec, contract_input, contract_landmarks

__all__ = [
    "BATCH",
    "WFLW98",
    "CropSpec",
    "Landmarks",
    "Scheme",
    "SquareRule",
    "TensorSpec",
    "contract_input",
    "contract_landmarks",
    "scheme_by_count",
    "scheme_by_name",
]
