"""Rendered faces with landmarks, in the format of WFLW; numpy and OpenCV only."""

from __future__ import annotations

from facealign.synth.attributes import PROBABILITIES, Attributes
from facealign.synth.dataset import (
    TEST_LIST,
    TRAIN_LIST,
    DatasetCounts,
    check_free,
    write_dataset,
)
from facealign.synth.face import SyntheticFace, synthetic_face

__all__ = [
    "PROBABILITIES",
    "TEST_LIST",
    "TRAIN_LIST",
    "Attributes",
    "DatasetCounts",
    "SyntheticFace",
    "check_free",
    "synthetic_face",
    "write_dataset",
]
