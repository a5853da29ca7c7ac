from __future__ import annotations

import numpy as np

from facealign.calibration.observers.min_max import MinMax


def test_min_max_keeps_the_largest_magnitude() -> None:
    observer = MinMax()

    observer.observe(np.array([[1.0, -7.5], [3.0, 0.0]], np.float32))
    observer.observe(np.array([2.0], np.float32))

    assert observer.range() == 7.5
