"""What a family tells the compiler; each folder of `families/` holds one such `FAMILY`."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from facealign.models import families
from facealign.models.backbone import Shapes
from facealign.spec import CropSpec, ExtraOutput, Scheme

__all__ = [
    "AssetSpec",
    "Card",
    "Exportable",
    "Family",
    "KeySignature",
    "Shapes",
    "discover_families",
]


@dataclass(frozen=True, slots=True)
class KeySignature:
    """State-dict keys that tell a family, or a form of it, apart.

    A checkpoint fits if every key of `required` is in it and none of `excluded` is.
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
    """Facts about a network that users ask for.

    Attributes:
        title: Its name, short and long.
        paper: Authors, venue and title.
        code: Repository of the authors' code.
        code_licence: Licence of that code.
        published: Accuracy that the authors publish, with its data set and norm.
        written_from: What the network was written from: ``the authors' code`` (its facts, and its
            outputs, to compare with), or ``the paper`` alone, and then no weights of others fit.
        notes: What else a user must know, such as a choice that the authors leave open.
    """

    title: str
    paper: str
    code: str
    code_licence: str
    published: str
    written_from: Literal["the authors' code", "the paper"] = "the authors' code"
    notes: str = ""


class Exportable(nn.Module):
    """Base of the modules made for tracing: uint8 BGR crops in, named tensors out.

    `output_names` lists what `forward` returns, in order. The contract's outputs come first, that
    is ``landmarks`` and the family's extra outputs; the others are the probes, the named points
    that the first-divergence finder compares. No attribute may be called ``graph``: torch.fx has
    one of its own, and fails with "references nonexistent attribute".
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
        signatures: Which checkpoints are of this family: those that fit any of them.
        card: Facts for people, from hyper-parameters.
        assets: Side files that a network of these hyper-parameters needs.
        settings: Hyper-parameters that no shape shows and `--set` may change, with what they mean.
        read_hyperparameters: From shapes and settings to the family's frozen dataclass. Raises
            `KeyError` for a missing key and `StateDictError` for a setting that cannot be.
        describe: From hyper-parameters to one short line, such as ``SLPT-6, 98 landmarks``.
        tiny: The smallest hyper-parameters that keep every part, by the name of the variant.
        made_up_assets: From hyper-parameters to plausible side files, as `AssetSpec.read` gives
            them; for tests, and where only sizes matter.
        build_network: From hyper-parameters and assets to the reference module, untrained.
        reference: From that module and ``(B, H, W, 3)`` uint8 crops to every named point, the
            authors' way: the contract's outputs, the exportable's probes, and, from families whose
            landmarks are peaks, ``undecided``, ``(B, N)`` bool: where rounding alone decides
            which of two peaks is the highest, or to which side of it a landmark moves.
        build_exportable: From the trained reference module to the module that is traced.
        crop: Crop rule, from hyper-parameters.
        scheme: Landmark set, from hyper-parameters.
        extra_outputs: What the graph gives behind its landmarks.
        build_exact: From the trained reference module to a copy that computes in float64, for a
            network whose own rounding in float32 may be more than parity allows the graph.
        is_unused: Whether inference never reads a key of that shape; a checkpoint may lack it.
        is_constant: Whether the network computes the tensor of that key and shape by itself. A
            checkpoint may lack it; one that has another value there is refused.
    """

    name: str
    signatures: tuple[KeySignature, ...]
    card: Callable[[Any], Card]
    assets: Callable[[Any], tuple[AssetSpec, ...]]
    settings: Mapping[str, str]
    read_hyperparameters: Callable[[Shapes, Mapping[str, int]], Any]
    describe: Callable[[Any], str]
    tiny: Callable[[], Mapping[str, Any]]
    made_up_assets: Callable[[Any], Mapping[str, NDArray[np.float32]]]
    build_network: Callable[[Any, Mapping[str, NDArray[np.float32]]], nn.Module]
    reference: Callable[[Any, Tensor], dict[str, Tensor]]
    build_exportable: Callable[[Any], Exportable]
    crop: Callable[[Any], CropSpec]
    scheme: Callable[[Any], Scheme]
    extra_outputs: tuple[ExtraOutput, ...] = ()
    build_exact: Callable[[Any], nn.Module] | None = None
    is_unused: Callable[[str, Sequence[int]], bool] = lambda _key, _shape: False
    is_constant: Callable[[str, Sequence[int]], bool] = lambda _key, _shape: False


@cache
def discover_families() -> tuple[Family, ...]:
    """Return the `FAMILY` of every folder in `families/`, by name."""
    names = sorted(module.name for module in pkgutil.iter_modules(families.__path__))
    modules = (importlib.import_module(f"{families.__name__}.{name}") for name in names)
    return tuple(module.FAMILY for module in modules)
