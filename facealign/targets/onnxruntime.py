"""ONNX Runtime on the CPU."""

from __future__ import annotations

from facealign.targets.fact import Fact
from facealign.targets.releases import WRITE_19
from facealign.targets.target import Target

__all__ = ["TARGET"]

_STANDARD = "the ONNX standard"
_HERE = "our tests, with 1.31.1"

TARGET = Target(
    name="onnxruntime",
    title="ONNX Runtime on the CPU",
    engine="onnxruntime",
    releases=Fact(
        ((1, 20, 0), (1, 31, 1)), "the extra `ort`; the newest that our tests ran on", "measured"
    ),
    tables=(),
    cuda=Fact("", "the CPU needs none", "documented"),
    gpus=Fact((), "the CPU is none", "documented"),
    python=Fact("3.10 to 3.13", "those of facealign that ONNX Runtime has wheels for", "measured"),
    opsets=Fact(
        (7, 21),
        "onnxruntime.ai/docs/reference/compatibility.html (from 7 on); that 1.20 ends at 21 is "
        "general knowledge; 1.31.1 ran 26 here",
        "unconfirmed",
    ),
    export_opset=WRITE_19,
    precisions=Fact(("fp32", "fp16", "int8"), _HERE, "measured"),
    strong_typing=Fact(value=True, source=_STANDARD, certainty="documented"),
    dla=Fact((), "the CPU has none", "documented"),
    aliases=("ort",),
)
