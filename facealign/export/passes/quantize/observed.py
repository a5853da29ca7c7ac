"""Which tensors a calibration has to look at."""

from __future__ import annotations

import onnx_ir as ir

from facealign.export.passes.quantize.cpu import cpu_uses
from facealign.export.passes.quantize.plan import check_float, plan_products
from facealign.export.passes.quantize.tensorrt import quantized_uses

__all__ = ["tensors_to_observe"]


def tensors_to_observe(model: ir.Model) -> tuple[str, ...]:
    """Return the names of all tensors whose range `quantize` or `for_cpu` may ask for, sorted.

    Whatever stays float later, and whether group convolutions are quantised, these are enough.

    Args:
        model: A float graph with inferred shapes.

    Raises:
        GraphContractError: If the graph is quantised already.
    """
    check_float(model)
    plan = plan_products(model, grouped=True)
    values = [*quantized_uses(plan), *cpu_uses(plan)]
    return tuple(sorted({str(value.name) for value in values}))
