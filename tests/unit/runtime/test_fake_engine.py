from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from facealign.errors import BackendError, UsageError
from facealign.runtime.engine import Engine
from facealign.runtime.fake_engine import FakeEngine


def middle(crops: NDArray[np.uint8]) -> NDArray[np.float64]:
    return np.full((len(crops), 98, 2), 0.5)


def test_fake_engine_returns_float32_and_counts_its_calls() -> None:
    engine: Engine = FakeEngine(middle)
    crops = np.zeros((3, 16, 16, 3), np.uint8)

    landmarks = engine.run(crops)["landmarks"]
    engine.run(crops[:1])

    assert landmarks.shape == (3, 98, 2)
    assert landmarks.dtype == np.float32
    assert isinstance(engine, FakeEngine)
    assert engine.batch_sizes == [3, 1]


def test_fake_engine_fails_from_the_call_it_is_told() -> None:
    engine = FakeEngine(middle, failure=BackendError("out of memory"), fail_at=1)
    crops = np.zeros((1, 16, 16, 3), np.uint8)
    engine.run(crops)

    with pytest.raises(BackendError, match="out of memory"):
        engine.run(crops)


def test_fake_engine_says_that_it_is_closed() -> None:
    engine = FakeEngine(middle)
    engine.close()

    with pytest.raises(UsageError, match="the engine is closed; open a new one"):
        engine.run(np.zeros((1, 16, 16, 3), np.uint8))
