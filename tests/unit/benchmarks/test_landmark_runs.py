from __future__ import annotations

from pathlib import Path

import landmark_runs
import numpy as np
import pytest
from landmark_runs import distance_px, landmarks_by_run, openvino, ort

from facealign.bundle import read_bundle
from facealign.errors import MissingLibraryError


def test_ort_gives_the_landmarks_of_one_crop(tiny_bundle: Path) -> None:
    bundle = read_bundle(tiny_bundle)
    golden = bundle.golden()
    run = ort(bundle.read_file(bundle.manifest.graphs["fp32"].file), threads=1)

    found = landmarks_by_run({"ort": run}, golden.crops[:2])["ort"]

    assert found.shape == golden.landmarks[:2].shape
    assert distance_px(found, golden.landmarks[:2], bundle.manifest.crop.size_px).max() < 0.01


def test_openvino_that_is_not_there_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(landmark_runs, "find_spec", lambda _: None)

    with pytest.raises(MissingLibraryError, match=r"OpenVINO is not installed; run `pip install"):
        openvino(b"", threads=1)


def test_distance_is_in_crop_pixels_and_infinite_where_there_is_no_landmark() -> None:
    one = np.array([[[0.5, 0.5], [np.nan, 0.5]]], np.float32)
    other = np.array([[[0.25, 0.5], [0.5, 0.5]]], np.float32)

    assert distance_px(one, other, 256).tolist() == [[64.0, np.inf]]
