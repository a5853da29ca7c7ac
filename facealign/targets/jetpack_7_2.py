"""JetPack 7.2 and 7.2.1: Thor and Orin, with TensorRT 10.16."""

from __future__ import annotations

from facealign.targets.fact import Fact
from facealign.targets.gpus import CAPABILITIES, ORIN, THOR
from facealign.targets.releases import (
    BOUND_TO_TYPES,
    DLA_UP_TO_10_7,
    OPSETS_10_16,
    PRECISIONS_10_13,
    WRITE_19,
)
from facealign.targets.target import Target

__all__ = ["TARGET"]

_READ = "roboflow/inference#2531 (read off a device)"

TARGET = Target(
    name="jetpack-7.2",
    title="JetPack 7.2 and 7.2.1",
    engine="tensorrt",
    releases=Fact(
        ((10, 16, 2), (10, 16, 2)),
        f"{_READ}; OE4T/meta-tegra#2224; that of 7.2.1 from third parties",
        "issue",
    ),
    tables=("10.16",),
    cuda=Fact("13.2", _READ, "issue"),
    gpus=Fact((ORIN, THOR), f"{_READ}; OE4T/meta-tegra#2224; {CAPABILITIES}", "issue"),
    python=Fact("3.12", "Ubuntu 24.04", "third party"),
    opsets=OPSETS_10_16,
    export_opset=WRITE_19,
    precisions=PRECISIONS_10_13,
    strong_typing=BOUND_TO_TYPES,
    dla=Fact((), f"no DLA on Orin, and Thor has none: {DLA_UP_TO_10_7}", "documented"),
    aliases=("jetpack-7.2.1",),
)
