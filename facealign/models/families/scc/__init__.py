"""SCC (Zhu et al., arXiv 2006.11697): three maps, and landmarks that speak along a graph."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from facealign.models.blocks.folded_graph import points_as_traced
from facealign.models.blocks.normalisation import z_score
from facealign.models.families.scc.card import card, describe, scheme
from facealign.models.families.scc.exportable import ExportableScc
from facealign.models.families.scc.hyperparameters import SIGNATURE_KEYS, SccHyperparameters
from facealign.models.families.scc.network import Scc
from facealign.models.family import AssetSpec, Family, KeySignature
from facealign.models.landmark_graph import GRAPH, graph_asset, made_up_graph
from facealign.models.structure_coherency import (
    crop_spec,
    is_constant_of_backbone,
    is_unused_of_backbone,
)

__all__ = ["FAMILY"]


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
    is_unused=is_unused_of_backbone,
    is_constant=is_constant_of_backbone,
)
