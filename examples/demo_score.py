"""How good an SLPT network is on faces: NME of stages, of subsets and of the mean shape."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from demo_faces import Faces, cut_crops
from numpy.typing import NDArray

from facealign.evaluation import EvaluationReport, GroundTruth, evaluate_landmarks
from facealign.geometry import frame_from_crop
from facealign.models.blocks.imagenet import normalised_image
from facealign.models.families.slpt import FAMILY
from facealign.models.families.slpt.network import Slpt
from facealign.spec import WFLW98

__all__ = ["DemoScore", "score"]

_FAILURE_PERCENT = 10.0  # where WFLW's papers draw the line
_BATCH = 32
_MEAN_SHAPE = "mean shape"


@dataclass(frozen=True, slots=True)
class DemoScore:
    """Figures of one network on one set of faces; errors are divided by the outer eye corners.

    Attributes:
        overall: Of the last stage, all figures and all subsets.
        baseline: The same of the mean shape put into every crop, as a network gives that ignores
            the picture.
        stage_nme_percent: Mean NME of every stage.
    """

    overall: EvaluationReport
    baseline: EvaluationReport
    stage_nme_percent: tuple[float, ...]


def score(
    network: Slpt, faces: Faces, *, size_px: int = 256, from_boxes: bool = False
) -> DemoScore:
    """Return how good a network is.

    Args:
        network: In evaluation mode.
        faces: Never trained on.
        size_px: Of the crops; other than 256 only while it is trained.
        from_boxes: Whether the crops come from the detector's boxes, not from the landmarks.
    """
    crop = replace(FAMILY.crop(network.hyperparameters), size_px=size_px)
    crops, placement = cut_crops(faces, crop, from_boxes=from_boxes)
    truth = GroundTruth(faces.landmarks, WFLW98, subsets=faces.subsets)

    def report(landmarks_norm: NDArray[np.float32]) -> EvaluationReport:
        return evaluate_landmarks(
            frame_from_crop(landmarks_norm, placement),
            truth,
            normalisation="corners",
            threshold_percent=_FAILURE_PERCENT,
        )

    mean_shape = np.broadcast_to(network.mean_shape.numpy(), faces.landmarks.shape)
    stages = [report(landmarks) for landmarks in _stage_landmarks(network, crops)]
    return DemoScore(
        overall=stages[-1],
        baseline=report(mean_shape.astype(np.float32)),
        stage_nme_percent=tuple(stage.overall.nme_percent for stage in stages),
    )


def _stage_landmarks(network: Slpt, crops: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
    """Return the landmarks of every stage, ``(F, N, 2)`` each, as a fraction of the crop."""
    names = [f"stage{stage + 1}.landmarks" for stage in range(network.hyperparameters.stage_count)]
    found: dict[str, list[NDArray[np.float32]]] = {name: [] for name in names}
    for start in range(0, len(crops), _BATCH):
        points = _points(network, crops[start : start + _BATCH])
        for name in names:
            found[name].append(points[name].numpy())
    return [np.concatenate(found[name]) for name in names]


def _points(network: Slpt, crops: NDArray[np.uint8]) -> Mapping[str, torch.Tensor]:
    with torch.no_grad():
        points: dict[str, torch.Tensor] = network(normalised_image(torch.from_numpy(crops)))
    return points
