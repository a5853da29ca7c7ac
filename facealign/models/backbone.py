"""What a backbone tells a family; each file of `backbones/` holds one such `BACKBONE`."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from torch import nn

from facealign.models import backbones

__all__ = [
    "Backbone",
    "BackboneChoice",
    "Shapes",
    "backbone_by_name",
    "build_backbone",
    "count_indices",
    "detect_backbone",
    "discover_backbones",
    "shapes_under",
]

Shapes = Mapping[str, Sequence[int]]


@dataclass(frozen=True, slots=True)
class Backbone:
    """One published convolutional network that heads can sit on.

    Keys and shapes are those of its own part of a state dict, without what stands before them.

    Attributes:
        name: File name, such as ``resnet``.
        matches: Whether a state dict, given by its shapes, is of this backbone.
        read_hyperparameters: From shapes to the backbone's frozen dataclass of plain numbers.
            Raises `KeyError` for a missing key.
        describe: From hyper-parameters to a short name, such as ``ResNet-34``.
        build: From hyper-parameters to the untrained network. It takes ``(B, 3, H, W)`` float32 and
            returns a tuple of maps, finest first; heads read the last, which has stride 32.
        channels: From hyper-parameters to the channels of those maps.
        tiny: Smallest hyper-parameters that keep every part, by the name of the variant; the last
            has the most of what is peculiar to the backbone.
        is_unused: Whether inference never reads a key of that shape.
        is_constant: Whether the network computes the tensor of that key and shape by itself.
        exportable: From a trained network and the side of the crop to the module that is traced
            for it: the same maps with fewer and faster operators. It may share weights with the
            network, which stays as it is.
        written_from: ``the authors' code``, or ``the paper`` where no code was at hand.
    """

    name: str
    matches: Callable[[Shapes], bool]
    read_hyperparameters: Callable[[Shapes], Any]
    describe: Callable[[Any], str]
    build: Callable[[Any], nn.Module]
    channels: Callable[[Any], tuple[int, ...]]
    tiny: Callable[[], Mapping[str, Any]]
    is_unused: Callable[[str, Sequence[int]], bool] = lambda _key, _shape: False
    is_constant: Callable[[str, Sequence[int]], bool] = lambda _key, _shape: False
    exportable: Callable[[nn.Module, int], nn.Module] = lambda network, _size_px: network
    written_from: str = "the authors' code"


@dataclass(frozen=True, slots=True)
class BackboneChoice:
    """A backbone by name, with hyper-parameters of its own class."""

    name: str
    sizes: Any


@cache
def discover_backbones() -> tuple[Backbone, ...]:
    """Return the `BACKBONE` of every file in `backbones/`, by name."""
    names = sorted(module.name for module in pkgutil.iter_modules(backbones.__path__))
    modules = (importlib.import_module(f"{backbones.__name__}.{name}") for name in names)
    return tuple(module.BACKBONE for module in modules)


def backbone_by_name(name: str) -> Backbone:
    """Return the backbone of that name."""
    return next(backbone for backbone in discover_backbones() if backbone.name == name)


def build_backbone(choice: BackboneChoice) -> nn.Module:
    """Return the untrained network of a choice."""
    network: nn.Module = backbone_by_name(choice.name).build(choice.sizes)
    return network


def detect_backbone(shapes: Shapes, prefix: str) -> BackboneChoice:
    """Return the one backbone that stands behind `prefix` in a state dict.

    Args:
        shapes: Of the whole state dict.
        prefix: What stands before the backbone's own keys, with its dot.

    Raises:
        KeyError: If there is none, or a key that it needs is missing; the key is the argument.
    """
    own = shapes_under(shapes, prefix)
    matching = [backbone for backbone in discover_backbones() if backbone.matches(own)]
    if len(matching) != 1:
        names = ", ".join(f"`{backbone.name}`" for backbone in matching) or "none"
        raise KeyError(f"{prefix}* of one known backbone (found: {names})")
    try:
        return BackboneChoice(matching[0].name, matching[0].read_hyperparameters(own))
    except KeyError as caught:
        raise KeyError(f"{prefix}{caught.args[0]}") from caught


def count_indices(shapes: Shapes, pattern: str) -> int:
    """Return how many consecutive indices from 0 fill the ``{}`` of `pattern`.

    Raises:
        KeyError: If there is not even the first; that key is the argument.
    """
    first = pattern.format(0)
    if first not in shapes:
        raise KeyError(first)
    count = 1
    while pattern.format(count) in shapes:
        count += 1
    return count


def shapes_under(shapes: Shapes, prefix: str) -> dict[str, Sequence[int]]:
    """Return the shapes behind `prefix`, without it."""
    return {
        key.removeprefix(prefix): shape for key, shape in shapes.items() if key.startswith(prefix)
    }
