"""Put QuantizeLinear and DequantizeLinear into a graph, the same way for every flavour."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from facealign.errors import CalibrationError
from facealign.export.layers import Product

__all__ = ["SIGNED_LEVELS", "Code", "Inserter", "Use", "WeightForm", "activation_scale"]

Use = tuple[ir.Node, int]
"""A node and the position of one of its inputs."""

_FLOAT_TYPES = (ir.DataType.FLOAT, ir.DataType.FLOAT16)
SIGNED_LEVELS = 127  # symmetric: -128 stays unused


@dataclass(frozen=True, slots=True)
class Code:
    """How numbers become integers: ``round(x / scale) + zero_point``."""

    scale: NDArray[np.floating]
    zero_point: NDArray[np.int8] | NDArray[np.uint8]


def activation_scale(
    value: ir.Value, ranges: Mapping[str, float], *, levels: int = SIGNED_LEVELS
) -> NDArray[np.floating]:
    """Return the scale ``()`` that makes the largest magnitude of a tensor `levels`, in its type.

    A Cast between FP32 and FP16, which the graph that was calibrated need not have, keeps a range.

    Raises:
        CalibrationError: If there is no range for it, or one that is not finite.
    """
    amax = ranges.get(_observed_name(value, ranges))
    if amax is None:
        raise CalibrationError(
            f"there is no range for `{value.name}`; calibrate on this graph, and observe every "
            "tensor that `tensors_to_observe` names"
        )
    if not (np.isfinite(amax) and amax >= 0):
        raise CalibrationError(f"the range of `{value.name}` is {amax}; calibrate again")
    return _scales(np.array(amax), levels, value.dtype)


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightForm:
    """How weights are quantised, always symmetrically.

    Attributes:
        levels: The integer of the largest magnitude.
        stored: Keep INT8 numbers and a DequantizeLinear, else the float ones and a pair.
    """

    levels: int = SIGNED_LEVELS
    stored: bool


class Inserter:
    """Puts pairs into one graph; what several nodes share is made once."""

    def __init__(self, graph: ir.Graph, weight_form: WeightForm) -> None:
        self._graph = graph
        self._form = weight_form
        self._weights: dict[tuple[ir.Value, int], ir.Value] = {}

    def add_pair(self, value: ir.Value, uses: Iterable[Use], code: Code) -> None:
        """Quantise `value` on its way to some consumers; others keep the float tensor."""
        scale, zero_point = self._add_code(f"{value.name}", code)
        quantized = self._node(
            "QuantizeLinear", value, (scale, zero_point), f"{value.name}.quantized"
        )
        dequantized = self._node(
            "DequantizeLinear",
            quantized.outputs[0],
            (scale, zero_point),
            f"{value.name}.dequantized",
        )
        self._type(quantized, value, zero_point.dtype)
        self._type(dequantized, value, value.dtype)
        producer = value.producer()
        if producer is None:
            self._graph.insert_before(self._graph[0], [quantized, dequantized])
        else:
            self._graph.insert_after(producer, [quantized, dequantized])
        for node, index in uses:
            node.replace_input_with(index, dequantized.outputs[0])

    def add_weight(self, product: Product) -> None:
        """Quantise the weight of a product, with one scale per output channel."""
        key = (product.weight, product.axis)
        if key not in self._weights:
            self._weights[key] = self._new_weight(product)
        product.node.replace_input_with(product.weight_index, self._weights[key])

    def _new_weight(self, product: Product) -> ir.Value:
        weight, axis = product.weight, product.axis
        numbers = _constant(weight)
        others = tuple(index for index in range(numbers.ndim) if index != axis)
        scale = _scales(np.abs(numbers).max(axis=others), self._form.levels, weight.dtype)
        code = Code(scale, np.zeros(scale.shape, np.int8))
        name = f"{weight.name}.axis{axis}"
        inputs = self._add_code(name, code)
        nodes = []
        if self._form.stored:
            shape = [-1 if index == axis else 1 for index in range(numbers.ndim)]
            steps = np.rint(numbers.astype(np.float32) / scale.astype(np.float32).reshape(shape))
            integers = np.clip(steps, -self._form.levels, self._form.levels).astype(np.int8)
            source = self._constant_value(f"{name}.quantized", integers)
        else:
            quantized = self._node("QuantizeLinear", weight, inputs, f"{name}.quantized", axis=axis)
            self._type(quantized, weight, ir.DataType.INT8)
            nodes, source = [quantized], quantized.outputs[0]
        dequantized = self._node(
            "DequantizeLinear", source, inputs, f"{name}.dequantized", axis=axis
        )
        self._type(dequantized, weight, weight.dtype)
        self._graph.insert_before(product.node, [*nodes, dequantized])
        return dequantized.outputs[0]

    def _add_code(self, name: str, code: Code) -> tuple[ir.Value, ir.Value]:
        """Return scale and zero point as initializers."""
        scale = self._constant_value(f"{name}.scale", code.scale)
        return scale, self._constant_value(f"{name}.zero_point", code.zero_point)

    def _constant_value(self, name: str, array: NDArray[np.generic]) -> ir.Value:
        tensor = ir.tensor(array, name=name)
        value = ir.Value(name=name, type=ir.TensorType(tensor.dtype), shape=ir.Shape(array.shape))
        value.const_value = tensor
        self._graph.initializers.add(value)
        return value

    @staticmethod
    def _node(
        op_type: str,
        data: ir.Value,
        code: tuple[ir.Value, ir.Value],
        name: str,
        *,
        axis: int | None = None,
    ) -> ir.Node:
        attributes = {} if axis is None else {"axis": axis}
        node = ir.node(op_type, [data, *code], attributes, name=name)
        node.outputs[0].name = name
        return node

    @staticmethod
    def _type(node: ir.Node, like: ir.Value, dtype: ir.DataType | None) -> None:
        node.outputs[0].shape = like.shape
        node.outputs[0].type = None if dtype is None else ir.TensorType(dtype)


def _observed_name(value: ir.Value, ranges: Mapping[str, float]) -> str:
    """Return the name of a tensor, or of what was cast to it if that alone was observed."""
    cast = value.producer()
    source = None if cast is None or cast.op_type != "Cast" else cast.inputs[0]
    if str(value.name) in ranges or source is None or source.dtype not in _FLOAT_TYPES:
        return str(value.name)
    return _observed_name(source, ranges)


def _constant(value: ir.Value) -> NDArray[np.floating]:
    if value.const_value is None:
        raise ValueError(f"`{value.name}` is no constant")
    return value.const_value.numpy()


def _scales(
    amax: NDArray[np.floating], levels: int, dtype: ir.DataType | None
) -> NDArray[np.floating]:
    """Return scales > 0 in the type of the data; what is always zero gets any."""
    numpy_type = np.float16 if dtype == ir.DataType.FLOAT16 else np.float32
    amax = np.where(amax > 0, amax, 1.0).astype(np.float64)
    smallest = float(np.finfo(numpy_type).tiny)  # TensorRT asks for scales above zero
    return np.maximum(amax / levels, smallest).astype(numpy_type)
