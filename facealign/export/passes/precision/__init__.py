"""FP16 as a graph says it: typed initializers and Casts, with islands of FP32."""

from __future__ import annotations

from collections.abc import Collection

import onnx_ir as ir
from onnx_ir.passes import Sequential
from onnx_ir.passes import common as library

from facealign.export.passes.precision.assignment import GridSampleTypes, PrecisionRules
from facealign.export.passes.precision.half_precision_pass import HalfPrecisionPass

__all__ = ["half_precision"]


def half_precision(
    model: ir.Model,
    *,
    keep: Collection[str] = (),
    only: Collection[str] | None = None,
    grid_sample: GridSampleTypes = "mixed",
) -> ir.Model:
    """Return a typed FP16 graph of an FP32 graph, which stays as it is.

    FP32 remain the picture up to its first layer, coordinates (see `islands`), constants that FP16
    does not hold (see `constant_findings`) and operators that the standard has not in FP16.
    LayerNormalization and Softmax stay one node each, in FP16. The former accumulates in FP32 by
    its `stash_type`. With FP32 around the latter the 33 of SLPT need 99 Casts more, which hide
    attention from an engine that fuses it, and landmarks are as far off (p99 0.554 px both ways).

    Args:
        model: A graph as `simplify` and `finish_graph` give it, shapes and types inferred.
        keep: Names of values that stay FP32, such as those that `audit_ranges` found.
        only: Names of values; a node that gives none of them stays FP32. To find out what moves the
            landmarks, see `deviation_by_node`.
        grid_sample: ``mixed`` samples an FP16 map at FP32 positions. The standard and ONNX Runtime
            allow it, and it needs no Cast; TensorRT was not asked. ``fp32`` casts the map up.
            ``fp16`` casts the positions down, which moves samples by up to 0.008 px of a map of 64
            px (p99 of SLPT 0.595 px instead of 0.554); it is for engines that want one type
            (PyTorch), or get FP32 sampling in an FP16 network wrong (pytorch/TensorRT#4074, from
            TensorRT 10.14.1.48 on).

    Returns:
        The inputs and outputs, names, opset and metadata of `model`; no inner value changes its
        name, its type may.
    """
    passes = Sequential(
        library.LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0),
        HalfPrecisionPass(PrecisionRules(keep, only, grid_sample)),
    )
    return passes(model.clone()).model
