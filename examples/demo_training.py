"""How the demo checkpoint is trained: phases, loss, averaged weights, choice of the best."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from demo_faces import Faces, training_batch
from demo_network import DEMO_SIZES, stage_landmarks
from demo_score import score
from demo_warm_start import learn_places
from torch import Tensor, nn

from facealign.models.blocks.imagenet import normalised_image
from facealign.models.families.slpt import FAMILY
from facealign.models.families.slpt.network import Slpt
from facealign.spec import CropSpec

__all__ = ["STEPS", "Phase", "Run", "phases", "train", "warm_start"]

STEPS = (1000, 1000, 400)
_WARM_START_STREAM = 1 << 20  # apart from the steps behind it
_WARM_START_RATE = 3e-3
_PEAK_RATE = 1e-3
_HEAD_SHARE = 0.7  # of the rate, for all but the backbone
_LAST_RATE = 0.01  # of the peak
_WARM_UP = 0.04  # of a phase
_FROZEN_FROM = 0.8  # of the last phase: from then on BatchNorm uses its running statistics
_DECAY = 0.98  # of the averaged weights, which are those that count
_LARGEST_GRADIENT = 1.0
_EYES = (60, 72)  # the outer corners in WFLW's order
_LEAST_EYES = 0.2  # of the crop; eyes that are closer, in profile, do not weigh more
_BETA = 0.02  # of the distance of the eyes: errors below count squared
_VALIDATE_EVERY = 50  # steps


@dataclass(frozen=True, slots=True)
class Phase:
    """One part of training, with a learning rate that rises and falls once.

    It ends with its steps, or with its minutes if they are over before.
    """

    size_px: int
    steps: int
    minutes: float
    peak_rate: float
    freezes: bool


@dataclass(slots=True)
class Run:
    """What training carries from step to step."""

    network: Slpt
    average: Slpt
    faces: Faces
    validation: Faces
    seed: int
    best_file: Path
    batch: int
    step: int = 0
    best_percent: float = math.inf
    started: float = field(default_factory=time.perf_counter)


def phases(steps: Sequence[int], minutes: Sequence[float]) -> tuple[Phase, Phase, Phase]:
    """Return what is trained in turn: the backbone alone, everything, everything at full size."""
    return (
        Phase(128, steps[0], minutes[0], _WARM_START_RATE, freezes=False),
        Phase(128, steps[1], minutes[1], _PEAK_RATE, freezes=False),
        Phase(256, steps[2], minutes[2], _PEAK_RATE, freezes=True),
    )


def warm_start(run: Run, phase: Phase) -> int:
    """Train the backbone of `run` alone; return the number of steps done."""
    crop = replace(FAMILY.crop(DEMO_SIZES), size_px=phase.size_px)
    started = time.perf_counter()
    return learn_places(
        run.network,
        lambda step: _batch(run, [run.seed, _WARM_START_STREAM, step], crop),
        rate=lambda progress: phase.peak_rate * _rate(progress),
        progress=lambda step: _progress(step, started, phase),
    )


def train(run: Run, phase: Phase) -> int:
    """Train all of `run`, keeping the best weights of a phase that freezes; return the steps."""
    optimizer = _optimizer(run.network, phase.peak_rate)
    crop = replace(FAMILY.crop(DEMO_SIZES), size_px=phase.size_px)
    run.network.train()
    losses: list[float] = []
    started, first = time.perf_counter(), run.step
    while (progress := _progress(run.step - first, started, phase)) < 1:
        if phase.freezes and progress >= _FROZEN_FROM:
            _freeze_statistics(run.network)
        for group in optimizer.param_groups:
            group["lr"] = group["initial_lr"] * _rate(progress)
        loss = _loss(run.network, *_batch(run, [run.seed, run.step], crop))
        losses.append(loss.item())
        _update(run.network, optimizer, loss)
        _follow(run.average, run.network, run.step)
        run.step += 1
        if run.step % _VALIDATE_EVERY == 0:
            _validate(run, phase, losses)
    if losses:
        _validate(run, phase, losses)
    return run.step - first


def _optimizer(network: Slpt, rate: float) -> torch.optim.Optimizer:
    backbone = {id(parameter) for parameter in network.backbone.parameters()}
    groups: dict[bool, list[nn.Parameter]] = {True: [], False: []}
    for parameter in network.parameters():
        groups[id(parameter) in backbone].append(parameter)
    return torch.optim.AdamW(
        [
            {"params": groups[True], "initial_lr": rate},
            {"params": groups[False], "initial_lr": rate * _HEAD_SHARE},
        ],
        weight_decay=1e-3,
    )


def _progress(steps: int, started: float, phase: Phase) -> float:
    if phase.steps == 0:
        return 1.0
    minutes = (time.perf_counter() - started) / 60
    return max(steps / phase.steps, minutes / phase.minutes)


def _batch(run: Run, stream: Sequence[int], crop: CropSpec) -> tuple[Tensor, Tensor]:
    rng = np.random.default_rng(stream)
    chosen = rng.choice(len(run.faces), run.batch, replace=False).tolist()
    crops, landmarks = training_batch(run.faces, chosen, rng, crop=crop)
    return torch.from_numpy(crops), torch.from_numpy(landmarks)


def _rate(progress: float) -> float:
    """Return the learning rate as a share of its peak: up in a line, down in half a cosine."""
    if progress < _WARM_UP:
        return max(progress / _WARM_UP, _LAST_RATE)
    fallen = (progress - _WARM_UP) / (1 - _WARM_UP)
    return _LAST_RATE + (1 - _LAST_RATE) * (1 + math.cos(math.pi * fallen)) / 2


def _loss(network: Slpt, crops: Tensor, landmarks: Tensor) -> Tensor:
    """Return the mean error of all stages, in distances of the outer eye corners, as NME is."""
    stages = torch.stack(stage_landmarks(network, normalised_image(crops)))  # (S, B, N, 2)
    eyes = (landmarks[:, _EYES[0]] - landmarks[:, _EYES[1]]).norm(dim=-1).clamp(min=_LEAST_EYES)
    errors = (stages - landmarks) / eyes[:, None, None]
    return nn.functional.smooth_l1_loss(errors, torch.zeros_like(errors), beta=_BETA)


def _update(network: Slpt, optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
    optimizer.zero_grad()
    torch.autograd.backward(loss)
    nn.utils.clip_grad_norm_(network.parameters(), _LARGEST_GRADIENT, error_if_nonfinite=True)
    optimizer.step()


def _follow(average: Slpt, network: Slpt, step: int) -> None:
    """Move the averaged weights and statistics a little towards the newest."""
    newest = network.state_dict()
    share = max(1 - _DECAY, 9 / (10 + step))
    for key, own in average.state_dict().items():
        if own.is_floating_point():
            own.lerp_(newest[key], share)
        else:
            own.copy_(newest[key])


def _freeze_statistics(network: Slpt) -> None:
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()


def _validate(run: Run, phase: Phase, losses: Sequence[float]) -> None:
    """Print the state of training; keep the averaged weights if they are the best of this size."""
    found = score(run.average, run.validation, size_px=phase.size_px)
    nme = found.overall.overall.nme_percent
    stages = " ".join(f"{each:.2f}" for each in found.stage_nme_percent)
    elapsed, loss = time.perf_counter() - run.started, np.mean(losses[-_VALIDATE_EVERY:])
    print(f"{elapsed:6.0f} s  step {run.step}  loss {loss:.4f}  NME of stages {stages}", flush=True)
    if phase.freezes and nme < run.best_percent:
        run.best_percent = nme
        torch.save(run.average.state_dict(), run.best_file)
