"""One synthetic face: read this first, it is the whole picture step by step."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from facealign.errors import UsageError
from facealign.geometry import boxes_from_landmarks
from facealign.synth.attributes import Attributes, draw_attributes
from facealign.synth.background import draw_background
from facealign.synth.camera import Camera
from facealign.synth.degrade import degrade
from facealign.synth.features import Canvas, paint_features
from facealign.synth.head_parts import ear_meshes, hair_mesh, head_mesh, shoulder_mesh
from facealign.synth.light import Lamp, light_on
from facealign.synth.materials import build_atlas
from facealign.synth.mesh import Mesh, joined
from facealign.synth.occluder import OCCLUDERS
from facealign.synth.raster import render
from facealign.synth.scene import Part, Scene, Streams, draw_occluder, draw_scene, streams_of
from facealign.synth.skin import skin_texture

__all__ = ["MAX_SIZE_PX", "MIN_SIZE_PX", "SyntheticFace", "check_numbers", "synthetic_face"]

MIN_SIZE_PX, MAX_SIZE_PX = 64, 1024
_FINE_UP_TO_PX = 512  # up to this size a face is drawn at twice the size, and then shrunk
_BOX_NOISE = 0.03  # of the face's side: standard deviation of each edge of a detector's box
_BOX_CLIP = 2.5


@dataclass(frozen=True, slots=True)
class SyntheticFace:
    """A picture and what a WFLW list says about it.

    Attributes:
        image: ``(size_px, size_px, 3)`` uint8 BGR.
        landmarks: ``(98, 2)`` float64 x and y in pixels, 0 in the middle of the first; all inside
            the picture, hidden or not.
        box: ``(4,)`` int64 x0, y0, x1, y1 in pixels, as a somewhat noisy detector gives it.
        attributes: What was drawn.
    """

    image: NDArray[np.uint8]
    landmarks: NDArray[np.float64]
    box: NDArray[np.int64]
    attributes: Attributes


def synthetic_face(
    seed: int, index: int, *, size_px: int = 256, attributes: Attributes | None = None
) -> SyntheticFace:
    """Return face number `index` of a seed; the same on every call.

    Args:
        seed: 0 or more.
        index: 0 or more; every index is another person.
        size_px: Side of the picture, 64 to 1024.
        attributes: What to draw; None draws them with the shares of WFLW. Everything that is not
            concerned stays as it is.

    Raises:
        UsageError: If a number is out of its range.
    """
    check_numbers(seed, index, size_px)
    streams = streams_of(seed, index)
    if attributes is None:
        attributes = draw_attributes(streams(Part.ATTRIBUTES))
    scene = draw_scene(streams, size_px, attributes)
    worn, held = draw_occluder(streams, scene, attributes)
    image = _drawn(streams, scene, worn, size_px)
    extent = boxes_from_landmarks(scene.landmarks[None])[0]
    if held is not None:
        OCCLUDERS[held](image, extent, scene.colours, streams(Part.OCCLUSION))
    side = float((extent[2:] - extent[:2]).max())
    image = degrade(image, streams(Part.CAMERA), is_strong=attributes.blur, face_px=side)
    box = _box(extent, streams(Part.BOX), size_px)
    return SyntheticFace(image, scene.landmarks, box, attributes)


def check_numbers(seed: int, index: int, size_px: int) -> None:
    """Check the numbers that name a face.

    Raises:
        UsageError: If one is out of its range.
    """
    if seed < 0:
        raise UsageError(f"seed must be 0 or more, got {seed}; pass for example `--seed 1`")
    if index < 0:
        raise UsageError(f"index of a face must be 0 or more, got {index}; count from 0")
    if not MIN_SIZE_PX <= size_px <= MAX_SIZE_PX:
        raise UsageError(
            f"size must be {MIN_SIZE_PX} to {MAX_SIZE_PX} px, got {size_px}; "
            "pass for example `--size 256`"
        )


def _drawn(streams: Streams, scene: Scene, worn: list[Mesh], size_px: int) -> NDArray[np.uint8]:
    """Return the lit head in front of its background."""
    rng = streams(Part.SURFACE)
    atlas = _atlas(scene, rng)
    mesh = joined(
        [
            head_mesh(scene.surface),
            *ear_meshes(scene.surface, scene.shape),
            *hair_mesh(scene.surface, scene.colours.hair_style, rng),
            shoulder_mesh(),
            *worn,
        ]
    )
    light = light_on(mesh, scene.camera.rotation, scene.lamp)
    fine = 2 if size_px <= _FINE_UP_TO_PX else 1
    camera = _finer(scene.camera, fine)
    picture = render(mesh, camera, atlas=atlas, light=light, size_px=fine * size_px)
    behind = draw_background(size_px, streams(Part.BACKGROUND))
    return _over(picture.colour, picture.drawn, behind, scene.lamp)


def _atlas(scene: Scene, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return the texture of everything, with the face painted on it."""
    skin = skin_texture(scene.surface, scene.shape, scene.colours, scene.makeup, rng)
    paint_features(
        Canvas(skin, scene.surface),
        scene.features,
        person=(scene.shape, scene.colours, scene.makeup),
        expression=scene.expression,
        rng=rng,
    )
    return build_atlas(skin, scene.colours, rng)


def _finer(camera: Camera, fine: int) -> Camera:
    """Return the camera for a picture `fine` times as large; pixel x is x - 1/2 to x + 1/2."""
    shift = fine * (camera.shift + 0.5) - 0.5
    return Camera(camera.rotation, camera.distance, fine * camera.scale, shift)


def _over(
    colour: NDArray[np.float32],
    drawn: NDArray[np.bool_],
    behind: NDArray[np.uint8],
    lamp: Lamp,
) -> NDArray[np.uint8]:
    """Return the shrunk picture in front of the background, which the same lamp lights."""
    size = behind.shape[1::-1]
    cover = drawn[:, :, None].astype(np.float32)
    front = cv2.resize(np.clip(colour, 0, 255) * cover, size, interpolation=cv2.INTER_AREA)
    share = cv2.resize(cover, size, interpolation=cv2.INTER_AREA)[:, :, None]
    amount = np.clip(lamp.ambient + 0.6 * lamp.strength * lamp.colour, 0, 1.3)
    picture = front + (1 - share) * behind * amount
    return np.clip(picture + 0.5, 0, 255).astype(np.uint8)


def _box(extent: NDArray[np.float64], rng: np.random.Generator, size_px: int) -> NDArray[np.int64]:
    """Return whole pixels around the landmarks, each edge a little off, inside the picture."""
    side = (extent[2:] - extent[:2]).max()
    noise = np.clip(rng.normal(size=4), -_BOX_CLIP, _BOX_CLIP) * _BOX_NOISE * side
    box: NDArray[np.int64] = np.clip(np.rint(extent + noise), 0, size_px - 1).astype(np.int64)
    return box
