"""A network that is arithmetic, and crops for it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from facealign.calibration import Ranges, Snapshot


class FakeNetwork:
    """Gives tensor ``xK`` as K times the pixels, and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[int, tuple[str, ...]]] = []
        self.fail_after: int | None = None

    def __call__(
        self, crops: NDArray[np.uint8], names: Sequence[str]
    ) -> dict[str, NDArray[np.float32]]:
        if self.fail_after is not None and len(self.asked) >= self.fail_after:
            raise KeyboardInterrupt
        self.asked.append((len(crops), tuple(names)))
        return {name: crops.astype(np.float32) * float(name[1:]) for name in names}


@pytest.fixture
def network() -> FakeNetwork:
    return FakeNetwork()


@pytest.fixture
def crops(rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return 13 crops that grow lighter."""
    noise = rng.integers(0, 100, (13, 4, 4, 3))
    return (noise + 10 * np.arange(13)[:, None, None, None]).astype(np.uint8)


@pytest.fixture
def ranges() -> Ranges:
    return Ranges(
        amax={"b": 4.0, "a": 1.0},
        observer="min_max",
        crop_count=6,
        crops_sha256="1" * 64,
        graph_sha256="2" * 64,
        snapshots=(
            Snapshot(1, (0.5, 4.0)),
            Snapshot(2, (0.97, 4.1)),
            Snapshot(4, (1.0, 4.0)),
            Snapshot(6, (1.0, 4.0)),
        ),
    )
