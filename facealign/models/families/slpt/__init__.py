"""SLPT (Xia et al., CVPR 2022): patches around landmarks, related by a transformer."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from facealign.models.blocks.imagenet import normalised_image
from facealign.models.families.slpt.card import card, crop_spec, describe, scheme
from facealign.models.families.slpt.exportable import ExportableSlpt
from facealign.models.families.slpt.hyperparameters import SlptHyperparameters
from facealign.models.families.slpt.mean_shape import read_mean_shape
from facealign.models.families.slpt.network import Slpt
from facealign.models.family import AssetSpec, Family, KeySignature

__all__ = ["FAMILY"]

_MEAN_SHAPE = "mean-shape"
_ASSETS = (
    AssetSpec(
        name=_MEAN_SHAPE,
        meaning="the mean face that the first stage starts from",
        where="Config/init_98.npz of the authors' repository, "
        "or computed from a WFLW annotation list (list_98pt_rect_attr_train.txt)",
        read=read_mean_shape,
    ),
)


def _build_network(
    hyperparameters: SlptHyperparameters, assets: Mapping[str, NDArray[np.float32]]
) -> Slpt:
    return Slpt(hyperparameters, torch.from_numpy(assets[_MEAN_SHAPE].copy()))


def _made_up_assets(hyperparameters: SlptHyperparameters) -> dict[str, NDArray[np.float32]]:
    """Return landmarks all over the crop; those near its border make the boxes clamp."""
    rng = np.random.default_rng(0)
    shape = rng.uniform(0.02, 0.98, (hyperparameters.landmark_count, 2))
    return {_MEAN_SHAPE: shape.astype(np.float32)}


def _reference(network: Slpt, crops: Tensor) -> dict[str, Tensor]:
    points: dict[str, Tensor] = network(normalised_image(crops))
    points["landmarks"] = points[f"stage{network.hyperparameters.stage_count}.landmarks"]
    return points


FAMILY = Family(
    name="slpt",
    signatures=(
        KeySignature(
            required=(
                "feature_extractor.weight",
                "Transformer.structure_encoding",
                "Transformer.landmark_query",
                "Transformer.Transformer_block.layers.0.self_attn.in_proj_weight",
                "Transformer.Transformer_block.layers.0.multihead_attn.in_proj_weight",
                "Transformer.Transformer_block.norm.weight",
                "out_layer.weight",
                "backbone.conv1.weight",
                "backbone.stage4.0.branches.3.0.conv1.weight",
                "backbone.head.0.weight",
            )
        ),
    ),
    card=card,
    assets=lambda _: _ASSETS,
    is_unused=lambda key, _: key.startswith("feature_norm."),
    settings={"heads": "attention heads, which no tensor shape shows (default 8)"},
    read_hyperparameters=SlptHyperparameters.from_shapes,
    describe=describe,
    tiny=lambda: {"slpt": SlptHyperparameters.tiny()},
    made_up_assets=_made_up_assets,
    build_network=_build_network,
    reference=_reference,
    build_exportable=ExportableSlpt,
    crop=crop_spec,
    scheme=scheme,
)
