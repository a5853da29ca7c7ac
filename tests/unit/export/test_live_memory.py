"""Memory that a graph needs while it runs."""

from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from facealign.export.graph import graph_from_bytes
from facealign.export.live_memory import peak_activation_bytes, weight_bytes

FLOAT = 4
ROW = 16 * FLOAT  # bytes of x for one crop


def graph_of(body: str, *, weights: str = "") -> ir.Model:
    model = onnx.parser.parse_model(
        '<ir_version: 9, opset_import: ["" : 19]> '
        f"g (float[B, 16] x) => (float[B, 16] y) {weights} {{ {body} }}"
    )
    return graph_from_bytes(model.SerializeToString())


def test_a_chain_holds_what_is_read_and_what_is_written() -> None:
    graph = graph_of("a = Relu(x) b = Neg(a) y = Abs(b)")

    assert peak_activation_bytes(graph) == 2 * ROW


def test_a_skip_branch_stays_until_it_is_read() -> None:
    graph = graph_of("a = Relu(x) b = Neg(a) c = Abs(b) y = Add(a, c)")

    assert peak_activation_bytes(graph) == 3 * ROW


def test_a_view_takes_no_memory_and_keeps_what_it_shows() -> None:
    body = "s = Identity(x) a = Relu(x) b = Neg(a) y = Add(s, b)"

    assert peak_activation_bytes(graph_of(body)) == 3 * ROW


def test_an_output_that_nobody_reads_goes_at_once() -> None:
    graph = graph_of("unused = Neg(x) a = Relu(x) y = Abs(a)")

    assert peak_activation_bytes(graph) == 2 * ROW


@pytest.mark.parametrize("batch", [1, 3, 8])
def test_memory_grows_with_the_batch(batch: int) -> None:
    graph = graph_of("a = Relu(x) y = Abs(a)")

    assert peak_activation_bytes(graph, batch=batch) == 2 * ROW * batch


def test_half_precision_takes_half() -> None:
    graph = graph_of("h = Cast<to: int = 10>(x) a = Relu(h) b = Relu(a) y = Cast<to: int = 1>(b)")

    assert peak_activation_bytes(graph) == ROW + ROW // 2


def test_constants_are_weights_and_no_activations(tiny_graph: bytes) -> None:
    model = graph_from_bytes(tiny_graph)
    tensors = onnx.load_from_string(tiny_graph).graph.initializer
    expected = sum(onnx.numpy_helper.to_array(tensor).nbytes for tensor in tensors)

    assert weight_bytes(model) == expected
    assert peak_activation_bytes(model) < 6 * 16 * 16 * 3 * np.dtype(np.float32).itemsize
