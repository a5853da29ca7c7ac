"""SDFL (Lin et al., IEEE TIP 2021): any backbone, and landmarks that speak along a graph."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from facealign.models.blocks.folded_graph import points_as_traced
from facealign.models.blocks.normalisation import z_score
from facealign.models.families.sdfl.card import card, describe, scheme
from facealign.models.families.sdfl.exportable import ExportableSdfl
from facealign.models.families.sdfl.heads import HEADS
from facealign.models.families.sdfl.heads.dynamic import is_identity_key
from facealign.models.families.sdfl.hyperparameters import SdflHyperparameters
from facealign.models.families.sdfl.network import Sdfl
from facealign.models.family import AssetSpec, Family, KeySignature
from facealign.models.landmark_graph import GRAPH, graph_asset, made_up_graph
from facealign.models.structure_coherency import (
    crop_spec,
    is_constant_of_backbone,
    is_unused_of_backbone,
)

__all__ = ["FAMILY"]


def _assets(hyperparameters: SdflHyperparameters) -> tuple[AssetSpec, ...]:
    sizes = hyperparameters.sizes
    if sizes.edge_count is None:
        return ()
    return (graph_asset(sizes.landmark_count, sizes.edge_count),)


def _made_up_assets(hyperparameters: SdflHyperparameters) -> dict[str, NDArray[np.float32]]:
    sizes = hyperparameters.sizes
    if sizes.edge_count is None:
        return {}
    return {GRAPH: made_up_graph(sizes.landmark_count, sizes.edge_count)}


def _build_network(
    hyperparameters: SdflHyperparameters, assets: Mapping[str, NDArray[np.float32]]
) -> Sdfl:
    pattern = torch.from_numpy(assets[GRAPH].copy()) if GRAPH in assets else None
    return Sdfl(hyperparameters, pattern)


def _reference(network: Sdfl, crops: Tensor) -> dict[str, Tensor]:
    points = network(z_score(crops))
    return points_as_traced(points, size_px=network.hyperparameters.crop_size_px)


def _is_constant(key: str, shape: Sequence[int]) -> bool:
    return is_constant_of_backbone(key, shape) or is_identity_key(key)


FAMILY = Family(
    name="sdfl",
    signatures=tuple(KeySignature(required=head.keys) for head in HEADS),
    card=card,
    assets=_assets,
    settings={},
    read_hyperparameters=SdflHyperparameters.from_shapes,
    describe=describe,
    tiny=SdflHyperparameters.tiny,
    made_up_assets=_made_up_assets,
    build_network=_build_network,
    reference=_reference,
    build_exportable=ExportableSdfl,
    crop=crop_spec,
    scheme=scheme,
    is_unused=is_unused_of_backbone,
    is_constant=_is_constant,
)
