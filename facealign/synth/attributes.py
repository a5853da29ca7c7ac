"""The six attributes of WFLW, and how often each is drawn."""

from __future__ import annotations

from dataclasses import astuple, dataclass

import numpy as np

__all__ = ["PROBABILITIES", "Attributes", "draw_attributes"]

# Shares of the 2500 test faces of WFLW: 326, 314, 698, 206, 736 and 773 (Wu et al., CVPR 2018).
PROBABILITIES = (0.130, 0.126, 0.279, 0.082, 0.294, 0.309)


@dataclass(frozen=True, slots=True)
class Attributes:
    """What is hard about a face, in the order of a WFLW list.

    Attributes:
        pose: Yaw of 35 to 75 degrees to either side, or a strong pitch or roll; else yaw is at most
            30 degrees.
        expression: Open mouth, broad smile, closed eyes, raised brows or a frown, clearly.
        illumination: Directional with shadows, coloured, dark or saturated.
        makeup: Painted lips, lids and cheeks.
        occlusion: Something in front: sunglasses, mask, hand, bar, or a patch of hair.
        blur: Motion, defocus, low resolution, coarse JPEG or noise. Low resolution leaves a face
            some 30 to 60 px; in a picture below 128 px it may change nothing.
    """

    pose: bool = False
    expression: bool = False
    illumination: bool = False
    makeup: bool = False
    occlusion: bool = False
    blur: bool = False

    def as_numbers(self) -> tuple[int, ...]:
        """Return the six as 0 or 1, in the order of `WFLW_ATTRIBUTES`."""
        return tuple(int(value) for value in astuple(self))


def draw_attributes(rng: np.random.Generator) -> Attributes:
    """Return attributes drawn independently, each with its share of `PROBABILITIES`."""
    return Attributes(*(bool(rng.random() < share) for share in PROBABILITIES))
