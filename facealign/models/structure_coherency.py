"""What SDFL and SCC share: the repository they come from, its crops and its backbones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from facealign.models.backbone import (
    BackboneChoice,
    Shapes,
    backbone_by_name,
    detect_backbone,
    discover_backbones,
)
from facealign.models.family import Card
from facealign.spec import CropSpec, SquareRule

__all__ = [
    "backbone_from_shapes",
    "code_card",
    "crop_spec",
    "is_constant_of_backbone",
    "is_unused_of_backbone",
]

_CROP_NOTES = (
    "The authors define no crop for a detected face. This one is what their training pictures "
    "imply: 1.2 times the longer side of the box at 300 px, of which the middle 256 px are used."
)
# The authors cut 256 px out of the middle of a picture of 300 px that shows 1.2 times the box of
# the landmarks (SPEC 4.2; the 300 px are inferred from their augmentation).
_SIDE_FACTOR = 1.2 * 256 / 300
_PREFIX = "backbone."


class _Sizes(Protocol):
    @property
    def crop_size_px(self) -> int:
        """Side of the crop."""


def code_card(
    title: str,
    paper: str,
    *,
    published: str,
    backbone: BackboneChoice,
    is_head_of_code: bool = True,
    notes: str = "",
) -> Card:
    """Return the card of a network of the repository.

    Args:
        title: Its name, short and long.
        paper: Authors, venue and title.
        published: Accuracy.
        backbone: What its head sits on.
        is_head_of_code: Whether the head was written from the authors' code.
        notes: What a user must know beside the rule of the crop.
    """
    of_code = is_head_of_code and backbone_by_name(backbone.name).written_from != "the paper"
    return Card(
        title=title,
        paper=paper,
        code="BeierZhu/Sturcture-Coherency-Face-Alignment",
        code_licence="none given (all rights reserved)",
        published=published,
        written_from="the authors' code" if of_code else "the paper",
        notes=f"{_CROP_NOTES} {notes}".strip(),
    )


def crop_spec(hyperparameters: _Sizes) -> CropSpec:
    """Return our rule, the same for a detector's box and for that of landmarks (SPEC 4.2)."""
    rule = SquareRule(side_factor=_SIDE_FACTOR, centre="exact")
    return CropSpec(size_px=hyperparameters.crop_size_px, from_box=rule, from_landmarks=rule)


def backbone_from_shapes(shapes: Shapes) -> BackboneChoice:
    """Return the backbone of a state dict.

    Raises:
        KeyError: If there is no known one, or a key that it needs is missing; it is the argument.
    """
    return detect_backbone(shapes, _PREFIX)


def is_unused_of_backbone(key: str, shape: Sequence[int]) -> bool:
    """Return whether the key is of a backbone that never reads it."""
    own = key.removeprefix(_PREFIX)
    return own != key and any(each.is_unused(own, shape) for each in discover_backbones())


def is_constant_of_backbone(key: str, shape: Sequence[int]) -> bool:
    """Return whether the key is of a backbone that computes its tensor by itself."""
    own = key.removeprefix(_PREFIX)
    return own != key and any(each.is_constant(own, shape) for each in discover_backbones())
