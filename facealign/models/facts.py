"""What a checkpoint is, in facts for people; no network is built."""

from __future__ import annotations

import math
from dataclasses import asdict

from facealign.models.checkpoint import Checkpoint
from facealign.models.detect import Detection

__all__ = ["checkpoint_facts"]


def checkpoint_facts(checkpoint: Checkpoint, detection: Detection) -> dict[str, object]:
    """Return family, variant, sizes, needed side files and provenance, by name."""
    family, hyperparameters = detection.family, detection.hyperparameters
    unused = sum(
        math.prod(shape)
        for key, shape in checkpoint.shapes.items()
        if key.startswith(family.unused_keys)
    )
    learned = sum(
        tensor.numel()
        for key, tensor in checkpoint.state_dict.items()
        if tensor.is_floating_point() and not key.endswith(("running_mean", "running_var"))
    )
    scheme = family.scheme(hyperparameters)
    return {
        "family": family.name,
        "variant": family.describe(hyperparameters),
        "scheme": scheme.name,
        "landmark_count": scheme.landmark_count,
        "crop": asdict(family.crop(hyperparameters)),
        "tensors": len(checkpoint.state_dict),
        "parameters": learned,
        "parameters_never_used": unused,
        "wrapper": checkpoint.wrapper,
        "prefix": checkpoint.prefix,
        "sha256": checkpoint.sha256,
        "assets_needed": {
            asset.name: f"{asset.meaning} ({asset.where})" for asset in family.assets
        },
        "settings": dict(family.settings),
        "title": family.card.title,
        "paper": family.card.paper,
        "licence_of_the_authors_code": f"{family.card.code_licence} ({family.card.code})",
        "published": family.card.published,
    }
