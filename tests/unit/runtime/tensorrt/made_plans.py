"""Plans of made-up bytes, for tests of everything around them."""

from __future__ import annotations

import hashlib

from facealign.runtime.tensorrt.build_options import BuildOptions
from facealign.runtime.tensorrt.plan import Plan
from facealign.runtime.tensorrt.plan_machine import Machine
from facealign.runtime.tensorrt.plan_record import (
    RECORD_VERSION,
    PlanRecord,
    PlanSelfTest,
    Provenance,
)
from facealign.spec import CropSpec, SquareRule, contract_input, contract_outputs

__all__ = ["DATA", "GRAPH_SHA256", "KEY", "ORIN", "made_plan"]

DATA = bytes(range(256)) * 3
GRAPH_SHA256 = hashlib.sha256(b"graph").hexdigest()
KEY = b"0123456789abcdef"
ORIN = Machine(
    gpu="Orin",
    compute_capability="8.7",
    board="NVIDIA Jetson Orin Nano Developer Kit",
    tensorrt="10.3.0",
    cuda_driver="12.6",
    l4t="36.4.3",
)


def made_plan(
    *,
    data: bytes = DATA,
    machine: Machine = ORIN,
    options: BuildOptions | None = None,
    graph_sha256: str = GRAPH_SHA256,
) -> Plan:
    """Return a plan with a whole record."""
    record = PlanRecord(
        version=RECORD_VERSION,
        plan_sha256=hashlib.sha256(data).hexdigest(),
        plan_bytes=len(data),
        graph_sha256=graph_sha256,
        precision="fp16",
        machine=machine,
        options=options or BuildOptions(max_batch=8),
        plugins=(),
        inputs=(contract_input(256),),
        outputs=contract_outputs(98, ("pose",)),
        crop=CropSpec(256, SquareRule(1.15, "integer"), SquareRule(1.2, "exact")),
        scheme="wflw98",
        landmark_count=98,
        self_test=PlanSelfTest(max_px=0.004, allowed_px=0.1, crop_count=3),
        provenance=Provenance(
            facealign="0.1.0",
            python="3.10.12",
            created_utc="2026-11-21T18:00:00Z",
            family="tiny",
            checkpoint_sha256="0" * 64,
        ),
    )
    return Plan(record, data)
