"""What a face does: how far the mouth, the eyes and the brows are from rest."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

__all__ = ["REST", "Expression", "draw_expression"]

_JAW_DROP = 0.42  # of a unit, some 30 mm, when the mouth is wide open
_WINK = 0.25


@dataclass(frozen=True, slots=True)
class Expression:
    """How far each feature has moved.

    Attributes:
        mouth_open: 0 closed to 1 wide open.
        smile: -0.4 (corners down) to 1 (broad).
        eyes_open: Of the left and the right eye in the picture: 0 closed, 1 at rest, 1.4 wide.
        brow_raise: -0.5 (frown) to 1.
        gaze: Of both pupils, -1 to 1 from corner to corner, and up to down.
    """

    mouth_open: float = 0.0
    smile: float = 0.0
    eyes_open: tuple[float, float] = (1.0, 1.0)
    brow_raise: float = 0.0
    gaze: tuple[float, float] = (0.0, 0.0)

    @property
    def jaw_drop(self) -> float:
        """How far the chin and the lower lip are below rest."""
        return _JAW_DROP * self.mouth_open


REST = Expression()


def draw_expression(rng: np.random.Generator, *, is_strong: bool) -> Expression:
    """Return a random expression; a strong one has at least one feature far from rest."""
    lid = float(rng.uniform(0.8, 1.15))
    mild = Expression(
        mouth_open=max(0.0, float(rng.uniform(-0.25, 0.2))),
        smile=float(rng.uniform(-0.15, 0.45)),
        eyes_open=(lid, lid),
        brow_raise=float(rng.uniform(-0.2, 0.25)),
        gaze=(float(rng.uniform(-0.5, 0.5)), float(rng.uniform(-0.3, 0.3))),
    )
    if not is_strong:
        return mild
    kind = rng.integers(5)
    amount = float(rng.uniform(0.55, 1))
    if kind == 0:
        return replace(mild, mouth_open=amount, brow_raise=amount * 0.6)
    if kind == 1:
        return replace(mild, smile=amount, mouth_open=amount * 0.35, eyes_open=(0.65, 0.65))
    if kind == 2:
        return replace(mild, eyes_open=_closed(rng))
    if kind == 3:
        return replace(mild, brow_raise=amount, eyes_open=(1.35, 1.35), mouth_open=0.3 * amount)
    return replace(mild, brow_raise=-0.5 * amount, smile=-0.4 * amount, eyes_open=(0.7, 0.7))


def _closed(rng: np.random.Generator) -> tuple[float, float]:
    if rng.random() > _WINK:
        return 0.0, 0.0
    return (0.0, 0.9) if rng.random() < 1 / 2 else (0.9, 0.0)
