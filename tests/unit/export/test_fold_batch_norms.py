"""Folding before the trace: the same sums as the exporter's own, and only where it is allowed."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
import onnx_ir as ir
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from onnxscript import optimizer
from torch import nn

from facealign.export.fold_batch_norms import with_folded_batch_norms

CROPS = torch.arange(2 * 3 * 9 * 9, dtype=torch.float32).reshape(2, 3, 9, 9).sin()
SAME = 1e-5  # of values of about 1
NORM = ("weight", "bias", "running_mean", "running_var")


Read = Callable[["Chain", torch.Tensor], "torch.Tensor | tuple[torch.Tensor, ...]"]


class Chain(nn.Module):
    """A convolution and a normalisation with seeded statistics; `read` says what comes between."""

    def __init__(
        self,
        read: Read,
        *,
        convolution: nn.Module | None = None,
        affine: bool = True,
    ) -> None:
        super().__init__()
        self.read = read
        with torch.random.fork_rng():
            torch.manual_seed(3)
            self.convolution = convolution or nn.Conv2d(3, 4, 3, bias=False)
            self.norm = nn.BatchNorm2d(4, affine=affine)
            for tensor in (value for value in self.norm.state_dict().values() if value.ndim):
                nn.init.uniform_(tensor, 0.5, 2)
        self.eval()

    def forward(self, crops: torch.Tensor) -> torch.Tensor | tuple[torch.Tensor, ...]:
        return self.read(self, crops)


class Halved(nn.Conv2d):
    """Does more than a convolution."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:  # noqa: A002  # torch's name
        return super().forward(input).relu() / 2


def in_turn(chain: Chain, crops: torch.Tensor) -> torch.Tensor:
    found: torch.Tensor = chain.norm(chain.convolution(crops))
    return found


def after_a_look_at_its_size(chain: Chain, crops: torch.Tensor) -> torch.Tensor:
    made: torch.Tensor = chain.convolution(crops)
    found: torch.Tensor = chain.norm(made)
    return found.reshape(made.shape[0], made.size(1), -1)


def with_a_second_reader(chain: Chain, crops: torch.Tensor) -> torch.Tensor:
    made = chain.convolution(crops)
    found: torch.Tensor = chain.norm(made) + made.abs()
    return found


def as_an_output(chain: Chain, crops: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    made = chain.convolution(crops)
    return made, chain.norm(made)


def with_a_layer_between(chain: Chain, crops: torch.Tensor) -> torch.Tensor:
    found: torch.Tensor = chain.norm(chain.convolution(crops).relu())
    return found


def twice_with_one_convolution(chain: Chain, crops: torch.Tensor) -> torch.Tensor:
    found: torch.Tensor = in_turn(chain, crops) + chain.convolution(crops[:, [2, 0, 1]])
    return found


def twice_with_one_norm(chain: Chain, crops: torch.Tensor) -> torch.Tensor:
    found: torch.Tensor = in_turn(chain, crops) + chain.norm(crops[:, [0, 1, 2, 0], 2:, 2:])
    return found


def untouched_graph(chain: Chain, groups: int) -> onnx.ModelProto:
    """Return both layers as ONNX nodes, which the exporter's optimiser makes one of."""
    arrays = {name: value.numpy() for name, value in chain.state_dict().items() if value.ndim}
    names = [name for name in arrays if name.startswith("convolution.")]
    nodes = [
        helper.make_node("Conv", ["crops", *names], ["made"], group=groups),
        helper.make_node(
            "BatchNormalization",
            ["made", *(f"norm.{name}" for name in NORM)],
            ["normal"],
            epsilon=chain.norm.eps,
        ),
    ]
    graph = helper.make_graph(
        nodes,
        "chain",
        [helper.make_tensor_value_info("crops", TensorProto.FLOAT, None)],
        [helper.make_tensor_value_info("normal", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(value, name) for name, value in arrays.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)])


def is_folded(module: nn.Module) -> bool:
    return not any(isinstance(layer, nn.BatchNorm2d) for layer in module.modules())


def outputs_of(module: nn.Module) -> torch.Tensor:
    result = module(CROPS)
    return torch.cat([each.flatten() for each in result]) if isinstance(result, tuple) else result


@pytest.mark.parametrize("read", [in_turn, after_a_look_at_its_size])
def test_normalisation_goes_into_the_convolution_before_it(
    read: Read,
) -> None:
    chain = Chain(read)

    folded = with_folded_batch_norms(chain, CROPS)

    assert is_folded(folded)
    with torch.no_grad():
        assert (outputs_of(folded) - outputs_of(chain)).abs().max() < SAME


@pytest.mark.parametrize(
    "convolution",
    [nn.Conv2d(3, 4, 3), nn.Conv2d(3, 4, 3, bias=False), nn.Conv2d(4, 4, 1, groups=2)],
    ids=["bias", "no-bias", "groups"],
)
def test_weights_are_those_of_the_exporter_to_the_last_bit(convolution: nn.Conv2d) -> None:
    chain = Chain(in_turn, convolution=convolution)
    crops = CROPS[:, :1].expand(-1, convolution.in_channels, -1, -1)
    model = ir.from_proto(untouched_graph(chain, convolution.groups))
    optimizer.optimize(model)
    (node,) = model.graph
    expected = [value.const_value.numpy() for value in node.inputs[1:]]  # type: ignore[union-attr]  # constants

    folded = with_folded_batch_norms(chain, crops)

    found = [tensor.numpy() for tensor in folded.parameters()]
    assert node.op_type == "Conv"
    assert all(np.array_equal(a, b) for a, b in zip(found, expected, strict=True))


@pytest.mark.parametrize(
    "read",
    [
        with_a_second_reader,
        as_an_output,
        with_a_layer_between,
        twice_with_one_convolution,
        twice_with_one_norm,
    ],
)
def test_normalisation_stays_where_somebody_else_would_notice(
    read: Read,
) -> None:
    chain = Chain(read)

    folded = with_folded_batch_norms(chain, CROPS)

    assert not is_folded(folded)
    assert torch.equal(outputs_of(folded), outputs_of(chain))


@pytest.mark.parametrize(
    "chain",
    [Chain(in_turn, convolution=Halved(3, 4, 3)), Chain(in_turn, affine=False)],
    ids=["subclass", "not-affine"],
)
def test_layers_of_other_kinds_stay(chain: Chain) -> None:
    assert not is_folded(with_folded_batch_norms(chain, CROPS))


def test_module_itself_stays_as_it_was() -> None:
    chain = Chain(in_turn)
    before = {name: value.clone() for name, value in chain.state_dict().items()}

    folded = with_folded_batch_norms(chain, CROPS)

    after = chain.state_dict()
    assert list(after) == list(before)
    assert all(torch.equal(after[name], before[name]) for name in before)
    assert not any(layer._forward_hooks for layer in (*chain.modules(), *folded.modules()))
