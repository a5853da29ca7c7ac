"""Teach a backbone where landmarks are before the rest of the network learns to ask it."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch
from demo_network import DEMO_SIZES
from torch import Tensor, nn

from facealign.models.blocks.imagenet import normalised_image
from facealign.models.families.slpt.network import Slpt

__all__ = ["learn_places"]

_SIGMA = 1.0  # cells of the map
_REPORT_EVERY = 50  # steps


def learn_places(
    network: Slpt,
    batch: Callable[[int], tuple[Tensor, Tensor]],
    *,
    rate: Callable[[float], float],
    progress: Callable[[int], float],
) -> int:
    """Train backbone and projection so that a 1x1 convolution of the map finds every landmark.

    From scratch, patches say nothing at first, and the transformer learns to ignore them. A heat
    map per landmark teaches every cell of the map directly, at half the cost of a whole step. The
    convolution that draws them is thrown away.

    Args:
        network: Changed in place.
        batch: From the number of a step to ``(B, S, S, 3)`` uint8 crops and ``(B, 98, 2)`` float32
            landmarks as a fraction of the crop.
        rate: From progress to the learning rate.
        progress: From the number of a step to progress; training ends at 1.

    Returns:
        The number of steps done.
    """
    heat = nn.Conv2d(DEMO_SIZES.width, DEMO_SIZES.landmark_count, 1)
    optimizer = torch.optim.AdamW([*network.backbone.parameters(), *heat.parameters()])
    network.train()
    step, losses, started = 0, [0.0], time.perf_counter()
    while (done := progress(step)) < 1:
        for group in optimizer.param_groups:
            group["lr"] = rate(done)
        crops, landmarks = batch(step)
        maps = network.backbone.projection(network.backbone(normalised_image(crops)))
        loss = _surprise(heat(maps), landmarks)
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
        losses.append(loss.item())
        step += 1
        if step % _REPORT_EVERY == 0:
            mean = sum(losses[-_REPORT_EVERY:]) / _REPORT_EVERY
            print(
                f"{time.perf_counter() - started:6.0f} s  step {step}  loss {mean:.3f}", flush=True
            )
    return step


def _surprise(heat: Tensor, landmarks: Tensor) -> Tensor:
    """Return the mean cross-entropy of ``(B, N, H, W)`` heat against a bell at each landmark."""
    size = heat.shape[-1]
    places = landmarks.clamp(0, 1) * (size - 1)  # (B, N, 2), in cells
    offsets = torch.arange(size) - places.unsqueeze(-1)  # (B, N, 2, size)
    bells = torch.softmax(-offsets.square() / (2 * _SIGMA**2), dim=-1)
    log_share = torch.log_softmax(heat.flatten(2), dim=-1).reshape(heat.shape)
    bell = bells[:, :, 1].unsqueeze(-1) * bells[:, :, 0].unsqueeze(-2)  # (B, N, H, W)
    return -torch.sum(log_share * bell, dim=(2, 3)).mean()
