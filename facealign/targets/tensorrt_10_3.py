"""TensorRT 10.3 on a PC, the release of JetPack 6.1 and 6.2."""

from __future__ import annotations

from facealign.targets.fact import Fact
from facealign.targets.gpus import CARDS
from facealign.targets.releases import (
    BOUND_TO_TYPES,
    NO_DLA_ON_A_PC,
    OPSETS_10_3,
    PRECISIONS_10_3,
    WRITE_19,
)
from facealign.targets.target import Target

__all__ = ["TARGET"]

_WHEELS = "wheels on PyPI"

TARGET = Target(
    name="tensorrt-10.3",
    title="TensorRT 10.3 on a PC",
    engine="tensorrt",
    releases=Fact(((10, 3, 0), (10, 3, 0)), _WHEELS, "measured"),
    tables=("10.3",),
    cuda=Fact("12", _WHEELS, "measured"),
    gpus=CARDS,
    python=Fact("3.8 to 3.12", _WHEELS, "unconfirmed"),
    opsets=OPSETS_10_3,
    export_opset=WRITE_19,
    precisions=PRECISIONS_10_3,
    strong_typing=BOUND_TO_TYPES,
    dla=NO_DLA_ON_A_PC,
    is_desktop=True,
)
