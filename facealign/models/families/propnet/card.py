"""PropNet: facts for people, crop rule and landmark set."""

from __future__ import annotations

from facealign.models.families.propnet.hyperparameters import PropNetHyperparameters
from facealign.models.family import Card
from facealign.spec import CropSpec, Scheme, SquareRule, scheme_by_count

__all__ = ["card", "crop_spec", "describe", "scheme"]

_CARD = Card(
    title="PropNet, PropagationNet (re-implementation from the paper)",
    paper="Huang et al., CVPRW 2020, "
    "PropagationNet: Propagate Points to Curve to Learn Structure Information",
    code="none published",
    code_licence="none",
    published="WFLW full set: NME 4.05 % (the paper, of its authors' own weights)",
    written_from="the paper",
    notes=(
        "No weights of the authors exist, so this fits networks built like it only; its key names "
        "are ours. Size and operations were checked against the paper's Table 8. Choices where the "
        "paper is silent: input RGB from 0 to 1; a crop of 1.25 times the longer side of the box; "
        "five 7x7 convolutions from landmarks to boundaries, the last linear, boundaries not "
        "activated; attention per channel; cell a of a heat map at (a + 0.5) of its cells, as in "
        "AWing; no shift for peaks on the border. The propagation module behind the last "
        "hourglass only serves the training, and is not in the graph."
    ),
)
_SIDE_FACTOR = 1.25  # ours; the same as HRNet's


def card(_: PropNetHyperparameters) -> Card:
    """Return the facts; they are the same for every size."""
    return _CARD


def crop_spec(hyperparameters: PropNetHyperparameters) -> CropSpec:
    """Return our rule, the same for a detector's box and for that of landmarks."""
    rule = SquareRule(side_factor=_SIDE_FACTOR, centre="exact")
    return CropSpec(size_px=hyperparameters.crop_size_px, from_box=rule, from_landmarks=rule)


def scheme(hyperparameters: PropNetHyperparameters) -> Scheme:
    """Return the landmark set."""
    return scheme_by_count(hyperparameters.landmark_count)


def describe(hyperparameters: PropNetHyperparameters) -> str:
    """Return one line that tells the variant."""
    return (
        f"PropNet of {hyperparameters.stack_count} hourglasses, "
        f"{hyperparameters.landmark_count} landmarks, "
        f"{hyperparameters.boundary_count} boundaries, width {hyperparameters.width}"
    )
