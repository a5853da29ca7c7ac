"""Graph convolutions as the papers and the authors define them, on graphs small enough to see."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from torch import Tensor

from facealign.models.blocks.graph_convolution import (
    GraphConv,
    GraphSizes,
    SemanticGraphConv,
    SemanticGraphNetwork,
    adjacency_from_values,
    graph_sizes_from_shapes,
)

ABSOLUTE = 1e-5  # max measured 4.8e-7
PATTERN = torch.tensor([[1.0, 1, 0], [0, 1, 0], [1, 0, 1]])


def filled(conv: GraphConv) -> GraphConv:
    torch.manual_seed(0)
    for parameter in conv.parameters():
        torch.nn.init.normal_(parameter)
    return conv.requires_grad_(requires_grad=False)


def test_adjacency_is_row_softmax_over_edges_in_row_major_order() -> None:
    values = torch.tensor([[0.0, 1.0, 7.0, 2.0, 5.0]])

    adjacency = adjacency_from_values(values, PATTERN)

    half = torch.softmax(torch.tensor([0.0, 1.0]), 0)
    last = torch.softmax(torch.tensor([2.0, 5.0]), 0)
    expected = torch.tensor([[half[0], half[1], 0], [0, 1, 0], [last[0], 0, last[1]]])
    torch.testing.assert_close(adjacency[0], expected)


def test_adjacency_is_of_each_image() -> None:
    values = torch.tensor([[0.0, 1.0, 7.0, 2.0, 5.0], [3.0, -1.0, 0.0, 0.0, 1.0]])

    together = adjacency_from_values(values, PATTERN)

    assert torch.equal(together[1:], adjacency_from_values(values[1:], PATTERN))


def test_graph_conv_weighs_landmark_itself_and_its_neighbours_apart() -> None:
    conv = filled(GraphConv(2, 4, weight_count=2))
    nodes, adjacency = torch.randn(1, 3, 2), torch.rand(1, 3, 3)

    found = conv(nodes, adjacency)

    x, a = nodes[0], adjacency[0]
    own = a[0, 0] * x[0] @ conv.W[0]
    others = (a[0, 1] * x[1] + a[0, 2] * x[2]) @ conv.W[1]
    torch.testing.assert_close(found[0, 0], own + others + conv.bias, atol=ABSOLUTE, rtol=0)


def test_graph_conv_of_one_weight_is_equation_4() -> None:
    conv = filled(GraphConv(2, 4, weight_count=None))
    nodes, adjacency = torch.randn(2, 3, 2), torch.rand(2, 3, 3)

    found = conv(nodes, adjacency)

    expected = torch.einsum("bij,bjf,fo->bio", adjacency, nodes, conv.W) + conv.bias
    torch.testing.assert_close(found, expected, atol=ABSOLUTE, rtol=0)


def test_semantic_graph_conv_uses_its_own_adjacency() -> None:
    conv = SemanticGraphConv(2, 4, PATTERN)
    filled(conv)
    nodes = torch.randn(2, 3, 2)

    found = conv(nodes)

    expected = GraphConv.forward(conv, nodes, conv.adjacency)
    assert torch.equal(found, expected)
    assert conv.adjacency.sum(dim=2).allclose(torch.ones(3))


def residual_network() -> SemanticGraphNetwork:
    torch.manual_seed(1)
    sizes = GraphSizes(in_width=4, width=3, block_count=2, edge_count=5)
    network = SemanticGraphNetwork(sizes, partial(SemanticGraphConv, pattern=PATTERN))
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter)
    return network.eval().requires_grad_(requires_grad=False)


def test_graph_network_adds_residual_after_last_relu() -> None:
    network, nodes = residual_network(), torch.randn(1, 3, 4)

    points = network(nodes)

    hidden: Tensor = points["graph.input"]
    steps = [two(one(hidden, None), None) for one, two in list(network.blocks())[:1]]
    second = list(network.blocks())[1]
    summed = steps[0] + hidden
    expected = second[1](second[0](summed, None), None) + summed
    assert torch.equal(points["graph"], expected)


def test_graph_network_has_names_of_authors() -> None:
    keys = residual_network().state_dict().keys()

    assert {
        "gconv_input.0.gconv.W",
        "gconv_input.0.gconv.e",
        "gconv_input.0.bn.weight",
        "gconv_layers.1.gconv2.gconv.e",
        "gconv_layers.1.gconv2.bn.running_var",
        "gconv_output.W",
        "gconv_output.bias",
    } <= set(keys)


def test_graph_sizes_are_in_shapes() -> None:
    shapes = {key: tuple(value.shape) for key, value in residual_network().state_dict().items()}

    sizes = graph_sizes_from_shapes(
        shapes,
        first="gconv_input.0.gconv.W",
        block="gconv_layers.{}.gconv1.gconv.W",
        edges="gconv_output.e",
    )

    assert sizes == GraphSizes(in_width=4, width=3, block_count=2, edge_count=5)


def test_graph_sizes_name_the_missing_key() -> None:
    with pytest.raises(KeyError, match=r"first\.W"):
        graph_sizes_from_shapes({}, first="first.W", block="{}", edges="e")
