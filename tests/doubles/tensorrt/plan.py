"""The double's plan: a graph, and what a build would have fixed. It is nothing like TensorRT's."""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass, field
from typing import Any

__all__ = ["MAGIC", "Plan", "PlanError", "bytes_from_plan", "plan_from_bytes"]

MAGIC = b"facealign-tensorrt-double\0"


class PlanError(Exception):
    """What TensorRT says of bytes that it does not open."""


@dataclass(frozen=True)
class Plan:
    """What a build fixed.

    Attributes:
        version: Of TensorRT.
        graph: ONNX.
        profiles: Per profile: input to its min, opt and max shapes.
        options: What the builder was told.
        plugins: Node, type, version, namespace and fields of each, in the order of the graph.
    """

    version: str
    graph: bytes
    profiles: list[dict[str, list[list[int]]]]
    options: dict[str, Any]
    plugins: list[dict[str, Any]] = field(default_factory=list)


def bytes_from_plan(plan: Plan) -> bytes:
    """Return the file."""
    header = json.dumps(
        {
            "version": plan.version,
            "profiles": plan.profiles,
            "options": plan.options,
            "plugins": plan.plugins,
        },
        sort_keys=True,
    ).encode()
    return MAGIC + struct.pack("<II", len(header), len(plan.graph)) + header + plan.graph


def plan_from_bytes(data: bytes, *, version: str) -> Plan:
    """Return what `bytes_from_plan` wrote.

    Raises:
        PlanError: If it is something else, cut off, or of another version.
    """
    start = len(MAGIC) + 8
    if not data.startswith(MAGIC) or len(data) < start:
        raise PlanError(
            "Serialization assertion plan->header.magicTag == rt::kPLAN_MAGIC_TAG failed."
        )
    header_size, graph_size = struct.unpack("<II", data[len(MAGIC) : start])
    if len(data) != start + header_size + graph_size:
        raise PlanError("Serialization assertion size failed: the plan is cut off.")
    header = json.loads(data[start : start + header_size])
    if header["version"] != version:
        raise PlanError(
            "The engine plan file is not compatible with this version of TensorRT, "
            f"expecting library version {version} got {header['version']}, please rebuild."
        )
    graph = data[start + header_size :]
    return Plan(version, graph, header["profiles"], header["options"], header["plugins"])
