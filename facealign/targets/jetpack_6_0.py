"""JetPack 6.0: Orin, with TensorRT 8.6."""

from __future__ import annotations

from facealign.targets.fact import Fact
from facealign.targets.gpus import CAPABILITIES, ORIN
from facealign.targets.releases import (
    DLA_UP_TO_10_7,
    NOT_BOUND_TO_TYPES,
    OPSETS_8,
    PRECISIONS_8,
    WRITE_17,
)
from facealign.targets.target import Target

__all__ = ["TARGET"]

_PACKAGES = "dusty-nv/jetson-containers, packages for 8.6.2 and CUDA 12.2"

TARGET = Target(
    name="jetpack-6.0",
    title="JetPack 6.0",
    engine="tensorrt",
    releases=Fact(((8, 6, 2), (8, 6, 2)), _PACKAGES, "third party"),
    tables=("8.6",),
    cuda=Fact("12.2", _PACKAGES, "third party"),
    gpus=Fact((ORIN,), f"{_PACKAGES}; {CAPABILITIES}", "third party"),
    python=Fact("3.10", "Ubuntu 22.04", "third party"),
    opsets=OPSETS_8,
    export_opset=WRITE_17,
    precisions=PRECISIONS_8,
    strong_typing=NOT_BOUND_TO_TYPES,
    dla=Fact(("Orin",), DLA_UP_TO_10_7, "documented"),
)
