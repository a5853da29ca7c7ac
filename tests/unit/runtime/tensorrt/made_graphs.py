"""Graphs as a build takes them, and what a build of the double was told."""

from __future__ import annotations

import hashlib

from facealign.runtime.tensorrt.build import BuiltPlan, GraphToBuild
from facealign.runtime.tensorrt.build_options import BuildOptions
from facealign.spec import contract_input, contract_outputs
from tests.conftest import SIZE_PX, N
from tests.doubles.tensorrt import Plan, TensorrtDouble, plan_from_bytes

__all__ = ["OPTIONS", "opened", "to_build"]

OPTIONS = BuildOptions(max_batch=4, opt_batch=2)


def to_build(data: bytes) -> GraphToBuild:
    """Return a graph that hashes to what it should."""
    return GraphToBuild(
        data=data,
        sha256=hashlib.sha256(data).hexdigest(),
        inputs=(contract_input(SIZE_PX),),
        outputs=contract_outputs(N),
    )


def opened(double: TensorrtDouble, built: BuiltPlan) -> Plan:
    """Return what the double was told."""
    return plan_from_bytes(built.data, version=double.api.version)
