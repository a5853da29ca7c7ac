"""INT8 by NVIDIA ModelOpt, judged and checked like our own."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from facealign.errors import GraphContractError, UsageError
from facealign.export.graph import finish_graph, node_name
from facealign.export.lint import check_contract
from facealign.export.modelopt import (
    OBSERVERS,
    check_modelopt,
    int8_by_modelopt,
    modelopt_version,
)
from facealign.export.passes.quantize import blocks_of
from facealign.export.passes.quantize.foreign import (
    matrices_off_axis,
    planned_nodes,
    quantized_products,
    with_pairs_at,
)
from facealign.export.tensorrt.rules import check_tensorrt_rules
from facealign.pipeline.judge import Judge
from facealign.pipeline.progress import Stage
from facealign.pipeline.reduce import search_int8
from facealign.pipeline.reduction import Reduction
from facealign.runtime.ort_engine import silent_sessions
from facealign.spec import BATCH, TensorSpec

__all__ = ["check_modelopt_request", "reduce_by_modelopt"]

# ModelOpt 0.47.0 scales the weight of every MatMul along this axis, also one on the left and one of
# three dimensions; sums over an axis with scales are no sums of integers.
_MATRIX_AXIS = 1
_PREFIX = "facealign."  # of what `finish_graph` writes


def check_modelopt_request(*, observer: str, rest: str) -> None:
    """Check what can be checked before a minute of work depends on it.

    Raises:
        UsageError: If ModelOpt has no such way to choose ranges, or its INT8 no such rest.
        MissingLibraryError: If ModelOpt is not installed.
    """
    if observer not in OBSERVERS:
        known = " or ".join(f"`--observer {name}`" for name in OBSERVERS)
        raise UsageError(f"ModelOpt has no observer {observer!r}; pass {known}")
    if rest != "fp32":
        raise UsageError(
            f"what is not INT8 in ModelOpt's graph stays FP32, got {rest!r}; leave out "
            "`--int8-rest`, as ModelOpt's own FP16 takes in coordinates"
        )
    check_modelopt()


def reduce_by_modelopt(
    graph: ir.Model,
    crops: NDArray[np.uint8],
    judge: Judge,
    *,
    observer: str,
    budget_points: float,
    stage: Stage,
) -> Reduction:
    """Return ModelOpt's graph with the largest share of INT8 that the budget allows.

    ModelOpt runs once and may quantise what our own plan does: by itself it takes in the layers
    that see the picture and those that give coordinates. Off blocks that cost too much its pairs
    are taken again.

    Args:
        graph: FP32, verified.
        crops: ``(K, S, S, 3)`` uint8 BGR, to calibrate on.
        judge: Of held-out crops.
        observer: Of `OBSERVERS`.
        budget_points: Largest change of NME.
        stage: Told what is measured.

    Raises:
        MissingLibraryError: If ModelOpt is not installed.
        BackendError: If ModelOpt fails.
        GraphContractError: If ONNX or TensorRT would refuse or misread what it makes.
    """
    maker = f"modelopt {modelopt_version()}"
    planned = planned_nodes(graph, leave_float=matrices_off_axis(graph, _MATRIX_AXIS))
    others = [node_name(node) for node in graph.graph if node_name(node) not in planned]
    with silent_sessions():
        made = int8_by_modelopt(graph, crops, leave_float=others, observer=observer)
    # Beside those it leaves float what it takes for a product with a vector.
    float_anyway = _products(graph) - quantized_products(made)
    blocks = blocks_of(graph, leave_float=float_anyway)
    nodes = {block.name: block.nodes for block in blocks}

    def build(left: tuple[str, ...]) -> ir.Model:
        in_float = {*float_anyway, *(node for name in left for node in nodes[name])}
        mended = with_pairs_at(made, planned_nodes(graph, leave_float=in_float))
        return _checked(mended, graph, maker)

    reduction = search_int8(build, blocks, judge, budget_points=budget_points, stage=stage)
    return replace(reduction, made_by=maker)


def _products(graph: ir.Model) -> frozenset[str]:
    return frozenset(node for block in blocks_of(graph) for node in block.nodes)


def _checked(made: ir.Model, full: ir.Model, maker: str) -> ir.Model:
    """Return a graph of ModelOpt in our form, if it keeps our rules.

    Raises:
        GraphContractError: With the words of the rules that it breaks.
    """
    facts = {key.removeprefix(_PREFIX): text for key, text in full.metadata_props.items()}
    try:
        check_tensorrt_rules(made)  # before inference, which would give other words for them
        finished = finish_graph(made, metadata={**facts, "quantizer": maker})
        image, *outputs = _specs([*full.graph.inputs, *full.graph.outputs])
        check_contract(finished, image, outputs, precision="int8")
    except GraphContractError as error:
        raise GraphContractError(
            f"what {maker} made may not ship: {error}; leave out `--quantizer modelopt`"
        ) from error
    return finished


def _specs(values: Collection[ir.Value]) -> Sequence[TensorSpec]:
    """Return inputs and outputs of a verified graph as the contract has them."""
    return [
        TensorSpec(
            str(value.name),
            "uint8" if value.dtype == ir.DataType.UINT8 else "float32",
            tuple(size if isinstance(size, int) else BATCH for size in value.shape or ()),
        )
        for value in values
    ]
