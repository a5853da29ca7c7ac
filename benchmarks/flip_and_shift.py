"""What do a mirror, a shift and other light do to the landmarks of each family?

    python benchmarks/flip_and_shift.py [--models NAME ...]

Full size, recipe weights, PyTorch, on the photograph of the parity crops and the recipe's pictures.
An ideal network would mirror its landmarks with the crop, move them with it, and not mind the
light. No family is built to; what each does by construction shows even without training. Writes
results/flip_and_shift.json.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "examples"))

import make_checkpoint
import recipe
from networks import MODELS, modules
from result_file import provenance, result_of, write_result

from facealign.export.crops import parity_crops
from facealign.spec import Scheme

Crops = NDArray[np.uint8]
Landmarks = NDArray[np.floating]
_FACES = 4
_SHIFTS_PX = (1, 4, 16)


def main() -> None:
    """Measure, print a line per model, write the result."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    known = make_checkpoint.model_names()
    parser.add_argument("--models", nargs="+", default=MODELS, choices=known, metavar="NAME")
    options = parser.parse_args()
    rows = {}
    where = provenance(threads=torch.get_num_threads())
    for name in options.models:
        rows[name] = _behaviour(name)
        print(name, rows[name], flush=True)
    settings = {"faces": _FACES, "shifts_px": _SHIFTS_PX}
    result = result_of(__doc__, where, settings=settings, figures=rows)
    print(write_result("flip_and_shift", result))


def _behaviour(name: str) -> dict[str, float]:
    family, network, _ = modules(name)
    scheme = family.scheme(make_checkpoint.model_detection(name).hyperparameters)

    def landmarks_px(crops: Crops) -> Landmarks:
        with torch.inference_mode():
            found = family.reference(network, torch.from_numpy(crops.copy()))["landmarks"]
        return np.asarray(found.numpy() * recipe.SIZE_PX)

    crops = _crops()
    plain = landmarks_px(crops)
    behaviour = {
        "spread between crops": plain.std(axis=0).mean(),
        "mirrored": _mean_px(_mirrored(landmarks_px(crops[:, :, ::-1]), scheme), plain),
        "half the contrast": _mean_px(landmarks_px(_relit(crops)), plain),
        **_shifts(landmarks_px, crops, plain),
    }
    return {what: round(float(value), 3) for what, value in behaviour.items()}


def _crops() -> Crops:
    faces = [crop.pixels for crop in parity_crops(recipe.SIZE_PX) if crop.name.startswith("face")]
    return np.stack([*faces[:_FACES], recipe.image(0), recipe.image(1)])


def _mirrored(landmarks: Landmarks, scheme: Scheme) -> Landmarks:
    """Return the landmarks of mirrored crops as they stand in the plain ones."""
    back: Landmarks = landmarks[:, list(scheme.mirror)].copy()
    back[..., 0] = recipe.SIZE_PX - 1 - back[..., 0]
    return back


def _relit(crops: Crops) -> Crops:
    return np.asarray(64 + crops // 2, np.uint8)


def _shifts(
    landmarks_px: Callable[[Crops], Landmarks], crops: Crops, plain: Landmarks
) -> dict[str, float]:
    """Return how far landmarks are from having moved with the crop, per shift to the right."""
    found = {}
    for shift in _SHIFTS_PX:
        columns = np.maximum(np.arange(recipe.SIZE_PX) - shift, 0)
        moved = landmarks_px(crops[:, :, columns])
        found[f"shifted by {shift} px"] = _mean_px(moved - [shift, 0], plain)
    return found


def _mean_px(found: Landmarks, expected: Landmarks) -> float:
    return float(np.linalg.norm(found - expected, axis=-1).mean())


if __name__ == "__main__":
    main()
