"""The patch crop without GridSample, for TensorRT before 8.5."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx_ir as ir
from onnx_ir.passes import InPlacePass, PassResult

from facealign.errors import GraphContractError
from facealign.export.graph import node_label
from facealign.export.passes.lower.patch_crop import is_patch_crop
from facealign.export.passes.lower.writer import NodeWriter

__all__ = ["GatherPatchCropPass"]

_FEWEST_CELLS = 2  # with one, there is no second neighbour to gather
_NAME = "patch_crop"
_FULL = ir.DataType.FLOAT


class GatherPatchCropPass(InPlacePass):
    """Replace every GridSample by arithmetic and GatherND.

    The four cells around a position, the same two rows and columns also where it lies outside, are
    gathered from the map with channels last. All of it is FP32, also where map or grid are FP16, as
    the kernels of GridSample compute. A cell c weighs ``max(0, 1 - |position - c|)`` in x
    times the same in y, which is bilinear inside the map and makes zeros outside it without a mask:
    neither neighbour of a position one cell beyond the border or further reaches it.

    A position that is no number is taken for -1, as ONNX Runtime's GridSample does; the standard
    says nothing. Positions of 2**31 cells or more, and infinite ones, give 0; that GridSample
    takes them for -1 too.

    On ONNX Runtime 1.31, one thread, four gathers of one cell took 6.1 ms for 49 x 98 patches of
    270 channels, one of all four with a sum 9.3, with a product 7.3, and GridSample 2.8.
    """

    def call(self, model: ir.Model) -> PassResult:
        """Rewrite every GridSample.

        Raises:
            GraphContractError: If one is of another kind, or a size but for the batch is not known.
        """
        found = [node for node in model.graph if node.op_type == "GridSample"]
        for node in found:
            _replace(model.graph, node, _sizes(node))
        return PassResult(model, modified=bool(found))


@dataclass(frozen=True, slots=True)
class _Sizes:
    channels: int
    height: int
    width: int
    rows: int
    columns: int
    map: ir.DataType

    @property
    def count(self) -> int:
        """Positions of an image."""
        return self.rows * self.columns


def _sizes(node: ir.Node) -> _Sizes:
    if not is_patch_crop(node):
        raise GraphContractError(
            f"{node_label(node)} cannot be written without GridSample: it must be bilinear, with "
            "zeros outside and corners not aligned; write the network's sampling that way"
        )
    sizes: list[int] = []
    for value, axes in zip(node.inputs, (slice(1, 4), slice(1, 3)), strict=True):
        if value is not None and value.shape is not None:
            sizes += [size for size in list(value.shape)[axes] if isinstance(size, int)]
    dtype = node.outputs[0].dtype
    if len(sizes) != 5 or dtype is None or min(sizes[1:3]) < _FEWEST_CELLS:
        raise GraphContractError(
            f"{node_label(node)} cannot be written without GridSample: all its sizes but the batch "
            "must be known, and its map two cells wide and high; infer shapes before"
        )
    channels, height, width, rows, columns = sizes
    return _Sizes(channels, height, width, rows, columns, dtype)


def _replace(graph: ir.Graph, node: ir.Node, sizes: _Sizes) -> None:
    writer = NodeWriter(graph, node)
    image, grid = (value for value in node.inputs if value is not None)
    position = _position(writer, grid, sizes)
    corner = _corner(writer, position, sizes)
    weights = _weights(writer, position, corner, sizes)
    cells = _cells(writer, image, sizes)
    places = _places(writer, corner, sizes)
    terms = []
    for number, (weight, place) in enumerate(zip(weights, places, strict=True)):
        samples = writer.op("GatherND", (cells, place), f"samples{number}", {"batch_dims": 1})
        terms.append(writer.op("Mul", (samples, weight), f"term{number}"))
    upper = writer.op("Add", terms[:2], "upper")
    total = writer.op("Add", (upper, writer.op("Add", terms[2:], "lower")), "rows")
    if sizes.map != _FULL:
        total = writer.op("Cast", (total,), "rounded", {"to": int(sizes.map)})
    shape = _integers(writer, (-1, sizes.rows, sizes.columns, sizes.channels))
    patches = writer.op("Reshape", (total, shape), "channels_last")  # (B, P, N, C)
    writer.finish(writer.op("Transpose", (patches,), "patches", {"perm": (0, 3, 1, 2)}))


def _position(writer: NodeWriter, grid: ir.Value, sizes: _Sizes) -> ir.Value:
    """Return x and y in cells, 0 in the middle of the first, ``(B, P, N, 2)``."""
    # The order of ONNX Runtime's kernel, ((g + 1) * W - 1) / 2, so that both round alike.
    full = writer.in_full(grid, "exact_grid")
    is_number = writer.op("Equal", (full, full), "is_number")
    numbers = writer.op("Where", (is_number, full, _floats(writer, -1)), "numbers")
    shifted = writer.op("Add", (numbers, _floats(writer, 1)), "shifted")
    halves = _floats(writer, (sizes.width / 2, sizes.height / 2))
    scaled = writer.op("Mul", (shifted, halves), "scaled")
    return writer.op("Sub", (scaled, _floats(writer, 0.5)), "position")


def _corner(writer: NodeWriter, position: ir.Value, sizes: _Sizes) -> ir.Value:
    """Return the upper left of the four cells, a whole number inside the map; as `position`."""
    floor = writer.op("Floor", (position,), "floor")
    from_zero = writer.op("Max", (floor, _floats(writer, 0)), "from_zero")
    last = _floats(writer, (sizes.width - 2, sizes.height - 2))
    return writer.op("Min", (from_zero, last), "corner")


def _weights(
    writer: NodeWriter, position: ir.Value, corner: ir.Value, sizes: _Sizes
) -> list[ir.Value]:
    """Return what each of the four cells weighs, row by row, ``(B, P * N, 1)`` each."""
    beyond = writer.op("Sub", (position, corner), "beyond")
    apart = writer.op("Unsqueeze", (beyond, _integers(writer, (4,))), "apart")
    distance = writer.op("Sub", (apart, _floats(writer, (0, 1))), "difference")
    distance = writer.op("Abs", (distance,), "distance")
    near = writer.op("Sub", (_floats(writer, 1), distance), "near")
    hats = writer.op("Relu", (near,), "hats")  # (B, P, N, 2, 2): axis, neighbour
    halves = _integers(writer, (1, 1))
    by_x, by_y = writer.split("Split", (hats, halves), ("by_x", "by_y"), {"axis": 3})
    column = writer.op("Transpose", (by_y,), "column", {"perm": (0, 1, 2, 4, 3)})
    product = writer.op("Mul", (column, by_x), "product")
    flat = writer.op("Reshape", (product, _integers(writer, (-1, sizes.count, 4))), "weights")
    names = [f"weight{number}" for number in range(4)]
    return writer.split("Split", (flat, _integers(writer, (1, 1, 1, 1))), names, {"axis": 2})


def _places(writer: NodeWriter, corner: ir.Value, sizes: _Sizes) -> list[ir.Value]:
    """Return where each of the four cells is in the map, row by row, ``(B, P * N, 1)`` each."""
    # Integers: a plan in FP16 would round a place above 2048.
    whole = writer.op("Cast", (corner,), "whole", {"to": int(ir.DataType.INT64)})
    halves = _integers(writer, (1, 1))
    x, y = writer.split("Split", (whole, halves), ("x", "y"), {"axis": 3})
    row = writer.op("Mul", (y, _integers(writer, (sizes.width,))), "row")
    first = writer.op("Add", (row, x), "place")
    first = writer.op("Reshape", (first, _integers(writer, (-1, sizes.count, 1))), "place0")
    steps = (1, sizes.width, sizes.width + 1)
    others = [
        writer.op("Add", (first, _integers(writer, (step,))), f"place{number}")
        for number, step in enumerate(steps, start=1)
    ]
    return [first, *others]


def _cells(writer: NodeWriter, image: ir.Value, sizes: _Sizes) -> ir.Value:
    """Return the map with channels last, ``(B, H * W, C)``."""
    shape = _integers(writer, (-1, sizes.channels, sizes.height * sizes.width))
    full = writer.in_full(image, "exact")
    flat = writer.op("Reshape", (full, shape), "flat")
    return writer.op("Transpose", (flat,), "cells", {"perm": (0, 2, 1)})


def _floats(writer: NodeWriter, numbers: float | tuple[float, ...]) -> ir.Value:
    return writer.constant(np.array(numbers, dtype=np.float32), f"{_NAME}.number")


def _integers(writer: NodeWriter, numbers: tuple[int, ...]) -> ir.Value:
    return writer.constant(np.array(numbers, dtype=np.int64), f"{_NAME}.integers")
