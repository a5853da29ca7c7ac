"""SPIGA (Prados-Torreblanca et al., BMVC 2022): a pose, and graph attention between landmarks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from facealign.models.families.spiga.card import card, crop_spec, describe, scheme
from facealign.models.families.spiga.edges import is_known_edge_table
from facealign.models.families.spiga.exportable import ExportableSpiga
from facealign.models.families.spiga.face_model import read_face_model
from facealign.models.families.spiga.hyperparameters import SpigaHyperparameters
from facealign.models.families.spiga.network import Spiga
from facealign.models.families.spiga.reference import build_exact, reference
from facealign.models.family import AssetSpec, Family, KeySignature

__all__ = ["FAMILY"]

_FACE_MODEL = "face-model"
_ASSETS = (
    AssetSpec(
        name=_FACE_MODEL,
        meaning="the 3-D face that the pose puts into the crop",
        where="mean_face_3D_98.txt or mean_face_3D_68.txt of the authors' repository",
        read=read_face_model,
    ),
)
_EDGE_TABLE = "visual_cnn.E2Ptransform.edge2point"
_CONSTANTS = (
    "diagonal_mask",
    "visual_cnn.pre.0.xx_channel",
    "visual_cnn.pre.0.yy_channel",
    "visual_cnn.E2Ptransform.ones",
)


def _is_constant(key: str, shape: Sequence[int]) -> bool:
    """Return whether the network computes a tensor; edges of other landmark sets are data."""
    if key == _EDGE_TABLE:
        return is_known_edge_table(shape)
    return key in _CONSTANTS or key.startswith("theta_S.")


def _is_unused(key: str, shape: Sequence[int]) -> bool:
    """Return whether a residual block keeps a skip convolution that it has no use for."""
    return key.endswith(".skip_layer.conv.weight") and shape[0] == shape[1]


def _build_network(
    hyperparameters: SpigaHyperparameters, assets: Mapping[str, NDArray[np.float32]]
) -> Spiga:
    return Spiga(hyperparameters, torch.from_numpy(assets[_FACE_MODEL].copy()))


def _made_up_assets(hyperparameters: SpigaHyperparameters) -> dict[str, NDArray[np.float32]]:
    """Return points all over a bulging disk that faces the camera, as wide as the authors' face."""
    rng = np.random.default_rng(0)
    count = hyperparameters.landmark_count
    radius, angle = 0.6 * np.sqrt(rng.uniform(0, 1, count)), rng.uniform(0, 2 * np.pi, count)
    y, z = radius * np.cos(angle), radius * np.sin(angle)
    points = np.stack([0.35 - 0.8 * radius**2, y, z], axis=1)
    return {_FACE_MODEL: points.astype(np.float32)}


FAMILY = Family(
    name="spiga",
    signatures=(
        KeySignature(
            required=(
                "visual_cnn.pre.1.conv.weight",
                "visual_cnn.hgs.0.up1.bn1.weight",
                "visual_cnn.hgs_core.0.0.bn1.weight",
                "visual_cnn.outs_edges.0.0.conv.weight",
                "visual_cnn.merge_preds.0.conv.weight",
                "pose_fc.weight",
                "shape_encoder.0.encoder.0.weight",
                "conv_window.0.weight",
                "gcn.0.gat.0.attention.attn.merge.weight",
                "gcn.0.decoder.decoder.0.weight",
            )
        ),
    ),
    card=card,
    assets=lambda _: _ASSETS,
    settings={"heads": "attention heads, which no tensor shape shows (default 4)"},
    read_hyperparameters=SpigaHyperparameters.from_shapes,
    describe=describe,
    tiny=SpigaHyperparameters.tiny,
    made_up_assets=_made_up_assets,
    build_network=_build_network,
    build_exact=build_exact,
    reference=reference,
    build_exportable=ExportableSpiga,
    crop=crop_spec,
    scheme=scheme,
    extra_outputs=("pose",),
    is_unused=_is_unused,
    is_constant=_is_constant,
)
