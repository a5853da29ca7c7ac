"""From a checkpoint and its side files to a network with weights, ready to trace and to compare."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from facealign.models.assets import assets_beside, parse_assets, read_assets
from facealign.models.checkpoint import Checkpoint
from facealign.models.detect import Detection, load_weights
from facealign.models.family import Card, Exportable, Family
from facealign.spec import CropSpec, Scheme

__all__ = ["Asset", "Model", "assemble", "load_assets"]


@dataclass(frozen=True, slots=True)
class Asset:
    """A side file, read: its array, and name and SHA-256 of the file it came from."""

    array: NDArray[np.float32]
    file_name: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Model:
    """A network with its weights, in evaluation mode.

    Attributes:
        family: Its family.
        hyperparameters: Of the family's own class.
        network: The reference, as the authors define it.
        exportable: The module that is traced; it shares weights with `network`.
        output_names: What `exportable` returns, in order: first the contract's outputs, then the
            probes.
        assets: The side files that went in.
    """

    family: Family
    hyperparameters: Any
    network: nn.Module
    exportable: Exportable
    output_names: tuple[str, ...]
    assets: Mapping[str, Asset]
    _exact: list[nn.Module] = field(default_factory=list, init=False, repr=False, compare=False)

    @property
    def crop(self) -> CropSpec:
        """The crop rule."""
        return self.family.crop(self.hyperparameters)

    @property
    def card(self) -> Card:
        """Facts for people."""
        return self.family.card(self.hyperparameters)

    @property
    def scheme(self) -> Scheme:
        """The landmark set."""
        return self.family.scheme(self.hyperparameters)

    def points(self, crops: NDArray[np.uint8]) -> dict[str, NDArray[Any]]:
        """Return every named point of the reference network.

        Args:
            crops: ``(B, S, S, 3)`` uint8 BGR.

        Returns:
            Arrays by name, ``landmarks`` ``(B, N, 2)`` float32 among them, a fraction of the crop.
        """
        return self._points(self.network, crops)

    def exact_points(self, crops: NDArray[np.uint8]) -> dict[str, NDArray[Any]]:
        """Return the same computed in float64, several times slower, if the family needs that.

        The first call makes a copy of the network, which holds twice its memory as long as the
        model lives. Weights that change later do not reach it.
        """
        if not self._exact:
            build = self.family.build_exact
            self._exact.append(build(self.network) if build else self.network)
        return self._points(self._exact[0], crops)

    def landmarks(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return ``(B, N, 2)`` landmarks of the reference network, a fraction of the crop."""
        landmarks: NDArray[np.float32] = self.points(crops)["landmarks"]
        return landmarks

    def _points(self, network: nn.Module, crops: NDArray[np.uint8]) -> dict[str, NDArray[Any]]:
        with torch.no_grad():
            points = self.family.reference(network, torch.from_numpy(crops.copy()))
        return {name: point.numpy() for name, point in points.items()}


def load_assets(
    detection: Detection, arguments: Sequence[str], *, checkpoint: Path | None = None
) -> dict[str, Asset]:
    """Return the side files that ``--asset NAME=FILE`` arguments name.

    One that they do not name is looked for beside the checkpoint, see `assets_beside`.

    Raises:
        UsageError: If an argument cannot be understood.
        AssetError: If a side file is missing or does not fit.
    """
    family, hyperparameters = detection.family, detection.hyperparameters
    paths = parse_assets(arguments, family, hyperparameters)
    if checkpoint is not None:
        paths = {**assets_beside(checkpoint, family, hyperparameters), **paths}
    arrays = read_assets(family, hyperparameters, paths)
    return {
        name: Asset(array, paths[name].name, hashlib.sha256(paths[name].read_bytes()).hexdigest())
        for name, array in arrays.items()
    }


def assemble(checkpoint: Checkpoint, detection: Detection, assets: Mapping[str, Asset]) -> Model:
    """Return the network of a checkpoint with its weights in it.

    Raises:
        StateDictError: If the state dict does not fit the network.
    """
    family = detection.family
    arrays = {name: asset.array for name, asset in assets.items()}
    network = family.build_network(detection.hyperparameters, arrays)
    load_weights(network, checkpoint.state_dict, family)
    network.eval().requires_grad_(requires_grad=False)
    exportable = family.build_exportable(network)
    return Model(
        family=family,
        hyperparameters=detection.hyperparameters,
        network=network,
        exportable=exportable,
        output_names=exportable.output_names,
        assets=assets,
    )
