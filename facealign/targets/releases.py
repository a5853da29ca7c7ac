"""What follows from the release of TensorRT alone, whichever machine it runs on."""

from __future__ import annotations

from facealign.targets.fact import Fact

__all__ = [
    "BOUND_TO_TYPES",
    "DLA_UP_TO_10_7",
    "NOT_BOUND_TO_TYPES",
    "NO_DLA_ON_A_PC",
    "OPSETS_8",
    "OPSETS_10_3",
    "OPSETS_10_13",
    "OPSETS_10_16",
    "OPSETS_11",
    "PRECISIONS_8",
    "PRECISIONS_10_3",
    "PRECISIONS_10_13",
    "WRITE_17",
    "WRITE_19",
]

_TABLE = "onnx/onnx-tensorrt docs/operators.md"
_CHANGES = "NVIDIA/TensorRT CHANGELOG.md"

OPSETS_8 = Fact((0, 17), f"{_TABLE} at 8.4-GA, 8.5-GA and 8.6-GA", "measured")
OPSETS_10_3 = Fact((9, 20), f"{_TABLE} at 10.1-GA; that of 10.3 was not read", "documented")
OPSETS_10_13 = Fact(
    (9, 21),
    f"{_CHANGES} 10.9 (GroupNormalization of opset 21); the table of 10.14 has 24",
    "unconfirmed",
)
OPSETS_10_16 = Fact((9, 24), f"{_TABLE} at 10.14, 10.16 and 11.1", "measured")
OPSETS_11 = Fact((9, 24), f"{_TABLE} at 11.1; no news of 11.2 to 11.4 were found", "documented")

WRITE_17 = Fact(17, f"the highest that the release reads: {_TABLE}", "measured")
WRITE_19 = Fact(
    19,
    "the last with the spelling of GridSample's mode that TensorRT reads, the first with FP16 "
    "scales for Q/DQ: onnx-tensorrt 10.1-GA, onnxOpImporters.cpp; NVIDIA/TensorRT#4646",
    "measured",
)

PRECISIONS_8 = Fact(("fp32", "fp16", "int8"), f"{_TABLE} at 8.5-GA and 8.6-GA", "measured")
PRECISIONS_10_3 = Fact(
    ("fp32", "fp16", "bf16", "int8", "fp8", "int4"), f"{_TABLE} at 10.1-GA", "documented"
)
PRECISIONS_10_13 = Fact(
    ("fp32", "fp16", "bf16", "int8", "fp8", "fp4", "int4"),
    f"{_TABLE} at 10.14, 10.16 and 11.1; {_CHANGES} 10.8 (FP4)",
    "measured",
)

NOT_BOUND_TO_TYPES = Fact(
    value=False,
    source="the bindings of 8.6 have no NetworkDefinitionCreationFlag.STRONGLY_TYPED",
    certainty="measured",
)
# NVIDIA's migration guide calls it fully available from 10.12 on; the flag is older.
BOUND_TO_TYPES = Fact(
    value=True,
    source="the bindings of 10.3 to 11.4 have NetworkDefinitionCreationFlag.STRONGLY_TYPED",
    certainty="measured",
)

DLA_UP_TO_10_7 = "release notes of TensorRT 10.16.1: 10.7 was the last 10.x with DLA"
NO_DLA_ON_A_PC: Fact[tuple[str, ...]] = Fact((), "a graphics card has no DLA", "documented")
