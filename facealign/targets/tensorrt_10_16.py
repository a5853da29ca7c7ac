"""TensorRT 10.16 on a PC, near the release of JetPack 7.2."""

from __future__ import annotations

from facealign.targets.fact import Fact
from facealign.targets.gpus import CARDS_AND_BLACKWELL
from facealign.targets.releases import (
    BOUND_TO_TYPES,
    NO_DLA_ON_A_PC,
    OPSETS_10_16,
    PRECISIONS_10_13,
    WRITE_19,
)
from facealign.targets.target import Target

__all__ = ["TARGET"]

_WHEELS = "wheels on PyPI"

TARGET = Target(
    name="tensorrt-10.16",
    title="TensorRT 10.16 on a PC",
    engine="tensorrt",
    releases=Fact(
        ((10, 16, 0), (10, 16, 1)), "wheels on PyPI; release notes of 10.16.1", "documented"
    ),
    tables=("10.16",),
    cuda=Fact("12 or 13", _WHEELS, "unconfirmed"),
    gpus=CARDS_AND_BLACKWELL,
    python=Fact("3.8 to 3.13", _WHEELS, "unconfirmed"),
    opsets=OPSETS_10_16,
    export_opset=WRITE_19,
    precisions=PRECISIONS_10_13,
    strong_typing=BOUND_TO_TYPES,
    dla=NO_DLA_ON_A_PC,
    is_desktop=True,
)
