"""How far a graph of reduced precision is from the FP32 graph, on crops that it never saw."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from facealign.evaluation import (
    Normalisation,
    landmark_errors_percent,
    normalisers_px,
    paired_difference,
)
from facealign.evaluation.normaliser import EYES
from facealign.spec import Scheme

__all__ = ["HeldOut", "Judge", "Judgement", "open_judge"]

RunCrops = Callable[[NDArray[np.uint8]], NDArray[np.floating]]
"""From ``(K, S, S, 3)`` crops to ``(K, N, 2)`` landmarks, a fraction of the crop."""

_LEVEL_PERCENT = 99


@dataclass(frozen=True, slots=True)
class HeldOut:
    """Crops to judge on.

    Attributes:
        faces: What they are, for people, such as ``wflw test``.
        crops_from: Rule that cut them: ``box`` or ``landmarks``; ``none`` if they are parity's.
        crops: ``(K, S, S, 3)`` uint8 BGR.
        truth_px: ``(K, N, 2)`` float64 annotated landmarks, crop pixels; None without annotations.
        subsets: Indices of the crops of each subset.
    """

    faces: str
    crops_from: str
    crops: NDArray[np.uint8]
    truth_px: NDArray[np.float64] | None = None
    subsets: Mapping[str, Sequence[int]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Judgement:
    """A graph beside the FP32 graph.

    Attributes:
        p99_px: 99th percentile of the distance between their landmarks, crop pixels; infinite
            where one is not finite.
        max_px: The largest.
        drift_percent: Mean over faces of the mean distance, normalised as NME is.
        nme_percent: NME; None without annotations.
        change_points: NME minus that of FP32; without annotations `drift_percent`, which it cannot
            exceed by the triangle inequality.
        change_interval: Of 95 %, over faces.
        subset_points: `change_points` of each subset.
    """

    p99_px: float
    max_px: float
    drift_percent: float
    nme_percent: float | None
    change_points: float
    change_interval: tuple[float, float]
    subset_points: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Judge:
    """The FP32 graph's landmarks on held-out crops, to compare others with.

    Attributes:
        held_out: The crops.
        normalisation: What distances are divided by.
        landmarks_px: ``(K, N, 2)`` of the FP32 graph, crop pixels.
        normalisers_px: ``(K,)``, of the annotations, or else of the FP32 graph's landmarks.
        errors_percent: ``(K,)`` NME of each face with the FP32 graph; None without annotations.
    """

    held_out: HeldOut
    normalisation: Normalisation
    landmarks_px: NDArray[np.float64]
    normalisers_px: NDArray[np.float64]
    errors_percent: NDArray[np.float64] | None

    @property
    def nme_fp32_percent(self) -> float | None:
        """NME of the FP32 graph; None without annotations."""
        return None if self.errors_percent is None else float(self.errors_percent.mean())

    def first(self, count: int) -> Judge:
        """Return a judge of the first crops only; faces are chosen so that these are typical."""
        held_out = HeldOut(
            self.held_out.faces,
            self.held_out.crops_from,
            self.held_out.crops[:count],
            None if self.held_out.truth_px is None else self.held_out.truth_px[:count],
        )
        errors = None if self.errors_percent is None else self.errors_percent[:count]
        landmarks, lengths = self.landmarks_px[:count], self.normalisers_px[:count]
        return Judge(held_out, self.normalisation, landmarks, lengths, errors)

    def judge(self, run: RunCrops) -> Judgement:
        """Return how a graph does; one that gives no numbers gets infinities, which never pass."""
        size_px = self.held_out.crops.shape[1]
        found = run(self.held_out.crops).astype(np.float64) * size_px
        if not np.isfinite(found).all():
            return self._lost()
        distance = np.linalg.norm(found - self.landmarks_px, axis=2)  # (K, N)
        drift = 100 * distance.mean(axis=1) / self.normalisers_px  # (K,)
        nme = _errors(self, found)
        after, before = drift, np.zeros_like(drift)
        if nme is not None and self.errors_percent is not None:
            after, before = nme, self.errors_percent
        interval = paired_difference(after, before)
        return Judgement(
            p99_px=float(np.percentile(distance, _LEVEL_PERCENT, method="higher")),
            max_px=float(distance.max()),
            drift_percent=float(drift.mean()),
            nme_percent=None if nme is None else float(nme.mean()),
            change_points=interval.mean_percent,
            change_interval=(interval.low_percent, interval.high_percent),
            subset_points={
                name: float((after - before)[list(indices)].mean())
                for name, indices in self.held_out.subsets.items()
            },
        )

    def _lost(self) -> Judgement:
        inf = float("inf")
        return Judgement(
            p99_px=inf,
            max_px=inf,
            drift_percent=inf,
            nme_percent=None if self.errors_percent is None else inf,
            change_points=inf,
            change_interval=(inf, inf),
            subset_points=dict.fromkeys(self.held_out.subsets, inf),
        )


def open_judge(held_out: HeldOut, run: RunCrops, *, scheme: Scheme) -> Judge:
    """Return a judge, with the landmarks of the FP32 graph.

    Args:
        held_out: The crops; none of them may have been calibrated on.
        run: The FP32 graph.
        scheme: The landmark set; one whose eyes are not known is normalised by its box.
    """
    landmarks = run(held_out.crops).astype(np.float64) * held_out.crops.shape[1]
    truth = held_out.truth_px
    normalisation: Normalisation = "corners" if scheme.name in EYES else "box"
    if held_out.crops_from == "none":  # there need not be eyes in crops of noise
        lengths = np.full(len(landmarks), float(held_out.crops.shape[1]))
    else:
        measured = landmarks if truth is None else truth
        lengths = normalisers_px(measured, normalisation, scheme=scheme)
    judge = Judge(held_out, normalisation, landmarks, lengths, None)
    return replace(judge, errors_percent=_errors(judge, landmarks))


def _errors(judge: Judge, landmarks_px: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """Return ``(K,)`` the NME of each face, percent; None without annotations."""
    truth = judge.held_out.truth_px
    if truth is None:
        return None
    errors = landmark_errors_percent(landmarks_px, truth, normalisers_px=judge.normalisers_px)
    faces: NDArray[np.float64] = errors.mean(axis=1)
    return faces
