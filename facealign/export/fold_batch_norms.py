"""Batch normalisation as a part of the convolution before it, before anything is traced.

The exporter does the same to its graph, but only after it has carried every one of them, and its
five tensors, through three traces: half of its time for an HRNet. The sums here are those of
onnxscript's rule, in the same order, so that the weights are the same to the last bit.
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

__all__ = ["with_folded_batch_norms"]

# Exactly these: what a subclass does beside them is not known.
_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d)
_BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)
_MAKER = "_facealign_made_by"


def with_folded_batch_norms(module: nn.Module, example: torch.Tensor) -> nn.Module:
    """Return a copy of a module in which no convolution feeds a batch normalisation alone.

    The module is run once to see who reads what. A normalisation stays where the convolution before
    it, or it itself, runs more than once, or somebody else reads between them.

    Args:
        module: In evaluation mode.
        example: An input that it takes.
    """
    folded = copy.deepcopy(module)
    for convolution, batch_norm in _pairs(folded, example):
        weight, bias = _folded_weights(convolution, batch_norm)
        convolution.weight = nn.Parameter(torch.from_numpy(weight), requires_grad=False)
        convolution.bias = nn.Parameter(torch.from_numpy(bias), requires_grad=False)
        _replace(folded, batch_norm, nn.Identity())
    return folded


class _Readers(TorchFunctionMode):
    """Counts who reads what a convolution gave: calls that make a tensor of it."""

    def __init__(self) -> None:
        super().__init__()
        self.counts: Counter[nn.Module] = Counter()

    def __torch_function__(
        self,
        func: Callable[..., object],
        types: object,
        args: tuple[object, ...] = (),
        kwargs: dict[str, object] | None = None,
    ) -> object:
        result = func(*args, **(kwargs or {}))
        if any(isinstance(leaf, torch.Tensor) for leaf in tree_leaves(result)):
            self.count((args, kwargs))
        return result

    def count(self, values: object) -> None:
        """Count every convolution that made one of the tensors."""
        makers = (getattr(leaf, _MAKER, None) for leaf in tree_leaves(values))
        self.counts.update(maker for maker in makers if maker is not None)


def _pairs(module: nn.Module, example: torch.Tensor) -> list[tuple[nn.Conv2d, nn.BatchNorm2d]]:
    """Return convolutions of which a batch normalisation is the only reader, with it."""
    runs: Counter[nn.Module] = Counter()
    found: list[tuple[Any, Any]] = []

    def after_convolution(layer: nn.Module, _: object, result: torch.Tensor) -> None:
        setattr(result, _MAKER, layer)  # on the tensor itself: it is freed when nobody reads on

    def before_batch_norm(layer: nn.Module, given: tuple[torch.Tensor, ...]) -> None:
        runs[layer] += 1
        found.append((getattr(given[0], _MAKER, None), layer))

    hooks = [
        layer.register_forward_hook(after_convolution)
        for layer in module.modules()
        if type(layer) in _CONVOLUTIONS
    ] + [
        layer.register_forward_pre_hook(before_batch_norm)
        for layer in module.modules()
        if type(layer) in _BATCH_NORMS and layer.affine and layer.track_running_stats
    ]
    with torch.no_grad(), _Readers() as readers:
        readers.count(module(example))
    for hook in hooks:
        hook.remove()
    return [
        (convolution, batch_norm)
        for convolution, batch_norm in found
        if convolution is not None and runs[batch_norm] == readers.counts[convolution] == 1
    ]


def _folded_weights(
    convolution: nn.Conv2d, batch_norm: nn.BatchNorm2d
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the weights and the bias of both together."""
    given, norm = _arrays(convolution), _arrays(batch_norm)
    scale = norm["weight"] / np.sqrt(norm["running_var"] + np.float32(batch_norm.eps))
    weight = given["weight"] * scale.reshape(-1, *(1,) * (given["weight"].ndim - 1))
    bias = given.get("bias", np.zeros_like(scale)) - norm["running_mean"]
    return weight, bias * scale + norm["bias"]


def _arrays(layer: nn.Module) -> dict[str, NDArray[np.float32]]:
    return {name: value.numpy() for name, value in layer.state_dict().items()}


def _replace(module: nn.Module, old: nn.Module, new: nn.Module) -> None:
    """Put a module in another's place, wherever it is."""
    for parent in list(module.modules()):
        for name, child in parent.named_children():
            if child is old:
                setattr(parent, name, new)
