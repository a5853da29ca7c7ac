"""How a kernel of one thread per pixel of each crop is spread over the device."""

from __future__ import annotations

__all__ = ["BLOCK", "MAX_FACES", "grid_over"]

BLOCK = (32, 8, 1)  # a warp along a row, so that its reads and writes lie together
MAX_FACES = 65535  # the most that CUDA takes along z


def grid_over(size_px: int, face_count: int) -> tuple[int, int, int]:
    """Return blocks of `BLOCK` that cover every pixel of every crop."""
    return -(-size_px // BLOCK[0]), -(-size_px // BLOCK[1]), face_count
