"""SCC (Zhu et al., arXiv 2006.11697): three maps, and landmarks that speak along a graph."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from facealign.models.backbone import discover_backbones
from facealign.models.blocks.folded_graph import points_as_traced
from facealign.models.blocks.normalisation import z_score
from facealign.models.families.scc.card import card, crop_spec, describe, scheme
from facealign.models.families.scc.exportable import ExportableScc
from facealign.models.families.scc.hyperparameters import SIGNATURE_KEYS, SccHyperparameters
from facealign.models.families.scc.network import Scc
from facealign.models.family import AssetSpec, Family, KeySignature
from facealign.models.landmark_graph import GRAPH, graph_asset, made_up_graph

__all__ = ["FAMILY"]

_PREFIX = "backbone."


def _assets(hyperparameters: SccHyperparameters) -> tuple[AssetSpec, ...]:
    return (
        graph_asset(
            hyperparameters.landmark_count,
            hyperparameters.graph.edge_count,
            is_symmetric=hyperparameters.adjacency == "learned",
        ),
    )


def _made_up_assets(hyperparameters: SccHyperparameters) -> dict[str, NDArray[np.float32]]:
    graph = made_up_graph(
        hyperparameters.landmark_count,
        hyperparameters.graph.edge_count,
        is_symmetric=hyperparameters.adjacency == "learned",
    )
    return {GRAPH: graph}


def _build_network(
    hyperparameters: SccHyperparameters, assets: Mapping[str, NDArray[np.float32]]
) -> Scc:
    return Scc(hyperparameters, torch.from_numpy(assets[GRAPH].copy()))


def _reference(network: Scc, crops: Tensor) -> dict[str, Tensor]:
    sizes = network.hyperparameters
    return points_as_traced(
        network(z_score(crops)),
        size_px=sizes.crop_size_px,
        is_split=sizes.adjacency == "learned",
    )


def _is_unused(key: str, shape: Sequence[int]) -> bool:
    own = key.removeprefix(_PREFIX)
    return own != key and any(each.is_unused(own, shape) for each in discover_backbones())


def _is_constant(key: str, _: Sequence[int]) -> bool:
    own = key.removeprefix(_PREFIX)
    return own != key and any(each.is_constant(own) for each in discover_backbones())


FAMILY = Family(
    name="scc",
    signatures=tuple(KeySignature(required=keys) for keys in SIGNATURE_KEYS),
    card=card,
    assets=_assets,
    settings={},
    read_hyperparameters=SccHyperparameters.from_shapes,
    describe=describe,
    tiny=SccHyperparameters.tiny,
    made_up_assets=_made_up_assets,
    build_network=_build_network,
    reference=_reference,
    build_exportable=ExportableScc,
    crop=crop_spec,
    scheme=scheme,
    is_unused=_is_unused,
    is_constant=_is_constant,
)
