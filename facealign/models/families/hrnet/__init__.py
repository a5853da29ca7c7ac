"""HRNet with heat maps (Sun et al., 2019): the authors' facial landmark networks."""

from __future__ import annotations

from torch import Tensor

from facealign.models.blocks.heat_map_decode import decode_heat_maps, undecided_peaks
from facealign.models.blocks.imagenet import normalised_image
from facealign.models.families.hrnet.card import card, crop_spec, describe, scheme
from facealign.models.families.hrnet.exportable import ExportableHrnetFacial
from facealign.models.families.hrnet.hyperparameters import HrnetFacialHyperparameters
from facealign.models.families.hrnet.network import PEAK_RULE, HrnetFacial
from facealign.models.family import Family, KeySignature

__all__ = ["FAMILY"]


def _reference(network: HrnetFacial, crops: Tensor) -> dict[str, Tensor]:
    points: dict[str, Tensor] = network(normalised_image(crops))
    heat_maps = points["heat_maps"]
    points["landmarks"], points["score"] = decode_heat_maps(heat_maps, PEAK_RULE)
    points["undecided"] = undecided_peaks(heat_maps, PEAK_RULE)
    return points


FAMILY = Family(
    name="hrnet",
    signatures=(
        KeySignature(
            required=(
                "conv1.weight",
                "layer1.0.conv1.weight",
                "stage4.0.branches.3.0.conv1.weight",
                "head.0.weight",
                "head.1.running_mean",
                "head.3.weight",
            )
        ),
    ),
    card=card,
    assets=lambda _: (),
    settings={},
    read_hyperparameters=HrnetFacialHyperparameters.from_shapes,
    describe=describe,
    tiny=HrnetFacialHyperparameters.tiny,
    made_up_assets=lambda _: {},
    build_network=lambda hyperparameters, _: HrnetFacial(hyperparameters),
    reference=_reference,
    build_exportable=ExportableHrnetFacial,
    crop=crop_spec,
    scheme=scheme,
    extra_outputs=("score",),
)
