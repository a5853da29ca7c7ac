"""What is in a picture of a face: everything that is decided before pixels are drawn."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from facealign.synth.attributes import Attributes
from facealign.synth.camera import Camera, Pose, build_camera, draw_pose
from facealign.synth.expression import Expression, draw_expression
from facealign.synth.landmark_model import features_in_front, landmark_points
from facealign.synth.light import Lamp, draw_lamp
from facealign.synth.mesh import Mesh
from facealign.synth.occluder import OCCLUDERS
from facealign.synth.person import Colours, Shape, draw_colours, draw_shape
from facealign.synth.skin import Makeup, draw_makeup
from facealign.synth.surface import HeadSurface, build_surface
from facealign.synth.worn import mask_mesh, sunglasses

__all__ = ["Part", "Scene", "Streams", "draw_occluder", "draw_scene", "streams_of"]

_FACE_SHARE = (0.48, 0.72)  # of the frame, taken up by the landmarks


class Part(IntEnum):
    """What has a stream of random numbers of its own, so that no part depends on another."""

    ATTRIBUTES = 0
    PERSON = 1
    EXPRESSION = 2
    POSE = 3
    FRAME = 4
    LIGHT = 5
    MAKEUP = 6
    SURFACE = 7
    OCCLUSION = 8
    BACKGROUND = 9
    CAMERA = 10
    BOX = 11


Streams = Callable[[Part], np.random.Generator]


@dataclass(frozen=True, slots=True)
class Scene:
    """Everything that is decided before pixels are drawn.

    Attributes:
        shape: Measures of the head.
        colours: Of the person.
        makeup: What is painted on the skin.
        expression: What the face does.
        surface: The skin, with shape and expression.
        features: ``(65, 2)`` x and y of landmarks 33 to 97, seen from the front.
        camera: From the head to the picture.
        landmarks: ``(98, 2)`` x and y in pixels of the picture.
        lamp: In the camera's frame.
    """

    shape: Shape
    colours: Colours
    makeup: Makeup
    expression: Expression
    surface: HeadSurface
    features: NDArray[np.float64]
    camera: Camera
    landmarks: NDArray[np.float64]
    lamp: Lamp


def streams_of(seed: int, index: int) -> Streams:
    """Return where the random numbers of a face are from: a part's always start anew."""
    return lambda part: np.random.default_rng([seed, index, part])


def draw_scene(streams: Streams, size_px: int, attributes: Attributes) -> Scene:
    """Return the scene in a picture of that size: with what attributes say, the rest at random."""
    person = streams(Part.PERSON)
    shape, colours = draw_shape(person), draw_colours(person)
    expression = draw_expression(streams(Part.EXPRESSION), is_strong=attributes.expression)
    surface = build_surface(shape, expression)
    features = features_in_front(shape, expression)
    pose = draw_pose(streams(Part.POSE), is_strong=attributes.pose)
    camera = _camera(pose, surface, features, streams(Part.FRAME), size_px)
    points = landmark_points(surface, features, camera.project)
    return Scene(
        shape=shape,
        colours=colours,
        makeup=draw_makeup(streams(Part.MAKEUP), is_strong=attributes.makeup),
        expression=expression,
        surface=surface,
        features=features,
        camera=camera,
        landmarks=camera.project(points),
        lamp=draw_lamp(streams(Part.LIGHT), is_strong=attributes.illumination),
    )


def draw_occluder(
    streams: Streams, scene: Scene, attributes: Attributes
) -> tuple[list[Mesh], int | None]:
    """Return meshes that are worn, and the number of what is held in front, if anything is."""
    if not attributes.occlusion:
        return [], None
    rng = streams(Part.OCCLUSION)
    kind = int(rng.integers(2 + len(OCCLUDERS)))
    if kind == 0:
        return sunglasses(scene.surface, scene.shape, rng), None
    if kind == 1:
        return mask_mesh(scene.surface, scene.shape, rng), None
    return [], kind - 2


def _camera(
    pose: Pose,
    surface: HeadSurface,
    features: NDArray[np.float64],
    rng: np.random.Generator,
    size_px: int,
) -> Camera:
    """Return a camera that puts the landmarks somewhere near the middle of the frame."""
    side = rng.uniform(*_FACE_SHARE) * size_px
    room = (size_px - side) / 2
    middle = (size_px - 1) / 2 + room * rng.uniform(-0.7, 0.7, 2)
    frame = np.array([*middle, side])
    somewhere = build_camera(pose, surface.points_in_front(features), frame)
    outline = landmark_points(surface, features, somewhere.project)
    return build_camera(pose, outline, frame)
