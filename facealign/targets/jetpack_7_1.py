"""JetPack 7.0 and 7.1: Thor alone, with TensorRT 10.13."""

from __future__ import annotations

from facealign.targets.fact import Fact
from facealign.targets.gpus import CAPABILITIES, THOR
from facealign.targets.releases import (
    BOUND_TO_TYPES,
    DLA_UP_TO_10_7,
    OPSETS_10_13,
    PRECISIONS_10_13,
    WRITE_19,
)
from facealign.targets.target import Target

__all__ = ["TARGET"]

_ARCHIVE = "developer.nvidia.com/embedded/jetpack/downloads, archives 7.0 and 7.1"

TARGET = Target(
    name="jetpack-7.1",
    title="JetPack 7.0 and 7.1",
    engine="tensorrt",
    releases=Fact(
        ((10, 13, 3), (10, 13, 3)),
        "roboflow/inference#1935 and #2531 (7.1); that of 7.0 from third parties",
        "issue",
    ),
    tables=("10.13",),
    cuda=Fact("13.0", _ARCHIVE, "documented"),
    gpus=Fact((THOR,), f"{_ARCHIVE}; {CAPABILITIES}", "documented"),
    python=Fact("3.12", _ARCHIVE, "documented"),
    opsets=OPSETS_10_13,
    export_opset=WRITE_19,
    precisions=PRECISIONS_10_13,
    strong_typing=BOUND_TO_TYPES,
    dla=Fact((), f"Thor has no DLA; {DLA_UP_TO_10_7}", "documented"),
    aliases=("jetpack-7.0",),
)
