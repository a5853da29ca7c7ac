"""SCC: facts for people, and landmark set."""

from __future__ import annotations

from facealign.models.backbone import backbone_by_name
from facealign.models.families.scc.hyperparameters import SccHyperparameters
from facealign.models.family import Card
from facealign.models.structure_coherency import code_card
from facealign.spec import Scheme, scheme_by_count

__all__ = ["card", "describe", "scheme"]

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
    return code_card(
        "SCC, Structure Coherence Component",
        "Zhu et al., arXiv 2006.11697, "
        "Fast and Accurate: Structure Coherence Component for Face Alignment",
        published="WFLW full set: NME 4.40 %; 300W 3.28 %, COFW 3.63 % "
        "(the paper, as a leaderboard has it)",
        backbone=hyperparameters.backbone,
        is_head_of_code=is_learned,
        notes=_LEARNED_NOTES if is_learned else _WEIGHTED_NOTES,
    )


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
