from __future__ import annotations

from collections.abc import Callable

import onnx_ir as ir
import pytest

from facealign.export.cost import macs_by_operator
from facealign.export.passes.quantize import blocks_of
from facealign.export.passes.quantize.blocks import MOST_BLOCKS
from tests.unit.export.passes.quantize.test_tensorrt import RESIDUAL, SAMPLED

Parse = Callable[[str], ir.Model]
LAYERS = 60


def deep(layers: int) -> str:
    weights = ", ".join(f"float[16,16,1,1] w{n}" for n in range(1, layers + 1))
    body = "\n".join(f"x{n} = Conv(x{n - 1}, w{n})" for n in range(1, layers + 1))
    return f"""
    g (float[B,3,8,8] image, float[16,3,3,3] w0, {weights}, float[4,16,1,1] wl)
      => (float[B,4,8,8] landmarks)
    {{ x0 = Conv<pads = [1,1,1,1]>(image, w0)
       {body}
       landmarks = Conv(x{layers}, wl) }}
    """


def test_blocks_of_a_small_graph_are_its_products_in_order(float_graph: Parse) -> None:
    blocks = blocks_of(float_graph(RESIDUAL))

    assert [(block.name, block.nodes) for block in blocks] == [
        ("block-00", ("c1",)),
        ("block-01", ("c2",)),
    ]


def test_blocks_of_hold_nothing_that_stays_float_anyway(float_graph: Parse) -> None:
    blocks = blocks_of(float_graph(RESIDUAL), leave_float=["c1"])

    assert [(block.name, block.nodes) for block in blocks] == [("block-00", ("c2",))]


def test_blocks_of_state_their_share_of_the_whole_graph(float_graph: Parse) -> None:
    model = float_graph(RESIDUAL)

    blocks = blocks_of(model)

    assert [block.macs for block in blocks] == [64 * 16 * 16 * 9] * 2
    total = sum(macs_by_operator(model).values())
    assert [block.share for block in blocks] == [64 * 16 * 16 * 9 / total] * 2


def test_blocks_of_a_deep_graph_are_few_and_hold_every_product_once(float_graph: Parse) -> None:
    blocks = blocks_of(float_graph(deep(LAYERS)))

    assert len(blocks) == MOST_BLOCKS
    assert [name for block in blocks for name in block.nodes] == [
        f"x{n}" for n in range(1, LAYERS + 1)
    ]
    assert {len(block.nodes) for block in blocks} <= {2, 3, 4}


@pytest.mark.parametrize(
    "text", [pytest.param(deep(LAYERS), id="deep"), pytest.param(SAMPLED, id="sampled")]
)
def test_blocks_of_the_same_graph_are_the_same(float_graph: Parse, text: str) -> None:
    assert blocks_of(float_graph(text)) == blocks_of(float_graph(text))
