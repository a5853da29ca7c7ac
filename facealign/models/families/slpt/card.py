"""SLPT: facts for people, crop rule and landmark set."""

from __future__ import annotations

from facealign.models.families.slpt.hyperparameters import SlptHyperparameters
from facealign.models.family import Card
from facealign.spec import CropSpec, Scheme, SquareRule, scheme_by_count

__all__ = ["card", "crop_spec", "describe", "scheme"]

_CARD = Card(
    title="SLPT, Sparse Local Patch Transformer",
    paper="Xia et al., CVPR 2022, Sparse Local Patch Transformer for Robust Face Alignment",
    code="Jiahao-UTS/SLPT-master",
    code_licence="GPL-2.0",
    published="WFLW full set: NME 4.143 % with 6 layers, 4.128 % with 12 (the authors' README)",
)


def card(_: SlptHyperparameters) -> Card:
    """Return the facts; they are the same for every depth."""
    return _CARD


def crop_spec(hyperparameters: SlptHyperparameters) -> CropSpec:
    """Return the rules of Camera.py (detector's box) and test.py (landmarks), SPEC 3.2."""
    return CropSpec(
        size_px=hyperparameters.crop_size_px,
        from_box=SquareRule(side_factor=1.15, centre="integer"),
        from_landmarks=SquareRule(side_factor=1.2, centre="exact"),
    )


def scheme(hyperparameters: SlptHyperparameters) -> Scheme:
    """Return the landmark set; the authors publish WFLW's only."""
    return scheme_by_count(hyperparameters.landmark_count)


def describe(hyperparameters: SlptHyperparameters) -> str:
    """Return one line that tells the variant."""
    return (
        f"SLPT with {hyperparameters.layer_count} layers, {hyperparameters.landmark_count} "
        f"landmarks, width {hyperparameters.width}, "
        f"HRNet {hyperparameters.backbone.stages[-1].channels}"
    )
