"""From turns to results: times, distances to FP32, and ratios."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack

import numpy as np
from numpy.typing import NDArray

from facealign.bench.child import Child
from facealign.bench.latency import latency_of
from facealign.bench.messages import GpuDone, Locate, Located, TimeGpu
from facealign.bench.ratios import ratio_of
from facealign.bench.result import Candidate, CandidateResult, Ratio
from facealign.bench.turns import Turns, round_medians_ms
from facealign.bundle import Bundle
from facealign.errors import BackendError, SelfTestError
from facealign.pipeline.bench_candidates import FULL, REFERENCE_ENGINE, BenchRequest
from facealign.pipeline.bench_children import Opened, open_candidate
from facealign.pipeline.bench_subject import CROP, END_TO_END, FORWARD

__all__ = ["candidate_results", "distances", "ratios"]

Distances = Mapping[Candidate, NDArray[np.float64]]
_DEADLINE_S = 120.0
_GPU_RUNS = 100


def distances(
    bundle: Bundle, request: BenchRequest, opened: Sequence[Opened], skipped: list[str]
) -> Distances:
    """Return for each candidate ``(B, N)`` distances in crop pixels to FP32 in ONNX Runtime.

    That graph is opened for it if it is no candidate itself; where it cannot be, nothing is
    compared, and `skipped` is told.
    """
    landmarks = {each.candidate: _landmarks_px(each.child) for each in opened}
    found: dict[Candidate, NDArray[np.float64]] = {}
    with ExitStack() as stack:
        for candidate, own in list(landmarks.items()):
            reference = _reference(candidate)
            if reference == candidate:
                continue
            try:
                if reference not in landmarks:
                    child = open_candidate(bundle, request, reference, stack).child
                    landmarks[reference] = _landmarks_px(child)
            except (BackendError, SelfTestError) as error:
                skipped.append(f"no landmarks were compared: {error}")
                return {}
            found[candidate] = np.linalg.norm(own - landmarks[reference], axis=2)
    return found


def candidate_results(
    opened: Sequence[Opened], turns: Sequence[Turns], far: Distances
) -> tuple[CandidateResult, ...]:
    """Return what was measured on each candidate; those on a GPU are asked for its times too."""
    return tuple(
        _result(each, own, far.get(each.candidate)) for each, own in zip(opened, turns, strict=True)
    )


def ratios(candidates: Sequence[Candidate], turns: Sequence[Turns]) -> tuple[Ratio, ...]:
    """Return how many times as fast each is as the first of the same batch."""
    medians = {
        candidate: round_medians_ms(own, FORWARD)
        for candidate, own in zip(candidates, turns, strict=True)
    }
    found = []
    for candidate, own_ms in medians.items():
        baseline = next(each for each in medians if each.batch == candidate.batch)
        if baseline != candidate:
            ratio = ratio_of(medians[baseline], own_ms)
            found.append(
                Ratio(
                    name=candidate.name,
                    baseline=baseline.name,
                    batch=candidate.batch,
                    times_as_fast=ratio.value,
                    low=ratio.low,
                    high=ratio.high,
                )
            )
    return tuple(found)


def _result(opened: Opened, turns: Turns, far: NDArray[np.float64] | None) -> CandidateResult:
    forward_ms = turns.times_ms(FORWARD)
    forward = latency_of(forward_ms)
    end_to_end_ms = turns.times_ms(END_TO_END)
    has_crop = CROP in turns.rounds[0]
    gpu = opened.child.ask(TimeGpu(count=_GPU_RUNS), GpuDone, deadline_s=_DEADLINE_S)
    return CandidateResult(
        candidate=opened.candidate,
        forward=forward,
        end_to_end=latency_of(end_to_end_ms),
        crop_ms=latency_of(turns.times_ms(CROP)).median_ms if has_crop else None,
        forward_samples_ms=forward_ms,
        end_to_end_samples_ms=end_to_end_ms,
        throughput_per_s=1e3 * opened.candidate.batch / forward.mean_ms,
        open_s=opened.open_s,
        peak_memory_mb=turns.peak_memory_mb,
        base_memory_mb=opened.base_memory_mb,
        max_px=None if far is None else float(far.max()),
        p99_px=None if far is None else float(np.percentile(far, 99)),
        gpu=gpu.times,
    )


def _reference(candidate: Candidate) -> Candidate:
    return Candidate(
        engine=REFERENCE_ENGINE,
        precision=FULL,
        batch=candidate.batch,
        threads=candidate.threads,
    )


def _landmarks_px(child: Child) -> NDArray[np.float64]:
    found = child.ask(Locate(), Located, deadline_s=_DEADLINE_S)
    return np.array(found.landmarks_px, np.float64)
