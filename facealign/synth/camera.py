"""From the head to the picture: rotation, perspective, and where the face lands."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Camera", "Pose", "build_camera", "draw_pose"]

_PIVOT = np.array([0.0, 0.35, 0.1])  # about which heads turn
_STRONG_YAW = (35.0, 75.0)
_STRONG_PITCH = (22.0, 32.0)
_STRONG_ROLL = (25.0, 45.0)
_STRONG_SHARES = (0.7, 0.15, 0.15)  # of yaw, pitch and roll
_MILD_YAW = 30.0


@dataclass(frozen=True, slots=True)
class Pose:
    """Angles in degrees: yaw turns the nose right in the picture, pitch down, roll clockwise.

    `distance` is from the middle of the head to the camera, in units of `Shape`.
    """

    yaw: float = 0.0
    pitch: float = 0.0
    roll: float = 0.0
    distance: float = 12.0


@dataclass(frozen=True, slots=True)
class Camera:
    """A pinhole camera in front of a turned head.

    Attributes:
        rotation: ``(3, 3)``; x to the right, y down, z to the camera.
        distance: From the pivot of the head, in units of `Shape`.
        scale: Pixels per unit at the pivot.
        shift: ``(2,)`` where the pivot lands, in pixels.
    """

    rotation: NDArray[np.float64]
    distance: float
    scale: float
    shift: NDArray[np.float64]

    def turned(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return ``(..., 3)`` positions as the camera sees them, z growing towards it."""
        return np.asarray((points - _PIVOT) @ self.rotation.T, np.float64)

    def project(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return ``(..., 2)`` pixels of ``(..., 3)`` positions; 0 is the middle of a pixel."""
        seen = self.turned(points)
        nearness = self.distance / (self.distance - seen[..., 2:])
        return np.asarray(seen[..., :2] * nearness * self.scale + self.shift, np.float64)


def draw_pose(rng: np.random.Generator, *, is_strong: bool) -> Pose:
    """Return a random pose; a strong one is far from frontal in yaw, or else in pitch or roll."""
    distance = float(rng.uniform(7, 18))
    yaw = float(np.clip(rng.normal(0, 13), -_MILD_YAW, _MILD_YAW))
    pitch = float(np.clip(rng.normal(0, 6), -15, 15))
    roll = float(np.clip(rng.normal(0, 7), -20, 20))
    if not is_strong:
        return Pose(yaw, pitch, roll, distance)
    kind = rng.choice(3, p=_STRONG_SHARES)
    if kind == 0:
        return Pose(_either_side(rng, _STRONG_YAW), pitch, roll, distance)
    if kind == 1:
        return Pose(yaw, _either_side(rng, _STRONG_PITCH), roll, distance)
    return Pose(yaw, pitch, _either_side(rng, _STRONG_ROLL), distance)


def build_camera(pose: Pose, outline: NDArray[np.float64], frame: NDArray[np.float64]) -> Camera:
    """Return the camera that places a face in the frame.

    Args:
        pose: How the head is turned.
        outline: ``(P, 3)`` positions of the face on the head.
        frame: ``(3,)`` x and y of the middle of the projected outline and its longer side, pixels.
    """
    rotation = _rotation(pose)
    plain = Camera(rotation, pose.distance, 1.0, np.zeros(2))
    xy = plain.project(outline)
    low, high = xy.min(axis=0), xy.max(axis=0)
    scale = float(frame[2] / (high - low).max())
    return Camera(rotation, pose.distance, scale, frame[:2] - scale * (low + high) / 2)


def _either_side(rng: np.random.Generator, bounds: tuple[float, float]) -> float:
    return float(rng.uniform(*bounds) * rng.choice((-1, 1)))


def _rotation(pose: Pose) -> NDArray[np.float64]:
    yaw, pitch, roll = np.radians([pose.yaw, pose.pitch, pose.roll])
    c, s = np.cos(yaw), np.sin(yaw)
    about_y = np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])
    c, s = np.cos(pitch), np.sin(pitch)
    about_x = np.array([[1, 0, 0], [0, c, s], [0, -s, c]])
    c, s = np.cos(roll), np.sin(roll)
    about_z = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])
    return np.asarray(about_z @ about_x @ about_y, np.float64)
