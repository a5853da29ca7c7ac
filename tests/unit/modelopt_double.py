"""A double of ModelOpt, as CI has none, and a network whose graph is small and has every trap."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from facealign.export.graph import (
    bytes_from_graph,
    finish_graph,
    node_name,
    read_graph,
)
from facealign.export.passes.quantize import quantize, tensors_to_observe

__all__ = ["SIZE_PX", "VERSION", "ModeloptDouble", "install_double", "small_graph"]

SIZE_PX = 16
VERSION = "0.0.double"
_RANGE = 8.0
# c1 and c2 are residual; what c2 gives is sampled and read by c3; the Gemms give coordinates.
_TEXT = """
<ir_version: 9, opset_import: ["": 19]>
small (uint8[B,16,16,3] image, float[8,3,3,3] w0, float[16,8,3,3] w1, float[16,16,3,3] w2,
       float[16] wb, float[16,16,1,1] w3, float[16,8] wg, float[80,196] wl)
  => (float[B,98,2] landmarks)
<float k = {0.004}, int64[4] to_grid = {-1, 2, 2, 2}, int64[3] to_points = {-1, 98, 2}>
{ x = Cast<to = 1>(image)
  y = Mul(x, k)
  p = Transpose<perm = [0, 3, 1, 2]>(y)
  c0 = Conv<pads = [1,1,1,1], strides = [2,2]>(p, w0)
  r0 = Relu(c0)
  c1 = Conv<pads = [1,1,1,1]>(r0, w1)
  r1 = Relu(c1)
  c2 = Conv<pads = [1,1,1,1]>(r1, w2, wb)
  s = Add(c2, r1)
  r2 = Relu(s)
  m = GlobalAveragePool(r2)
  f = Flatten(m)
  coarse = Gemm(f, wg)
  grid = Reshape(coarse, to_grid)
  g = GridSample<mode = "bilinear", align_corners = 0>(r2, grid)
  gf = Flatten(g)
  c3 = Conv(r2, w3)
  n = GlobalAveragePool(c3)
  nf = Flatten(n)
  all = Concat<axis = 1>(gf, nf)
  flat = Gemm(all, wl)
  landmarks = Reshape(flat, to_points) }
"""


def small_graph() -> ir.Model:
    """Return an FP32 graph as `compile_checkpoint` has it: 98 landmarks of crops of 16 px."""
    proto = onnx.parser.parse_model(_TEXT)
    rng = np.random.default_rng(5)
    weights = [value for value in proto.graph.input if value.name != "image"]
    for value in weights:
        shape = [dim.dim_value for dim in value.type.tensor_type.shape.dim]
        numbers = (rng.normal(size=shape) / np.sqrt(np.prod(shape[1:]) + 1)).astype(np.float32)
        proto.graph.initializer.append(onnx.numpy_helper.from_array(numbers, value.name))
        proto.graph.input.remove(value)
    facts = {"facealign_version": "0.1.0", "family": "small"}
    return finish_graph(ir.from_proto(proto), metadata=facts)


class ModeloptDouble:
    """Stands for ``modelopt.onnx.quantization``: pairs on tensors, for all their readers.

    Attributes:
        settings: What it was called with last.
        names: Of the nodes that it was given.
        spoil: Changes the graph that it writes.
    """

    def __init__(self, spoil: Callable[[ir.Model], object] = lambda _: None) -> None:
        self.settings: dict[str, object] = {}
        self.names: list[str | None] = []
        self.spoil = spoil

    def quantize(self, onnx_path: str, **settings: object) -> None:
        """Write a graph with pairs at all that is not excluded."""
        sys.stdout.write("ModelOpt says hello")
        sys.stderr.write("100%")
        self.settings = settings
        model = read_graph(Path(onnx_path))
        self.names = [node.name for node in model.graph]
        ranges = dict.fromkeys(tensors_to_observe(model), _RANGE)
        made = quantize(model, ranges, leave_float=self.excluded(model))
        _pairs_for_all_readers(made)
        self.spoil(made)
        Path(str(settings["output_path"])).write_bytes(bytes_from_graph(made))

    def excluded(self, model: ir.Model) -> set[str]:
        """Return the nodes that the patterns name, matched as ModelOpt does."""
        patterns = self.settings["nodes_to_exclude"]
        assert isinstance(patterns, list)
        names = {node_name(node) for node in model.graph}
        return {name for name in names for each in patterns if re.match(each, name)}


def install_double(monkeypatch: pytest.MonkeyPatch, double: ModeloptDouble) -> None:
    """Let ``modelopt.onnx.quantization`` be the double."""
    root, middle, leaf = (
        ModuleType(name) for name in ("modelopt", "modelopt.onnx", "modelopt.onnx.quantization")
    )
    root.__dict__["__version__"] = VERSION
    leaf.__dict__["quantize"] = double.quantize
    for module in (root, middle, leaf):
        monkeypatch.setitem(sys.modules, module.__name__, module)


def _pairs_for_all_readers(model: ir.Model) -> None:
    for node in [each for each in model.graph if each.op_type == "DequantizeLinear"]:
        (quantized,) = node.inputs[:1]
        assert quantized is not None
        before = quantized.producer()
        assert before is not None
        value = before.inputs[0]
        assert value is not None
        for use in [each for each in value.uses() if each.node is not before]:
            use.node.replace_input_with(use.idx, node.outputs[0])
    model.graph.sort()
