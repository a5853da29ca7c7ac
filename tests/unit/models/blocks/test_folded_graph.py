"""Folded graph convolutions give what plain ones do."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from facealign.models.blocks.folded_graph import (
    FoldedAdjacency,
    FoldedGraphNetwork,
    folded_linear_after_norm,
    mixing_from_adjacency,
    points_as_traced,
)
from facealign.models.blocks.graph_convolution import (
    GraphConv,
    GraphSizes,
    SemanticGraphConv,
    SemanticGraphNetwork,
    adjacency_from_values,
)
from facealign.models.landmark_graph import made_up_graph

N = 29
EDGES = 133
RELATIVE = 1e-5  # of the largest value; max measured 4.7e-7
FACTOR = 1 / 64
SIZES = GraphSizes(in_width=6, width=5, block_count=2, edge_count=EDGES)


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


def pattern() -> Tensor:
    return torch.from_numpy(made_up_graph(N, EDGES))


def trained(module: nn.Module) -> nn.Module:
    """Return a module whose weights and statistics are all different, ready to compute."""
    for parameter in module.parameters():
        nn.init.normal_(parameter)
    for key, buffer in module.named_buffers():
        if key.endswith("running_mean"):
            buffer.normal_()
        if key.endswith("running_var"):
            buffer.uniform_(0.5, 2)
    return module.eval().requires_grad_(requires_grad=False)


def relative(found: Tensor, expected: Tensor) -> float:
    assert found.shape == expected.shape
    return float((found - expected).abs().max() / expected.abs().max())


def learned_network() -> SemanticGraphNetwork:
    conv = partial(SemanticGraphConv, pattern=pattern())
    network = SemanticGraphNetwork(SIZES, conv)
    trained(network)
    return network


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("point", ["landmarks", "graph.input", "graph"])
def test_folded_network_is_plain_network(point: str, batch: int) -> None:
    network, nodes = learned_network(), torch.randn(batch, N, SIZES.in_width)

    landmarks, first, graph = FoldedGraphNetwork(network, landmark_factor=FACTOR)(
        nodes.transpose(1, 2)
    )

    found = {"landmarks": landmarks, "graph.input": first, "graph": graph}
    expected = points_as_traced(network(nodes), size_px=64)
    assert relative(found[point], expected[point]) <= RELATIVE


@pytest.mark.parametrize("weight_count", [2, None], ids=["two weights", "one weight"])
def test_folded_network_takes_adjacency_of_each_image(weight_count: int | None) -> None:
    network = SemanticGraphNetwork(SIZES, partial(GraphConv, weight_count=weight_count))
    trained(network)
    nodes, adjacency = torch.randn(3, N, SIZES.in_width), torch.rand(3, N, N)
    mixing = mixing_from_adjacency(adjacency, is_split=weight_count == 2)

    landmarks, *_ = FoldedGraphNetwork(network, landmark_factor=FACTOR)(
        nodes.transpose(1, 2), mixing
    )

    expected = network(nodes, adjacency)["landmarks_px"] * FACTOR
    assert relative(landmarks, expected) <= RELATIVE


def test_folded_network_survives_norm_of_weight_zero() -> None:
    network, nodes = learned_network(), torch.randn(1, N, SIZES.in_width)
    network.first().bn.weight[2] = 0

    landmarks, *_ = FoldedGraphNetwork(network, landmark_factor=FACTOR)(nodes.transpose(1, 2))

    assert relative(landmarks, network(nodes)["landmarks_px"] * FACTOR) <= RELATIVE


def uneven() -> Tensor:
    """Return a graph whose rows have 1 to N edges."""
    edges = np.tril(np.ones((N, N), np.float32))
    return torch.from_numpy(edges)


@pytest.mark.parametrize("graph", [pattern(), uneven()], ids=["even", "uneven"])
@pytest.mark.parametrize("is_split", [True, False])
def test_folded_adjacency_is_softmax_over_edges(graph: Tensor, *, is_split: bool) -> None:
    last = nn.Linear(7, int(graph.sum())).requires_grad_(requires_grad=False)
    hidden = 5 * torch.randn(3, 7)
    folded = FoldedAdjacency(
        (last.weight, last.bias), graph, lambda rows: mixing_from_adjacency(rows, is_split=is_split)
    )

    found = folded(hidden)

    expected = mixing_from_adjacency(adjacency_from_values(last(hidden), graph), is_split=is_split)
    assert relative(found, expected) <= RELATIVE
    assert torch.equal(found == 0, expected == 0)


def test_folded_adjacency_can_be_transposed() -> None:
    graph = uneven()
    last = nn.Linear(7, int(graph.sum())).requires_grad_(requires_grad=False)
    hidden = torch.randn(2, 7)
    folded = FoldedAdjacency((last.weight, last.bias), graph, lambda rows: rows.T)

    found = folded(hidden)

    expected = adjacency_from_values(last(hidden), graph).transpose(1, 2)
    assert relative(found, expected) <= RELATIVE


@pytest.mark.parametrize("logit", [-9000.0, 9000.0])
def test_folded_adjacency_gives_absent_edges_exactly_zero(logit: float) -> None:
    graph = pattern()
    weight, bias = torch.zeros(EDGES, 1), torch.full((EDGES,), logit)
    folded = FoldedAdjacency((weight, bias), graph, lambda rows: rows)

    found = folded(torch.zeros(1, 1))[0]

    expected = graph / graph.sum(dim=1, keepdim=True)
    assert torch.equal(found == 0, graph == 0)
    torch.testing.assert_close(found, expected)


def test_linear_does_the_work_of_its_norm() -> None:
    norm, linear, x = nn.BatchNorm1d(6), nn.Linear(6, 4), torch.randn(5, 6)
    trained(nn.Sequential(norm, linear))

    weight, bias = folded_linear_after_norm(norm, linear)

    assert relative(nn.functional.linear(x, weight, bias), linear(norm(x))) <= RELATIVE


def test_mixing_parts_diagonal_from_the_rest() -> None:
    adjacency = torch.tensor([[1.0, 2.0], [3.0, 4.0]])

    mixing = mixing_from_adjacency(adjacency, is_split=True)

    assert mixing.tolist() == [[1, 0, 0, 3], [0, 4, 2, 0]]
