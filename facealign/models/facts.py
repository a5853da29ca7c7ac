"""What a checkpoint is, in facts for people."""

from __future__ import annotations

import math
from dataclasses import asdict

import torch
from torch.utils.flop_counter import FlopCounterMode

from facealign.models.checkpoint import Checkpoint
from facealign.models.detect import Detection

__all__ = ["checkpoint_facts", "network_macs"]

_STATISTICS = ("running_mean", "running_var")


def checkpoint_facts(checkpoint: Checkpoint, detection: Detection) -> dict[str, object]:
    """Return family, variant, sizes, needed side files and provenance, by name."""
    family, hyperparameters = detection.family, detection.hyperparameters
    learned, unused = _parameter_counts(checkpoint, detection)
    scheme, card = family.scheme(hyperparameters), family.card(hyperparameters)
    return {
        "family": family.name,
        "variant": family.describe(hyperparameters),
        "scheme": scheme.name,
        "landmark_count": scheme.landmark_count,
        "outputs": ["landmarks", *family.extra_outputs],
        "crop": asdict(family.crop(hyperparameters)),
        "tensors": len(checkpoint.state_dict),
        "parameters": learned,
        "parameters_never_used": unused,
        "macs": network_macs(detection),
        "wrapper": checkpoint.wrapper,
        "prefix": checkpoint.prefix,
        "sha256": checkpoint.sha256,
        "assets_needed": {
            asset.name: f"{asset.meaning} ({asset.where})"
            for asset in family.assets(hyperparameters)
        },
        "settings": dict(family.settings),
        "title": card.title,
        "paper": card.paper,
        "written_from": card.written_from,
        "licence_of_the_authors_code": f"{card.code_licence} ({card.code})",
        "published": card.published,
        "notes": card.notes,
    }


def network_macs(detection: Detection) -> int:
    """Return the multiply-accumulates of one crop through the network as its authors have it.

    Counted are convolutions and matrix products, as papers do. The weights are untrained, and side
    files made up, because only sizes matter.
    """
    family, hyperparameters = detection.family, detection.hyperparameters
    network = family.build_network(hyperparameters, family.made_up_assets(hyperparameters)).eval()
    size_px = family.crop(hyperparameters).size_px
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        family.reference(network, torch.zeros(1, size_px, size_px, 3, dtype=torch.uint8))
    return int(counter.get_total_flops()) // 2


def _parameter_counts(checkpoint: Checkpoint, detection: Detection) -> tuple[int, int]:
    """Return how many numbers were learned, and how many of them inference never reads."""
    family = detection.family
    learned = unused = 0
    for key, tensor in checkpoint.state_dict.items():
        is_learned = tensor.is_floating_point() and not key.endswith(_STATISTICS)
        if is_learned and not family.is_constant(key, tensor.shape):
            count = math.prod(tensor.shape)
            learned += count
            unused += count if family.is_unused(key, tensor.shape) else 0
    return learned, unused
