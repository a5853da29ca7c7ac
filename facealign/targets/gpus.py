"""NVIDIA's GPUs that targets name, by compute capability."""

from __future__ import annotations

from facealign.targets.fact import Fact
from facealign.targets.target import Gpu

__all__ = ["AGX_ORIN", "CAPABILITIES", "CARDS", "CARDS_AND_BLACKWELL", "ORIN", "THOR", "XAVIER"]

CAPABILITIES = "compute capability: developer.nvidia.com/cuda-gpus"
XAVIER = Gpu("Xavier", (7, 2))
ORIN = Gpu("Orin", (8, 7))
AGX_ORIN = Gpu("AGX Orin", (8, 7))
THOR = Gpu("Thor", (11, 0))

_UP_TO_HOPPER = (
    Gpu("Turing", (7, 5)),
    Gpu("Ampere A100", (8, 0)),
    Gpu("Ampere", (8, 6)),
    Gpu("Ada", (8, 9)),
    Gpu("Hopper", (9, 0)),
)
_WHY = "general knowledge; the support matrices of these releases were not kept"
CARDS = Fact(_UP_TO_HOPPER, _WHY, "unconfirmed")
CARDS_AND_BLACKWELL = Fact(
    (*_UP_TO_HOPPER, Gpu("Blackwell B200", (10, 0)), Gpu("Blackwell", (12, 0))),
    _WHY,
    "unconfirmed",
)
