"""SDFL: facts for people, crop rule and landmark set."""

from __future__ import annotations

from facealign.models.backbone import backbone_by_name
from facealign.models.families.sdfl.heads import head_by_name
from facealign.models.families.sdfl.hyperparameters import SdflHyperparameters
from facealign.models.family import Card
from facealign.spec import CropSpec, Scheme, SquareRule, scheme_by_count

__all__ = ["card", "crop_spec", "describe", "scheme"]

# The authors cut 256 px out of the middle of a picture of 300 px that shows 1.2 times the box of
# the landmarks (SPEC 4.2; the 300 px are inferred from their augmentation).
_SIDE_FACTOR = 1.2 * 256 / 300
_NOTES = (
    "The authors define no crop for a detected face. This one is what their training pictures "
    "imply: 1.2 times the longer side of the box at 300 px, of which the middle 256 px are used."
)
_DYNAMIC_NOTES = (
    " The graph is weighted as in the authors' code, which normalises the columns of the adjacency "
    "and computes it from the backbone's map; the paper says rows, and the landmarks' features."
)


def card(hyperparameters: SdflHyperparameters) -> Card:
    """Return the facts; the head adds a note."""
    is_dynamic = hyperparameters.head_name == "dynamic"
    backbone = backbone_by_name(hyperparameters.backbone.name)
    return Card(
        title="SDFL, Structure-Coherent Deep Feature Learning",
        paper="Lin, Zhu et al., IEEE TIP 2021, "
        "Structure-Coherent Deep Feature Learning for Robust Face Alignment",
        code="BeierZhu/Sturcture-Coherency-Face-Alignment",
        code_licence="none given (all rights reserved)",
        published="see the paper",
        written_from="the paper" if backbone.written_from == "the paper" else "the authors' code",
        notes=_NOTES + (_DYNAMIC_NOTES if is_dynamic else ""),
    )


def crop_spec(hyperparameters: SdflHyperparameters) -> CropSpec:
    """Return our rule, the same for a detector's box and for that of landmarks (SPEC 4.2)."""
    rule = SquareRule(side_factor=_SIDE_FACTOR, centre="exact")
    return CropSpec(size_px=hyperparameters.crop_size_px, from_box=rule, from_landmarks=rule)


def scheme(hyperparameters: SdflHyperparameters) -> Scheme:
    """Return the landmark set."""
    return scheme_by_count(hyperparameters.sizes.landmark_count)


def describe(hyperparameters: SdflHyperparameters) -> str:
    """Return one line that tells the variant."""
    choice, sizes = hyperparameters.backbone, hyperparameters.sizes
    head = head_by_name(hyperparameters.head_name)
    text = (
        f"SDFL, {backbone_by_name(choice.name).describe(choice.sizes)} with {head.meaning}, "
        f"{sizes.landmark_count} landmarks"
    )
    return text if sizes.edge_count is None else f"{text}, {sizes.edge_count} edges"
