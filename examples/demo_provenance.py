"""Write the demo checkpoint, and beside it what it is, where it is from and how good it is."""

from __future__ import annotations

import json
import platform
import subprocess
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from demo_faces import Faces, rendered_faces
from demo_network import DEMO_SIZES
from demo_score import DemoScore, score
from numpy.typing import NDArray
from torch import Tensor

from facealign.models.detect import Detection
from facealign.models.facts import network_macs
from facealign.models.families.slpt import FAMILY
from facealign.models.families.slpt.network import Slpt

__all__ = ["CHECKED_FACES", "HELD_OUT_FACES", "HELD_OUT_SEED", "Training", "write_demo"]

HELD_OUT_SEED, HELD_OUT_FACES = 2, 300
CHECKED_FACES = 24  # of the held-out ones: few enough to draw in every run of the tests
_DIGITS = 3


@dataclass(frozen=True, slots=True)
class Training:
    """How weights were made.

    Attributes:
        command: That made them.
        seed: Of first weights, of changes, and of faces, unless they were there.
        face_count: Faces trained on.
        steps: Of the backbone alone at 128 px, of all at 128 px, of all at 256 px.
        batch: Crops of a step.
        started_from: Name of the file of weights that training went on from; None if from scratch.
        validation_nme_percent: By which the best weights were chosen.
        render_s: Seconds to draw the data set; near 0 if it was there.
        train_s: Seconds to train, validation included.
    """

    command: str
    seed: int
    face_count: int
    steps: tuple[int, ...]
    batch: int
    started_from: str | None
    validation_nme_percent: float
    render_s: float
    train_s: float


def write_demo(
    folder: Path,
    state_dict: Mapping[str, Tensor],
    mean_shape: NDArray[np.float32],
    training: Training,
) -> None:
    """Score weights on held-out faces; write ``demo.pt``, ``demo.mean-shape.npy``, ``demo.json``.

    Args:
        folder: Made if it is not there; files there are replaced.
        state_dict: Of the demo's network.
        mean_shape: ``(98, 2)`` float32, x and y as a fraction of the crop.
        training: How the weights were made.
    """
    network = Slpt(DEMO_SIZES, torch.from_numpy(mean_shape)).eval()
    network.load_state_dict(dict(state_dict))
    started = time.perf_counter()
    faces = rendered_faces(HELD_OUT_SEED, HELD_OUT_FACES)
    held_out = _held_out(network, faces)
    facts = {
        **asdict(training),
        "epochs": round(sum(training.steps) * training.batch / training.face_count, 1),
        "parameters": sum(parameter.numel() for parameter in network.parameters()),
        "macs_of_network": network_macs(Detection(FAMILY, DEMO_SIZES)),
        "held_out": held_out,
        "score_s": time.perf_counter() - started,
        **_environment(),
    }
    folder.mkdir(parents=True, exist_ok=True)
    torch.save(dict(state_dict), folder / "demo.pt")
    np.save(folder / "demo.mean-shape.npy", mean_shape)
    text = json.dumps(_rounded(facts), indent=2)
    (folder / "demo.json").write_text(f"{text}\n", encoding="utf-8")
    print(text)


def _held_out(network: Slpt, faces: Faces) -> dict[str, object]:
    found = score(network, faces)
    from_boxes = score(network, faces, from_boxes=True)
    return {
        "seed": HELD_OUT_SEED,
        "faces": len(faces),
        "normalisation": found.overall.normalisation,
        "nme_percent": found.overall.overall.nme_percent,
        "baseline_nme_percent": found.baseline.overall.nme_percent,
        "fr10_percent": found.overall.overall.fr_percent,
        "auc10_percent": found.overall.overall.auc_percent,
        "nme_percent_of_stages": found.stage_nme_percent,
        "nme_percent_from_boxes": from_boxes.overall.overall.nme_percent,
        "subsets": _subsets(found),
        "first": _first(network, CHECKED_FACES),
    }


def _subsets(found: DemoScore) -> dict[str, dict[str, float]]:
    return {
        name: {
            "faces": own.face_count,
            "nme_percent": own.nme_percent,
            "baseline_nme_percent": found.baseline.subsets[name].nme_percent,
        }
        for name, own in found.overall.subsets.items()
    }


def _first(network: Slpt, count: int) -> dict[str, float]:
    """Return the figures that the tests draw and score again."""
    found = score(network, rendered_faces(HELD_OUT_SEED, count))
    return {
        "faces": count,
        "nme_percent": found.overall.overall.nme_percent,
        "baseline_nme_percent": found.baseline.overall.nme_percent,
    }


def _environment() -> dict[str, str]:
    return {
        "commit": _commit(),
        "machine": platform.machine(),
        "python": platform.python_version(),
        **{name: version(name) for name in ("torch", "numpy", "opencv-python-headless")},
    }


def _commit() -> str:
    try:
        found = subprocess.run(
            ["git", "rev-parse", "HEAD"],  # noqa: S607  # git is on PATH where it is used
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            check=False,
        )
    except FileNotFoundError:  # no git: no reason to lose an hour of training
        return "unknown"
    return found.stdout.strip() or "unknown"


def _rounded(value: object) -> object:
    """Return the same with fewer digits: what is behind them is noise."""
    if isinstance(value, float):
        return round(value, _DIGITS)
    if isinstance(value, Mapping):
        return {key: _rounded(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(each) for each in value]
    return value
