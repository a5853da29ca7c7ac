"""JetPack 5.1 to 5.1.5: Xavier and Orin, with TensorRT 8.5."""

from __future__ import annotations

from facealign.targets.fact import Fact
from facealign.targets.gpus import CAPABILITIES, ORIN, XAVIER
from facealign.targets.releases import (
    DLA_UP_TO_10_7,
    NOT_BOUND_TO_TYPES,
    OPSETS_8,
    PRECISIONS_8,
    WRITE_17,
)
from facealign.targets.target import Target

__all__ = ["TARGET"]

_PACKAGES = "dusty-nv/jetson-containers, versions by L4T"

TARGET = Target(
    name="jetpack-5.1",
    title="JetPack 5.1 to 5.1.5",
    engine="tensorrt",
    releases=Fact(
        ((8, 5, 2), (8, 5, 2)), f"{_PACKAGES}; the last number is general knowledge", "third party"
    ),
    tables=("8.5",),
    cuda=Fact("11.4", _PACKAGES, "third party"),
    gpus=Fact((XAVIER, ORIN), f"{_PACKAGES}; {CAPABILITIES}", "third party"),
    python=Fact("3.8", "Ubuntu 20.04", "third party"),
    opsets=OPSETS_8,
    export_opset=WRITE_17,
    precisions=PRECISIONS_8,
    strong_typing=NOT_BOUND_TO_TYPES,
    dla=Fact(("Xavier", "Orin"), DLA_UP_TO_10_7, "documented"),
)
