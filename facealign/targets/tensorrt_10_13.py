"""TensorRT 10.13 on a PC, the release of JetPack 7.0 and 7.1."""

from __future__ import annotations

from facealign.targets.fact import Fact
from facealign.targets.gpus import CARDS_AND_BLACKWELL
from facealign.targets.releases import (
    BOUND_TO_TYPES,
    NO_DLA_ON_A_PC,
    OPSETS_10_13,
    PRECISIONS_10_13,
    WRITE_19,
)
from facealign.targets.target import Target

__all__ = ["TARGET"]

_WHEELS = "wheels on PyPI"

TARGET = Target(
    name="tensorrt-10.13",
    title="TensorRT 10.13 on a PC",
    engine="tensorrt",
    releases=Fact(((10, 13, 0), (10, 13, 3)), _WHEELS, "measured"),
    tables=("10.13",),
    cuda=Fact("12 or 13", _WHEELS, "unconfirmed"),
    gpus=CARDS_AND_BLACKWELL,
    python=Fact("3.8 to 3.13", _WHEELS, "unconfirmed"),
    opsets=OPSETS_10_13,
    export_opset=WRITE_19,
    precisions=PRECISIONS_10_13,
    strong_typing=BOUND_TO_TYPES,
    dla=NO_DLA_ON_A_PC,
    is_desktop=True,
)
