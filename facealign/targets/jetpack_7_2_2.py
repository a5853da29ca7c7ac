"""JetPack 7.2.2 and later with TensorRT 11.4.1, the first 11 that Jetson can have."""

from __future__ import annotations

from facealign.targets.fact import Fact
from facealign.targets.gpus import AGX_ORIN, CAPABILITIES, THOR
from facealign.targets.releases import BOUND_TO_TYPES, OPSETS_11, PRECISIONS_10_13, WRITE_19
from facealign.targets.target import Target

__all__ = ["TARGET"]

_GUIDE = "docs.nvidia.com, TensorRT 11.4.1, migration from 10.x to 11.x on Jetson"
_DLA = "docs.nvidia.com, TensorRT 11.4.1, work with DLA"

TARGET = Target(
    name="jetpack-7.2.2",
    title="JetPack 7.2.2 and later, TensorRT 11.4.1 installed on it",
    engine="tensorrt",
    releases=Fact(
        ((11, 4, 1), (11, 4, 1)),
        f"{_GUIDE}; that 7.2.2 itself comes with 10.16 is general knowledge",
        "documented",
    ),
    tables=("11.2-11.4",),
    cuda=Fact("13.2", "JetPack 7.2 has it; of 7.2.2 no more than 13 is known", "unconfirmed"),
    gpus=Fact((AGX_ORIN, THOR), f"{_GUIDE}; {CAPABILITIES}", "documented"),
    python=Fact("3.12", "Ubuntu 24.04", "third party"),
    opsets=OPSETS_11,
    export_opset=WRITE_19,
    precisions=PRECISIONS_10_13,
    strong_typing=BOUND_TO_TYPES,
    dla=Fact(("AGX Orin",), _DLA, "documented"),
)
