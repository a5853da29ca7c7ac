"""SPIGA: facts for people, crop rule and landmark set."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from facealign.models.families.spiga.hyperparameters import SpigaHyperparameters
from facealign.models.family import Card
from facealign.spec import CropSpec, Scheme, SquareRule, scheme_by_count

__all__ = ["card", "crop_spec", "describe", "scheme"]

_RULE = SquareRule(side_factor=1.6, centre="exact")

# Source: the authors' own metrics files, or recomputed from their published results (SPEC 8).
_PUBLISHED: Mapping[int, str] = MappingProxyType(
    {
        98: "WFLW full set: NME 4.060 % of the distance of the outer eye corners "
        "(the authors' metrics file)",
        68: "300W public: NME 2.994 % of the distance of the outer eye corners; 300W private: "
        "2.031 %, and COFW-68: 2.517 %, of the root of width times height of the landmarks' box "
        "(recomputed from the authors' published results)",
    }
)


def card(hyperparameters: SpigaHyperparameters) -> Card:
    """Return the facts; the published accuracy is that of the landmark set."""
    return Card(
        title="SPIGA, Shape Preserving Facial Landmarks with Graph Attention Networks",
        paper="Prados-Torreblanca, Buenaposada and Baumela, BMVC 2022, Shape Preserving Facial "
        "Landmarks with Graph Attention Networks",
        code="andresprados/SPIGA",
        code_licence="BSD-3-Clause",
        published=_PUBLISHED.get(
            hyperparameters.landmark_count, "none for this number of landmarks"
        ),
        notes="The crop is read with nearest neighbour and in BGR order, as the authors' code "
        "does; the paper does not say so. The pose is as seen by the crop's own camera, whose "
        "focal length is 1.5 crops.",
    )


def crop_spec(hyperparameters: SpigaHyperparameters) -> CropSpec:
    """Return the rule of SPEC 2.2; the authors crop around each data set's boxes only."""
    return CropSpec(
        size_px=hyperparameters.crop_size_px,
        from_box=_RULE,
        from_landmarks=_RULE,
        interpolation="nearest",
    )


def scheme(hyperparameters: SpigaHyperparameters) -> Scheme:
    """Return the landmark set."""
    return scheme_by_count(hyperparameters.landmark_count)


def describe(hyperparameters: SpigaHyperparameters) -> str:
    """Return one line that tells the variant."""
    return (
        f"SPIGA with {hyperparameters.stack_count} hourglasses of {hyperparameters.channels} "
        f"channels, {hyperparameters.step_count} steps, {hyperparameters.landmark_count} landmarks"
    )
