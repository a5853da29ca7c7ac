"""JetPack 6.1 to 6.2.3: Orin, with TensorRT 10.3."""

from __future__ import annotations

from facealign.targets.fact import Fact
from facealign.targets.gpus import CAPABILITIES, ORIN
from facealign.targets.releases import (
    BOUND_TO_TYPES,
    DLA_UP_TO_10_7,
    OPSETS_10_3,
    PRECISIONS_10_3,
    WRITE_19,
)
from facealign.targets.target import Target

__all__ = ["TARGET"]

_PAGE = "docs.pytorch.org/TensorRT, JetPack page (6.1)"

TARGET = Target(
    name="jetpack-6.2",
    title="JetPack 6.1 to 6.2.3",
    engine="tensorrt",
    releases=Fact(
        ((10, 3, 0), (10, 3, 0)),
        f"{_PAGE}; pytorch/TensorRT#3453 (6.2); that of 6.2.2 and 6.2.3 is general knowledge",
        "documented",
    ),
    tables=("10.3",),
    cuda=Fact("12.6", _PAGE, "documented"),
    gpus=Fact((ORIN,), f"{_PAGE}; {CAPABILITIES}", "documented"),
    python=Fact("3.10", "Ubuntu 22.04", "third party"),
    opsets=OPSETS_10_3,
    export_opset=WRITE_19,
    precisions=PRECISIONS_10_3,
    strong_typing=BOUND_TO_TYPES,
    dla=Fact(("Orin",), DLA_UP_TO_10_7, "documented"),
    aliases=("jetpack-6.1", "jetpack-6.2.1", "jetpack-6.2.2", "jetpack-6.2.3"),
)
