"""The tiles of the atlas beside the skin: hair, cloth, mask, dark things, ears."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from facealign.synth.chart import ATLAS_SHAPE, SKIN_SHAPE, TILES
from facealign.synth.person import Colours

__all__ = ["build_atlas"]

_MASKS = np.array([[235, 225, 190], [240, 240, 240], [40, 40, 42], [120, 70, 50]])
_STRIPE, _FOLD = 0.6, 0.7  # of a sine, above which it is one
_DARK = np.array([[22, 20, 20], [30, 35, 55], [45, 30, 25]])


def build_atlas(
    skin: NDArray[np.uint8], colours: Colours, rng: np.random.Generator
) -> NDArray[np.uint8]:
    """Return ``(800, 768, 3)`` uint8: the skin, and right of it a tile of every material."""
    atlas = np.zeros((*ATLAS_SHAPE, 3), np.uint8)
    atlas[:, : SKIN_SHAPE[1]] = skin
    width = ATLAS_SHAPE[1] - SKIN_SHAPE[1]
    tiles = {
        "hair": _hair(colours, rng, (TILES["hair"][1], width)),
        "cloth": _cloth(colours, rng, (TILES["cloth"][1], width)),
        "mask": _mask(rng, (TILES["mask"][1], width)),
        "dark": _plain(_DARK[rng.integers(len(_DARK))].astype(float), (TILES["dark"][1], width)),
        "ear": _ear(colours, (TILES["ear"][1], width)),
    }
    for name, (row, height) in TILES.items():
        atlas[row : row + height, SKIN_SHAPE[1] :] = np.clip(tiles[name], 0, 255)
    return atlas


def _plain(colour: NDArray[np.float64], shape: tuple[int, int]) -> NDArray[np.float64]:
    return np.broadcast_to(colour, (*shape, 3))


def _hair(
    colours: Colours, rng: np.random.Generator, shape: tuple[int, int]
) -> NDArray[np.float64]:
    """Return strands: noise that is long downwards."""
    noise = rng.normal(0, 1, (6, shape[1])).astype(np.float32)
    strands = cv2.resize(noise, shape[::-1], interpolation=cv2.INTER_CUBIC)[:, :, None]
    return colours.hair * (0.95 + 0.26 * strands)


def _cloth(
    colours: Colours, rng: np.random.Generator, shape: tuple[int, int]
) -> NDArray[np.float64]:
    other = rng.uniform(10, 240, 3)
    wave = np.sin(np.arange(shape[1]) * rng.uniform(0.15, 1.2) + np.zeros((shape[0], 1)))
    stripes = (wave > _STRIPE)[..., None] * (rng.random() < 1 / 2)
    return np.where(stripes, other, colours.cloth)


def _mask(rng: np.random.Generator, shape: tuple[int, int]) -> NDArray[np.float64]:
    """Return folded cloth."""
    folds = 1 - 0.10 * (np.sin(np.linspace(0, 7 * np.pi, shape[0])) > _FOLD)
    colour = _MASKS[rng.integers(len(_MASKS))].astype(np.float64)
    return _plain(colour, shape) * folds[:, None, None]


def _ear(colours: Colours, shape: tuple[int, int]) -> NDArray[np.float64]:
    """Return skin, darker in the bowl, which is the upper part."""
    shade = np.interp(np.linspace(0, 1, shape[0]), [0, 0.3, 0.55, 0.8, 1], [0.5, 0.6, 0.88, 1, 0.9])
    return _plain(colours.skin * (0.92, 0.92, 1.0), shape) * shade[:, None, None]
