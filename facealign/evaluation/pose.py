"""How far the head's pose is off."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from facealign.errors import InputError, ShapeError
from facealign.evaluation.array_checks import check_finite

__all__ = ["PoseError", "pose_error"]


@dataclass(frozen=True, slots=True)
class PoseError:
    """Mean absolute error over all faces, per angle."""

    yaw_mae_degrees: float
    pitch_mae_degrees: float
    roll_mae_degrees: float

    @property
    def mean_mae_degrees(self) -> float:
        """The mean of the three."""
        return (self.yaw_mae_degrees + self.pitch_mae_degrees + self.roll_mae_degrees) / 3


def pose_error(predicted: NDArray[np.floating], truth: NDArray[np.floating]) -> PoseError:
    """Return the mean absolute error of yaw, pitch and roll.

    A difference goes the short way round: 179 and -179 degrees are 2 apart.

    Args:
        predicted: ``(F, 3)`` yaw, pitch and roll, degrees, finite.
        truth: ``(F, 3)``, the same.

    Raises:
        ShapeError: If an array is not ``(F, 3)``, or they differ in F.
        InputError: If there is no face, or a value is not finite.
    """
    predicted, truth = _checked("predicted", predicted), _checked("truth", truth)
    if predicted.shape != truth.shape:
        raise ShapeError(
            f"predicted pose must be {truth.shape} as the truth, got {predicted.shape}; "
            "check that both are of the same faces"
        )
    yaw, pitch, roll = np.abs((predicted - truth + 180) % 360 - 180).mean(axis=0)
    return PoseError(float(yaw), float(pitch), float(roll))


def _checked(name: str, pose: NDArray[np.floating]) -> NDArray[np.float64]:
    angles: NDArray[np.float64] = np.asarray(pose, dtype=np.float64)
    if angles.ndim != 2 or angles.shape[1] != 3:
        raise ShapeError(
            f"{name} pose must be (F, 3), got {angles.shape}; of six values pass `pose[:, :3]`"
        )
    if len(angles) == 0:
        raise InputError(f"{name} pose has no face; pass one or more")
    check_finite(f"{name} pose", angles)
    return angles
