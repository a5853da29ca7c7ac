from __future__ import annotations

import numpy as np
import pytest
from batch_scaling import scaling


def test_scaling_counts_crops_and_not_runs() -> None:
    times = {"1": np.array([10.0, 10.0, 10.0]), "4": np.array([20.0, 20.0, 20.0])}

    found = scaling(times, gmac=0.5, roof_gflops=200.0)

    assert found["crops_per_s"] == {"1": 100.0, "4": 200.0}
    assert found["times_as_fast_per_crop"]["4"] == pytest.approx([2, 2, 2])
    assert found["share_of_roof"] == {"1": 0.5, "4": 1.0}
