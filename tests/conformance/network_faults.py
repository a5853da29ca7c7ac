"""Faults to plant in any network, whatever its family: weights wrongly loaded, side files wrong.

Each takes a model, leaves it as it is, and returns the rewrite of a spoiled copy, or nothing where
there is nothing to spoil. Rounding all weights to float16 is none of them: it moves the landmarks
of the tiny networks by 0.9 to 1300 times what parity allows, so of some it is no fault.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from itertools import combinations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from facealign.models.detect import load_weights
from facealign.models.family import Exportable, Family
from facealign.models.landmark_graph import GRAPH
from facealign.models.load import Model

__all__ = ["NETWORK_FAULTS", "NetworkFault"]

Array = NDArray[np.float32]
BatchNorm = nn.BatchNorm1d | nn.BatchNorm2d
NetworkFault = Callable[[Model], Exportable | None]
NETWORK_FAULTS: dict[str, NetworkFault] = {}
_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.InstanceNorm2d, nn.LayerNorm)
_LEAST_WEIGHTS = 64  # smaller ones are scales, or steer a gate that may be shut in a tiny network


@dataclass(frozen=True, slots=True)
class _Learned:
    """What a network has learned and inference reads, in the order of its state dict.

    Attributes:
        norms: Its BatchNorms.
        weights: Of what multiplies: two axes or more.
        biases: Of what multiplies.
    """

    norms: list[BatchNorm]
    weights: list[Tensor]
    biases: list[Tensor]


def _listed(fault: NetworkFault) -> NetworkFault:
    NETWORK_FAULTS[getattr(fault, "__name__", "")] = fault
    return fault


def _in_weights(spoil: Callable[[_Learned], bool]) -> NetworkFault:
    """List what spoils a copy's weights in place and says whether there was anything to spoil."""

    @_listed
    @wraps(spoil)
    def fault(model: Model) -> Exportable | None:
        network = copy.deepcopy(model.network)
        with torch.no_grad():
            is_spoiled = spoil(_learned(network, model.family))
        return model.family.build_exportable(network) if is_spoiled else None

    return fault


def _in_assets(spoil: Callable[[str, Array], Array]) -> NetworkFault:
    """List what gives a side file of that name anew; the network is then built with it."""

    @_listed
    @wraps(spoil)
    def fault(model: Model) -> Exportable | None:
        intact = {name: asset.array for name, asset in model.assets.items()}
        spoiled = {name: spoil(name, array).copy() for name, array in intact.items()}
        if all(np.array_equal(spoiled[name], array) for name, array in intact.items()):
            return None
        network = model.family.build_network(model.hyperparameters, spoiled)
        load_weights(network, model.network.state_dict(), model.family)
        return model.family.build_exportable(network.eval().requires_grad_(requires_grad=False))

    return fault


@_in_weights
def first_batch_norm_never_loaded(learned: _Learned) -> bool:
    for norm in learned.norms[:1]:
        norm.reset_running_stats()
    return bool(learned.norms)


@_in_weights
def last_batch_norm_never_loaded(learned: _Learned) -> bool:
    for norm in learned.norms[-1:]:
        norm.reset_running_stats()
    return bool(learned.norms)


@_in_weights
def weight_and_bias_of_middle_batch_norm_exchanged(learned: _Learned) -> bool:
    middle = len(learned.norms) // 2
    for norm in learned.norms[middle : middle + 1]:
        _exchange(norm.weight, norm.bias)
    return bool(learned.norms)


@_in_weights
def bias_of_last_batch_norm_lost(learned: _Learned) -> bool:
    for norm in learned.norms[-1:]:
        norm.bias.zero_()
    return bool(learned.norms)


@_in_weights
def largest_bias_lost(learned: _Learned) -> bool:
    if learned.biases:
        max(learned.biases, key=lambda bias: float(bias.norm())).zero_()
    return bool(learned.biases)


@_in_weights
def longest_bias_lost(learned: _Learned) -> bool:
    if learned.biases:
        max(learned.biases, key=Tensor.numel).zero_()
    return bool(learned.biases)


