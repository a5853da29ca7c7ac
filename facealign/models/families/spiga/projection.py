"""From SPIGA's pose to its first landmarks: one product, Cos, one product and a division.

Every entry of a rotation matrix is a sum of products of a sine or cosine of yaw, pitch and roll,
and so a sum of cosines of ``i yaw + j pitch + k roll + phase`` with i, j and k of -1, 0 and 1. The
landmarks before the division by their depth are linear in those entries and in the translation. So
3-D face, camera and rotation are constants of two products.
"""

from __future__ import annotations

import itertools
import math

import torch
from torch import Tensor, nn

from facealign.models.blocks.constant import constant
from facealign.models.families.spiga.network import Spiga, camera, rotation

__all__ = ["Projection", "rotation_series"]

_STEP = 4  # coefficients are quarters: three factors, two signs in front
_SAMPLES_DEGREES = torch.arange(0, 360, 72, dtype=torch.float64)


class Projection(nn.Module):
    """Pose ``(B, 6)`` to landmarks ``(B, 2, N)``, x and y as a fraction of the crop."""

    def __init__(self, network: Spiga) -> None:
        super().__init__()
        frequencies, phases, coefficients = rotation_series()
        still = torch.zeros(len(frequencies), 3, dtype=torch.float64)  # of the translation
        self.angle_weight = constant(torch.cat([frequencies.deg2rad(), still], dim=1).T)
        self.angle_bias = constant(phases)
        face = network.face_model.double()
        lens = camera(network.hyperparameters.map_size).double()
        lens[:2] /= network.hyperparameters.map_size
        turned = torch.einsum("ij,jkf,nk->fin", lens, coefficients, face)
        shifted = torch.einsum("ij,n->jin", lens, torch.ones(len(face), dtype=torch.float64))
        weight = torch.cat([turned, torch.zeros_like(shifted), shifted])  # (F + 6, 3, N)
        self.weight = constant(weight.flatten(1))

    def forward(self, pose: Tensor) -> Tensor:
        """Return ``(B, 2, N)``."""
        angles = torch.addmm(self.angle_bias, pose, self.angle_weight)
        seen = torch.matmul(torch.cat([torch.cos(angles), pose], dim=1), self.weight)
        sideways, depth = torch.split(seen.reshape(pose.shape[0], 3, -1), [2, 1], dim=1)
        return sideways / depth


def rotation_series() -> tuple[Tensor, Tensor, Tensor]:
    """Return the cosines that make up `network.rotation`.

    Returns:
        Frequencies ``(F, 3)`` of yaw, pitch and roll, phases ``(F,)`` in radians, and coefficients
        ``(3, 3, F)``; all float64, and entry ij of the rotation is the sum over f of coefficient
        ijf times the cosine of frequency f times the angles plus phase f.
    """
    triples = list(itertools.product((-1.0, 0.0, 1.0), repeat=3))[13:]  # each up to its sign
    frequencies = torch.tensor(triples, dtype=torch.float64).repeat(2, 1)
    phases = torch.tensor([0.0, -math.pi / 2], dtype=torch.float64).repeat_interleave(len(triples))
    degrees = torch.cartesian_prod(*[_SAMPLES_DEGREES] * 3)  # (125, 3)
    cosines = torch.cos(degrees.deg2rad() @ frequencies.T + phases)
    entries = rotation(degrees).flatten(1)  # (125, 9)
    solution = torch.linalg.pinv(cosines, rtol=1e-9) @ entries
    coefficients = torch.round(solution * _STEP) / _STEP
    used = coefficients.abs().sum(dim=1) > 0
    return frequencies[used], phases[used], coefficients[used].T.reshape(3, 3, -1)
