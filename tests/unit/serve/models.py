"""Models for servers, with made-up files."""

from __future__ import annotations

import dataclasses

from facealign.serve import ServedModel
from facealign.spec import CropSpec, SquareRule, contract_input, contract_outputs

__all__ = ["served_model"]

_GRAPH = ServedModel(
    name="demo_fp32",
    backend="onnxruntime",
    data=b"graph",
    inputs=(contract_input(256),),
    outputs=contract_outputs(98, ("pose", "score")),
    max_batch=8,
    crop=CropSpec(256, SquareRule(1.15, "integer"), SquareRule(1.2, "exact")),
    scheme="wflw98",
)


def served_model(**changes: object) -> ServedModel:
    """Return the model of a graph of 98 landmarks with pose and score, 8 crops of 256 px a run."""
    return dataclasses.replace(_GRAPH, **changes)  # type: ignore[arg-type]  # any field
