"""HRNet heat maps: facts for people, crop rule and landmark set."""

from __future__ import annotations

from facealign.models.families.hrnet.hyperparameters import HrnetFacialHyperparameters
from facealign.models.family import Card
from facealign.spec import CropSpec, Scheme, SquareRule, scheme_by_count

__all__ = ["card", "crop_spec", "describe", "scheme"]

_CARD = Card(
    title="HRNet, high-resolution network with heat maps",
    paper="Sun et al., arXiv 1904.04514, "
    "High-Resolution Representations for Labeling Pixels and Regions",
    code="HRNet/HRNet-Facial-Landmark-Detection",
    code_licence="MIT",
    published="see the paper and the authors' README",
    notes=(
        "The authors cut whole pixels out of the frame and then resize them; this crop has the "
        "same size, 1.25 times the longer side of the box, but its centre and its side are exact. "
        "Landmarks are in pixels from 0, where the authors number from 1."
    ),
)
_SIDE_FACTOR = 1.25  # of the authors' test, on the box that their annotation lists give (SPEC 5)


def card(_: HrnetFacialHyperparameters) -> Card:
    """Return the facts; they are the same for every size."""
    return _CARD


def crop_spec(hyperparameters: HrnetFacialHyperparameters) -> CropSpec:
    """Return the authors' size with an exact centre, for a detector's box and for landmarks."""
    rule = SquareRule(side_factor=_SIDE_FACTOR, centre="exact")
    return CropSpec(size_px=hyperparameters.crop_size_px, from_box=rule, from_landmarks=rule)


def scheme(hyperparameters: HrnetFacialHyperparameters) -> Scheme:
    """Return the landmark set; the authors publish four."""
    return scheme_by_count(hyperparameters.landmark_count)


def describe(hyperparameters: HrnetFacialHyperparameters) -> str:
    """Return one line that tells the variant."""
    channels = hyperparameters.backbone.stages[-1].channels
    return f"HRNet-W{channels[0]} heat maps, {hyperparameters.landmark_count} landmarks"
