"""Per-image normalisation: every channel of every crop to mean 0 and deviation 1."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["traced_z_score", "z_score"]

_SMALLEST_STD = 1e-6  # the authors divide by 1 below it (SPEC 4.2)


def z_score(crops: Tensor) -> Tensor:
    """Return ``(B, 3, H, W)`` float32 BGR of mean 0 and population deviation 1, the authors' way.

    Args:
        crops: ``(B, H, W, 3)`` uint8 BGR. A channel of one grey level becomes 0.

    Source: SPEC 4.2.
    """
    image = crops.permute(0, 3, 1, 2).to(torch.float32)
    mean = image.mean(dim=(2, 3), keepdim=True)
    std = image.std(dim=(2, 3), unbiased=False, keepdim=True)
    return (image - mean) / torch.where(std < _SMALLEST_STD, torch.ones_like(std), std)


def traced_z_score(crops: Tensor) -> Tensor:
    """Return what `z_score` does, without a comparison.

    A flat channel of a crop of up to 256 px is 0 behind the subtraction whatever it is divided by:
    all partial sums are whole numbers below 2**24, so its mean is exact. Any other channel has a
    deviation of at least 1 / 256, far from the bound that keeps the division finite.

    Args:
        crops: ``(B, H, W, 3)`` uint8 BGR.
    """
    # Cast before it is moved: TensorRT has uint8 at the input alone, and refuses to transpose it.
    image = crops.to(torch.float32).permute(0, 3, 1, 2)
    centred = image - _mean(image)
    variance = _mean(centred * centred)
    return centred / variance.clamp(min=_SMALLEST_STD**2).sqrt()


def _mean(image: Tensor) -> Tensor:
    """Return the mean of each channel, ``(B, C, 1, 1)``.

    Rows by a product, which onnxsim cannot merge with the sum of the rows: of ReduceMean over both
    axes ONNX Runtime 1.31 adds up all 65536 squares in single precision, and the picture is then
    2e-5 off, which moved landmarks by up to 0.02 px.
    """
    rows, columns = image.shape[2:]
    sum_of_row = torch.matmul(image, torch.ones((columns, 1)))
    mean: Tensor = sum_of_row.sum(dim=2, keepdim=True) / (rows * columns)
    return mean
