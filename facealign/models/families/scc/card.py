"""SCC: facts for people, crop rule and landmark set."""

from __future__ import annotations

from facealign.models.backbone import backbone_by_name
from facealign.models.families.scc.hyperparameters import SccHyperparameters
from facealign.models.family import Card
from facealign.spec import CropSpec, Scheme, SquareRule, scheme_by_count

__all__ = ["card", "crop_spec", "describe", "scheme"]

# The authors cut 256 px out of the middle of a picture of 300 px that shows 1.2 times the box of
# the landmarks (SPEC 4.2; the 300 px are inferred from their augmentation).
_SIDE_FACTOR = 1.2 * 256 / 300
_CROP_NOTES = (
    "The authors define no crop for a detected face. This one is what their training pictures "
    "imply: 1.2 times the longer side of the box at 300 px, of which the middle 256 px are used. "
)
_LEARNED_NOTES = (
    "The released code learns one adjacency for all images; the paper's, to which the published "
    "figures belong, is computed from each."
)
_WEIGHTED_NOTES = (
    "No released code has the paper's adjacency, which is computed from each image; this is a "
    "reading of the paper, and fits no checkpoint but of networks built like it. Its choices: the "
    "logits of the N (k + 1) row-wise edges come from the mean of every landmark's channels "
    "through two linear layers; a softmax over each row; one adjacency and, as in eq. 4, one "
    "weight per graph convolution."
)


def card(hyperparameters: SccHyperparameters) -> Card:
    """Return the facts; where they were taken from depends on the form of the graph."""
    is_learned = hyperparameters.adjacency == "learned"
    backbone = backbone_by_name(hyperparameters.backbone.name)
    is_of_code = is_learned and backbone.written_from != "the paper"
    return Card(
        title="SCC, Structure Coherence Component",
        paper="Zhu et al., arXiv 2006.11697, "
        "Fast and Accurate: Structure Coherence Component for Face Alignment",
        code="BeierZhu/Sturcture-Coherency-Face-Alignment",
        code_licence="none given (all rights reserved)",
        published="WFLW full set: NME 4.40 %; 300W 3.28 %, COFW 3.63 % "
        "(the paper, as a leaderboard has it)",
        written_from="the authors' code" if is_of_code else "the paper",
        notes=_CROP_NOTES + (_LEARNED_NOTES if is_learned else _WEIGHTED_NOTES),
    )


def crop_spec(hyperparameters: SccHyperparameters) -> CropSpec:
    """Return our rule, the same for a detector's box and for that of landmarks (SPEC 4.2)."""
    rule = SquareRule(side_factor=_SIDE_FACTOR, centre="exact")
    return CropSpec(size_px=hyperparameters.crop_size_px, from_box=rule, from_landmarks=rule)


def scheme(hyperparameters: SccHyperparameters) -> Scheme:
    """Return the landmark set."""
    return scheme_by_count(hyperparameters.landmark_count)


def describe(hyperparameters: SccHyperparameters) -> str:
    """Return one line that tells the variant."""
    choice = hyperparameters.backbone
    graph = "a learned graph" if hyperparameters.adjacency == "learned" else "the paper's graph"
    biased = " and biased convolutions" if hyperparameters.embedding.has_bias else ""
    return (
        f"SCC, {backbone_by_name(choice.name).describe(choice.sizes)} with {graph}{biased}, "
        f"{hyperparameters.landmark_count} landmarks, {hyperparameters.graph.edge_count} edges"
    )
