"""SDFL: facts for people, and landmark set."""

from __future__ import annotations

from facealign.models.backbone import backbone_by_name
from facealign.models.families.sdfl.heads import head_by_name
from facealign.models.families.sdfl.hyperparameters import SdflHyperparameters
from facealign.models.family import Card
from facealign.models.structure_coherency import code_card
from facealign.spec import Scheme, scheme_by_count

__all__ = ["card", "describe", "scheme"]

_DYNAMIC_NOTES = (
    "The graph is weighted as in the authors' code, which normalises the columns of the adjacency "
    "and computes it from the backbone's map; the paper says rows, and the landmarks' features."
)


def card(hyperparameters: SdflHyperparameters) -> Card:
    """Return the facts; the head adds a note."""
    is_dynamic = hyperparameters.head_name == "dynamic"
    return code_card(
        "SDFL, Structure-Coherent Deep Feature Learning",
        "Lin, Zhu et al., IEEE TIP 2021, "
        "Structure-Coherent Deep Feature Learning for Robust Face Alignment",
        published="see the paper",
        backbone=hyperparameters.backbone,
        notes=_DYNAMIC_NOTES if is_dynamic else "",
    )


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
