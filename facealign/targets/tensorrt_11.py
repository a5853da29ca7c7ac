"""TensorRT 11.1 to 11.4 on a PC."""

from __future__ import annotations

from facealign.targets.fact import Fact
from facealign.targets.gpus import CARDS_AND_BLACKWELL
from facealign.targets.releases import (
    BOUND_TO_TYPES,
    NO_DLA_ON_A_PC,
    OPSETS_11,
    PRECISIONS_10_13,
    WRITE_19,
)
from facealign.targets.target import Target

__all__ = ["TARGET"]

_WHEELS = "wheels on PyPI"

TARGET = Target(
    name="tensorrt-11",
    title="TensorRT 11.1 to 11.4 on a PC",
    engine="tensorrt",
    releases=Fact(((11, 1, 0), (11, 4, 0)), _WHEELS, "measured"),
    tables=("11.1", "11.2-11.4"),
    cuda=Fact("12 or 13", _WHEELS, "measured"),
    gpus=CARDS_AND_BLACKWELL,
    python=Fact("3.10 to 3.13", _WHEELS, "unconfirmed"),
    opsets=OPSETS_11,
    export_opset=WRITE_19,
    precisions=PRECISIONS_10_13,
    strong_typing=BOUND_TO_TYPES,
    dla=NO_DLA_ON_A_PC,
    aliases=("tensorrt-11.1", "tensorrt-11.2", "tensorrt-11.3", "tensorrt-11.4"),
    is_desktop=True,
)
