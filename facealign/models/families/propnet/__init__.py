"""PropNet (Huang et al., CVPRW 2020): hourglasses weighted by the boundaries of the face."""

from __future__ import annotations

from torch import Tensor

from facealign.models.blocks.heat_map_decode import decode_heat_maps, undecided_peaks
from facealign.models.families.propnet.card import card, crop_spec, describe, scheme
from facealign.models.families.propnet.exportable import ExportablePropNet
from facealign.models.families.propnet.hyperparameters import PropNetHyperparameters
from facealign.models.families.propnet.network import PEAK_RULE, PropNet, image_from_crops
from facealign.models.family import Family, KeySignature

__all__ = ["FAMILY"]


def _reference(network: PropNet, crops: Tensor) -> dict[str, Tensor]:
    stack_count = network.hyperparameters.stack_count
    points: dict[str, Tensor] = network(image_from_crops(crops))
    heat_maps = points[f"stack{stack_count}.heat_maps"]
    points["landmarks"], points["score"] = decode_heat_maps(heat_maps, PEAK_RULE)
    points["undecided"] = undecided_peaks(heat_maps, PEAK_RULE)
    return points


FAMILY = Family(
    name="propnet",
    signatures=(
        KeySignature(
            required=(
                "stem.conv.weight",
                "stem.block1.conv1.weight",
                "stacks.0.positions.weight",
                "stacks.0.hourglass.bottom.conv1.weight",
                "stacks.0.heat_maps.weight",
                "propagations.0.boundaries.0.weight",
                "propagations.0.fuse.weight",
                "merge_features.0.weight",
                "merge_preds.0.weight",
            )
        ),
    ),
    card=card,
    assets=lambda _: (),
    settings={},
    read_hyperparameters=PropNetHyperparameters.from_shapes,
    describe=describe,
    tiny=PropNetHyperparameters.tiny,
    made_up_assets=lambda _: {},
    build_network=lambda hyperparameters, _: PropNet(hyperparameters),
    reference=_reference,
    build_exportable=ExportablePropNet,
    crop=crop_spec,
    scheme=scheme,
    extra_outputs=("score",),
    is_unused=lambda key, _: key.startswith("last_propagation."),
    is_constant=lambda key, _: key.endswith(".filt"),
)