@_in_weights
def square_weight_transposed(learned: _Learned) -> bool:
    """Take a matrix, or a stack of them; a convolution where there is no such."""
    matrices = [w for w in learned.weights if w.ndim < 4 and w.shape[-2] == w.shape[-1]]
    convolutions = [
        w.movedim((0, 1), (-2, -1))
        for w in learned.weights
        if w.ndim == 4 and w.shape[0] == w.shape[1]
    ]
    for weight in sorted(matrices or convolutions, key=Tensor.numel)[-1:]:
        weight.copy_(weight.mT.clone())
    return bool(matrices or convolutions)


@_in_weights
def first_kernel_in_x_and_y_exchanged(learned: _Learned) -> bool:
    kernels = [w for w in learned.weights if w.ndim == 4 and w.shape[-2] == w.shape[-1] > 1]
    for kernel in kernels[:1]:
        kernel.copy_(kernel.mT.clone())
    return bool(kernels)


@_in_weights
def last_weight_never_loaded(learned: _Learned) -> bool:
    learned.weights[-1].zero_()
    return True


@_in_weights
def first_two_weights_of_one_shape_exchanged(learned: _Learned) -> bool:
    pairs = combinations(learned.weights, 2)
    alike = [(a, b) for a, b in pairs if a.shape == b.shape and not torch.equal(a, b)]
    for pair in alike[:1]:
        _exchange(*pair)
    return bool(alike)


@_in_weights
def weights_through_bfloat16(learned: _Learned) -> bool:
    for weight in learned.weights:
        weight.copy_(weight.bfloat16())
    return True


@_in_assets
def landmarks_of_side_file_reversed(name: str, array: Array) -> Array:
    return array[::-1, ::-1] if name == GRAPH else array[::-1]


@_in_assets
def graph_transposed(name: str, array: Array) -> Array:
    return array.T if name == GRAPH else array


@_in_assets
def side_file_two_percent_too_large(name: str, array: Array) -> Array:
    # A graph says where its edges are, and not how strong.
    return array if name == GRAPH else array * np.float32(1.02)


@_listed
def batch_norm_epsilon_of_1e_3(model: Model) -> Exportable | None:
    return _with_epsilon(model, 1e-3)


@_listed
def batch_norm_epsilon_of_1e_5(model: Model) -> Exportable | None:
    return _with_epsilon(model, 1e-5)


def _with_epsilon(model: Model, epsilon: float) -> Exportable | None:
    """Return the rewrite with another epsilon, in norms that it folds and in those that it keeps.

    No state dict holds one, so a rewrite that is built from a state dict brings its own.
    """
    network = copy.deepcopy(model.network)
    others = [norm for norm in _batch_norms(network) if norm.eps != epsilon]
    for norm in others:
        norm.eps = epsilon
    exportable = model.family.build_exportable(network)
    for norm in _batch_norms(exportable):
        norm.eps = epsilon
    return exportable if others else None


def _learned(network: nn.Module, family: Family) -> _Learned:
    used = {
        key: parameter
        for key, parameter in network.named_parameters()
        if not family.is_unused(key, parameter.shape)
        and not family.is_constant(key, parameter.shape)
    }
    scaled = {
        parameter
        for module in network.modules()
        if isinstance(module, _NORMS)
        for parameter in module.parameters()
    }
    multiplied = {key: parameter for key, parameter in used.items() if parameter not in scaled}
    norms = {norm.weight: norm for norm in _batch_norms(network)}
    return _Learned(
        norms=[norms[parameter] for parameter in used.values() if parameter in norms],
        weights=[p for p in multiplied.values() if p.ndim > 1 and p.numel() >= _LEAST_WEIGHTS],
        biases=[p for key, p in multiplied.items() if key.endswith("bias")],
    )


def _batch_norms(module: nn.Module) -> list[BatchNorm]:
    return [each for each in module.modules() if isinstance(each, BatchNorm)]


def _exchange(a: Tensor, b: Tensor) -> None:
    before = a.clone()
    a.copy_(b)
    b.copy_(before)
