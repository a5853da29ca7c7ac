"""What a family tells the compiler; each folder of `families/` holds one such `FAMILY`."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from facealign.models import families
from facealign.spec import CropSpec, Scheme

__all__ = [
    "AssetSpec",
    "Card",
    "Exportable",
    "Family",
    "KeySignature",
    "Shapes",
    "discover_families",
]

Shapes = Mapping[str, Sequence[int]]


@dataclass(frozen=True, slots=True)
class KeySignature:
    """State-dict keys that tell a family apart.

    A checkpoint is of the family if every key of `required` is in it and none of `excluded` is.
    """

    required: tuple[str, ...]
    excluded: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AssetSpec:
    """A side file that the network needs and its checkpoint does not hold.

    Attributes:
        name: As in ``--asset NAME=FILE``.
        meaning: What it is, in half a sentence.
        where: Where the authors publish it, or how it is made.
        read: From a path and the hyper-parameters to the array; raises `AssetError`.
    """

    name: str
    meaning: str
    where: str
    read: Callable[..., NDArray[np.float32]]


@dataclass(frozen=True, slots=True)
class Card:
    """Facts about a family that users ask for."""

    title: str
    paper: str
    code: str
    code_licence: str
    published: str


class Exportable(nn.Module):
    """Base of the modules made for tracing: uint8 BGR crops in, named tensors out.

    `output_names` lists what `forward` returns, in order. The contract's outputs come first; the
    others are the probes, the named points that the first-divergence finder compares.
    """

    output_names: tuple[str, ...]

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """Return one tensor per output name from ``(B, H, W, 3)`` uint8 crops."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class Family:
    """One published architecture, from state-dict shapes to an exportable module.

    Attributes:
        name: Folder name, such as ``slpt``.
        signature: Which checkpoints are of this family.
        card: Facts for people.
        assets: Side files, each by name.
        unused_keys: Prefixes of keys that inference never reads.
        settings: Hyper-parameters that no shape shows and `--set` may change, with what they mean.
        read_hyperparameters: From shapes and settings to the family's frozen dataclass. Raises
            `KeyError` for a missing key and `StateDictError` for a setting that cannot be.
        describe: From hyper-parameters to one short line, such as ``SLPT-6, 98 landmarks``.
        tiny: Smallest hyper-parameters that keep every part.
        tiny_assets: From those to made-up side files, as `AssetSpec.read` gives them; for tests.
        build_network: From hyper-parameters and assets to the reference module, untrained.
        reference: From that module and ``(B, H, W, 3)`` uint8 crops to every named point, the
            authors' way.
        build_exportable: From the trained reference module to the module that is traced.
        crop: Crop rule, from hyper-parameters.
        scheme: Landmark set, from hyper-parameters.
    """

    name: str
    signature: KeySignature
    card: Card
    assets: tuple[AssetSpec, ...]
    unused_keys: tuple[str, ...]
    settings: Mapping[str, str]
    read_hyperparameters: Callable[[Shapes, Mapping[str, int]], Any]
    describe: Callable[[Any], str]
    tiny: Callable[[], Any]
    tiny_assets: Callable[[Any], Mapping[str, NDArray[np.float32]]]
    build_network: Callable[[Any, Mapping[str, NDArray[np.float32]]], nn.Module]
    reference: Callable[[Any, Tensor], dict[str, Tensor]]
    build_exportable: Callable[[Any], Exportable]
    crop: Callable[[Any], CropSpec]
    scheme: Callable[[Any], Scheme]


@cache
def discover_families() -> tuple[Family, ...]:
    """Return the `FAMILY` of every folder in `families/`, by name."""
    names = sorted(module.name for module in pkgutil.iter_modules(families.__path__))
    modules = (importlib.import_module(f"{families.__name__}.{name}") for name in names)
    return tuple(module.FAMILY for module in modules)
