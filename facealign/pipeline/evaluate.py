"""How good each graph of a bundle is on a data set: scores, and drift and jitter against FP32."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facealign.bundle import CALIBRATION_FACES, Bundle, read_bundle
from facealign.calibration import check_disjoint, set_manifest_from_json
from facealign.datasets import CropSource
from facealign.errors import UsageError
from facealign.evaluation import (
    Jitter,
    Normalisation,
    Trembling,
    jitter,
    normalisers_px,
    reference_px_from_crops,
    trembling_crops,
)
from facealign.pipeline.evaluation_result import REFERENCE, Evaluation
from facealign.pipeline.evaluation_scores import score_precisions
from facealign.pipeline.face_set import FaceSet, placement_at, read_face_set
from facealign.pipeline.progress import SILENT, Progress, Stage
from facealign.runtime import Session, open_session

__all__ = ["EVALUATE_STAGES", "EvaluationRequest", "evaluate_bundle"]

EVALUATE_STAGES = ("bundle", "data set", "run", "jitter", "score")


@dataclass(frozen=True, slots=True)
class EvaluationRequest:
    """What to evaluate, and how.

    Attributes:
        bundle: Folder of a bundle.
        dataset: Folder of a data set, see `read_dataset`.
        split: Of the data set; ``"test"`` if None.
        precisions: Which graphs; all if empty. FP32 is run in any case, to compare with.
        crops_from: Which crop rule; see `read_face_set` for what None means.
        normalisation: What errors are divided by.
        threshold_percent: NME above which a face is a failure; 10 for WFLW by custom.
        limit: Take so many faces from the beginning; all if None.
        jitter_face_count: Most faces that are made to tremble, spread over the set; 1 or more.
        trembling: How; its seed is that of the first of these faces.
    """

    bundle: Path
    dataset: Path
    split: str | None = None
    precisions: tuple[str, ...] = ()
    crops_from: CropSource | None = None
    normalisation: Normalisation = "corners"
    threshold_percent: float = 10.0
    limit: int | None = None
    jitter_face_count: int = 8
    trembling: Trembling = dataclasses.field(default_factory=Trembling)


def evaluate_bundle(request: EvaluationRequest, progress: Progress = SILENT) -> Evaluation:
    """Return what each graph of a bundle is worth on a data set.

    An image is decoded once for all graphs, and once more if its face is made to tremble. If the
    bundle says what it was calibrated on, the bytes of each are read before, to tell them apart.

    Raises:
        UsageError: If the bundle has no such graph or no FP32 to compare with, if the landmarks are
            of another scheme, or if a number is out of range.
        DatasetError: If the folder is no data set, or broken.
        CalibrationError: If the bundle was calibrated on one of the images.
        InputError: If an image cannot be read, or a face can be neither cropped nor normalised.
        FacealignError: What `open_session` raises.
    """
    with ExitStack() as stack:
        with progress.stage("bundle") as stage:
            bundle = read_bundle(request.bundle)
            sessions = _open_sessions(bundle, request.precisions, stack)
            engine = sessions[REFERENCE].engine_name
            stage.say(f"{', '.join(sessions)} on {engine}, golden landmarks found")
        with progress.stage("data set") as stage:
            face_set = _read_faces(request, bundle, stage)
            chosen = _spread(len(face_set.faces), request.jitter_face_count)
        with progress.stage("run") as stage:
            landmarks_norm = _run(sessions, face_set, stage)
        with progress.stage("jitter") as stage:
            jitters = _tremble(sessions, face_set, chosen, request.trembling, stage)
    with progress.stage("score") as stage:
        precisions = score_precisions(
            landmarks_norm,
            jitters,
            face_set,
            normalisation=request.normalisation,
            threshold_percent=request.threshold_percent,
        )
        stage.say("" if face_set.truth else "no labels, so drift and jitter only")
    return Evaluation(
        manifest=bundle.manifest,
        engine_name=engine,
        face_set=face_set,
        normalisation=request.normalisation,
        threshold_percent=request.threshold_percent,
        jitter_faces=chosen,
        precisions=precisions,
    )


def _open_sessions(
    bundle: Bundle, precisions: tuple[str, ...], stack: ExitStack
) -> dict[str, Session]:
    """Return a session for each precision, the reference first; `stack` closes them.

    Raises:
        UsageError: If the bundle lacks one.
    """
    graphs = bundle.manifest.graphs
    if REFERENCE not in graphs:
        raise UsageError(
            f"the bundle has no {REFERENCE!r} graph to compare with (it has "
            f"{', '.join(sorted(graphs))}); compile it again"
        )
    for name in precisions:
        if name not in graphs:
            raise UsageError(
                f"the bundle has no {name!r} graph; choose from {', '.join(sorted(graphs))}"
            )
    # As the manifest has them, so that what is printed has one order however it was asked for.
    wanted = [name for name in graphs if not precisions or name in precisions]
    names = dict.fromkeys([REFERENCE, *wanted])
    return {name: stack.enter_context(open_session(bundle, precision=name)) for name in names}


def _read_faces(request: EvaluationRequest, bundle: Bundle, stage: Stage) -> FaceSet:
    """Return the faces, once it is sure that they can be run and scored.

    Raises:
        FacealignError: If they cannot.
    """
    face_set = read_face_set(
        request.dataset,
        bundle.manifest,
        split=request.split,
        crops_from=request.crops_from,
        limit=request.limit,
    )
    if CALIBRATION_FACES in bundle.manifest.files:
        chosen = set_manifest_from_json(bundle.read_file(CALIBRATION_FACES))
        check_disjoint(chosen, face_set.faces)
    if face_set.truth:  # an hour of running later would be late to learn it
        truth = face_set.truth
        normalisers_px(truth.landmarks, request.normalisation, scheme=truth.scheme)
    stage.say(f"{face_set.title}: {face_set.size_text}, crops from the {face_set.rule.source}")
    return face_set


def _run(
    sessions: Mapping[str, Session], face_set: FaceSet, stage: Stage
) -> dict[str, NDArray[np.float32]]:
    """Return the ``(F, N, 2)`` landmarks of each graph, a fraction of the crop."""
    shape = (len(face_set.faces), face_set.scheme.landmark_count, 2)
    found = {name: np.empty(shape, np.float32) for name in sessions}
    for batch in face_set.crops():
        for name, session in sessions.items():
            found[name][batch.indices] = session.run_crops(batch.crops)["landmarks"]
        stage.advance(len(batch.crops), total=len(face_set.faces))
    return found


def _spread(count: int, most: int) -> tuple[int, ...]:
    """Return up to `most` indices below `count`, evenly from the first to the last.

    Raises:
        UsageError: If `most` is below 1.
    """
    if most < 1:
        raise UsageError(f"`jitter_face_count` must be 1 or more, got {most}")
    return tuple(np.linspace(0, count - 1, min(count, most)).astype(int).tolist())


def _tremble(
    sessions: Mapping[str, Session],
    face_set: FaceSet,
    chosen: tuple[int, ...],
    trembling: Trembling,
    stage: Stage,
) -> dict[str, Jitter]:
    """Return the jitter of each graph; all of them see the same crops."""
    sequences: dict[str, list[NDArray[np.float64]]] = {name: [] for name in sessions}
    size_px = face_set.rule.spec.size_px
    for turn, index in enumerate(chosen):
        own = placement_at(face_set.placement, index)
        motion = dataclasses.replace(trembling, seed=trembling.seed + turn)
        crops, squares = trembling_crops(face_set.frame(index), own, face_set.rule.spec, motion)
        for name, session in sessions.items():
            found = session.run_crops(crops)["landmarks"]
            sequences[name].append(reference_px_from_crops(found, squares, own, size_px=size_px))
        stage.advance(1, total=len(chosen))
    stage.say(
        f"{len(chosen)} faces, {trembling.step_count} crops each: pan {trembling.pan_px:g} px, "
        f"zoom {trembling.zoom:.1%}, noise {trembling.noise_grey:g} grey levels"
    )
    return {name: jitter(np.stack(own)) for name, own in sequences.items()}
