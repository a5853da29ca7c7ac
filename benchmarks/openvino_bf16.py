"""BF16 of OpenVINO, everywhere or with the FP32 islands of our FP16 graphs; for its benchmark."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree as ET

import ml_dtypes
import numpy as np
import onnx_ir as ir
import openvino
from numpy.typing import NDArray

from facealign.export.graph import bytes_from_graph, graph_from_bytes
from facealign.export.passes.precision import half_precision
from facealign.export.passes.precision.assignment import assign_precision
from facealign.export.passes.precision.every_rounding import with_every_rounding

__all__ = ["bf16_as_typed", "bf16_runner", "has_bf16"]

# What OpenVINO 2026.4 reads on a node when it lowers precision: it asks about FP16 for BF16 too.
# `dynamic:bf16` changes nothing.
_STAYS = {"name": "DisablePrecisionConversion", "version": "0", "value": "dynamic:f16"}
_NOT_COMPUTED = ("Parameter", "Result", "Const")


def has_bf16() -> bool:
    """Return whether OpenVINO says that this CPU computes in BF16."""
    return "BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


def bf16_runner(
    graph: bytes, *, size_px: int, threads: int, islands: bool
) -> tuple[Callable[[NDArray[np.uint8]], NDArray[np.float32]], dict[str, int]]:
    """Return what gives ``(1, N, 2)`` landmarks of one crop in BF16, and counts of nodes.

    Args:
        graph: FP32, of ours.
        size_px: S.
        threads: Of inference.
        islands: Whether nodes that are FP32 in our FP16 graph stay FP32.

    GridSample is marked too, as it would get its grid in BF16. What OpenVINO makes a fully
    connected layer of loses its mark and runs in BF16 all the same: such nodes are counted.
    """
    core = openvino.Core()
    model = core.read_model(model=graph, weights=b"")
    model.reshape({"image": [1, size_px, size_px, 3]})
    kept = _kept_names(model, _half_values(graph)) if islands else set()
    if islands:
        model = _with_fp32(model, kept)
    options = {
        "INFERENCE_NUM_THREADS": threads,
        "PERFORMANCE_HINT": "LATENCY",
        "NUM_STREAMS": 1,
        "INFERENCE_PRECISION_HINT": "bf16",
        "ENABLE_CPU_PINNING": False,
    }
    compiled = core.compile_model(model, "CPU", options)
    counts = _counts(compiled, kept)
    request = compiled.create_infer_request()
    return lambda crop: np.array(request.infer({"image": crop})["landmarks"]), counts


def bf16_as_typed(graph: bytes) -> bytes:
    """Return an FP32 graph that rounds to BF16 wherever our FP16 graph would round to FP16.

    So its islands are FP32 beyond doubt, and products add up in FP32. It is for judging only.

    Args:
        graph: FP32, of ours.
    """
    exact = graph_from_bytes(graph)
    typed = half_precision(exact)
    half = [name for name, v in typed.graph.initializers.items() if v.dtype == ir.DataType.FLOAT16]
    rounded = with_every_rounding(typed)
    for name in half:  # from the FP32 weights, where they kept their names
        value = rounded.graph.initializers[name]
        source = exact.graph.initializers.get(name, value).const_value
        array = np.asarray(source.numpy() if source is not None else 0)
        narrow = array.astype(ml_dtypes.bfloat16).astype(np.float32)
        value.const_value = ir.tensor(narrow, name=name)
    for node in rounded.graph:
        if node.op_type == "Cast" and node.outputs[0].dtype == ir.DataType.FLOAT16:
            node.attributes["to"] = ir.AttrInt64("to", int(ir.DataType.BFLOAT16))
            node.outputs[0].type = ir.TensorType(ir.DataType.BFLOAT16)
    return bytes_from_graph(rounded)


def _half_values(graph: bytes) -> set[str]:
    assignment = assign_precision(graph_from_bytes(graph).graph)
    return {str(value.name) for node in assignment.half for value in node.outputs}


def _kept_names(model: openvino.Model, half: set[str]) -> set[str]:
    """Return the nodes of OpenVINO that stand for FP32 nodes of ours.

    One node of ONNX may become several, of which only the last has its name: those before it are
    what their users are.
    """
    kept: dict[str, bool] = {}
    for node in reversed(model.get_ordered_ops()):
        names = set().union(*(output.get_names() for output in node.outputs()))
        users = [put.get_node() for out in node.outputs() for put in out.get_target_inputs()]
        is_grid_sample = node.get_type_name() == "GridSample"
        of_users = all(kept.get(user.get_friendly_name(), True) for user in users)
        kept[node.get_friendly_name()] = is_grid_sample or (not names & half if names else of_users)
    return {
        node.get_friendly_name()
        for node in model.get_ops()
        if kept[node.get_friendly_name()] and node.get_type_name() not in _NOT_COMPUTED
    }


def _with_fp32(model: openvino.Model, kept: set[str]) -> openvino.Model:
    """Return the model with nodes marked; from Python this goes by its XML only."""
    with tempfile.TemporaryDirectory() as folder:
        text, weights = Path(folder) / "model.xml", Path(folder) / "model.bin"
        openvino.serialize(model, text, weights)
        tree = ET.parse(text)  # noqa: S314  # written the line above
        for layer in tree.getroot().iter("layer"):
            if layer.get("name") in kept:
                info = layer.find("rt_info")
                info = ET.SubElement(layer, "rt_info") if info is None else info
                ET.SubElement(info, "attribute", _STAYS)
        marked = ET.tostring(tree.getroot())
        data = np.frombuffer(weights.read_bytes(), np.uint8)
    tensor = openvino.Tensor(data.reshape(1, -1))
    return openvino.Core().read_model(model=marked, weights=tensor)


def _counts(compiled: openvino.CompiledModel, kept: set[str]) -> dict[str, int]:
    """Return how many nodes run in BF16, how many were to stay FP32, and which of them did not."""
    halves = [node for node in compiled.get_runtime_model().get_ops() if _is_bf16(node)]
    names = {node.get_friendly_name() for node in halves}
    return {
        "nodes in bf16": len(halves),
        "marked to stay in fp32": len(kept),
        "of them in bf16": len(kept & names),
    }


def _is_bf16(node: openvino.Node) -> bool:
    info = node.get_rt_info()
    return "runtimePrecision" in info and info["runtimePrecision"].astype(str) == "bf16"
