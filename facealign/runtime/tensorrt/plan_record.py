"""What the sidecar of a plan says: the plan's checksum, what it was built from, and for what."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass

from facealign.runtime.tensorrt.build_options import BuildOptions
from facealign.runtime.tensorrt.plan_json import sorted_json
from facealign.runtime.tensorrt.plan_machine import Machine
from facealign.spec import CropSpec, TensorSpec

__all__ = ["RECORD_VERSION", "PlanRecord", "PlanSelfTest", "Provenance", "cache_key"]

RECORD_VERSION = 1


@dataclass(frozen=True, slots=True)
class PlanSelfTest:
    """How far the plan's landmarks were from the golden ones, right after it was built.

    Attributes:
        max_px: The largest distance, in crop pixels.
        allowed_px: What the bundle allows the crop of that landmark.
        crop_count: Golden crops.
    """

    max_px: float
    allowed_px: float
    crop_count: int


@dataclass(frozen=True, slots=True)
class Provenance:
    """Who made the plan, when and of what; for people."""

    facealign: str
    python: str
    created_utc: str
    family: str
    checkpoint_sha256: str


@dataclass(frozen=True, slots=True)
class PlanRecord:
    """One plan, with all that an application needs to run it without its bundle.

    Attributes:
        version: Of this schema.
        plan_sha256: Of the plan file, lower-case hex.
        plan_bytes: Its size.
        graph_sha256: Of the ONNX graph that it was built from.
        precision: Name of that graph in its bundle.
        machine: What it was built on, and for.
        options: What it was built with.
        plugins: Of ours that it needs, such as ``facealign::PatchCrop/1``; TensorRT opens it only
            where they are registered.
        inputs: By name; ``B`` is 1 to `options.max_batch`.
        outputs: Likewise.
        crop: How the input is cut out of a frame.
        scheme: Landmark set.
        landmark_count: N.
        self_test: None only before it has run; such a plan is never written for a bundle.
        provenance: For people.
    """

    version: int
    plan_sha256: str
    plan_bytes: int
    graph_sha256: str
    precision: str
    machine: Machine
    options: BuildOptions
    plugins: tuple[str, ...]
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    crop: CropSpec
    scheme: str
    landmark_count: int
    self_test: PlanSelfTest | None
    provenance: Provenance

    @property
    def cache_key(self) -> str:
        """Of the graph, the machine and the options: what would give this plan again."""
        return cache_key(self.graph_sha256, self.machine, self.options)


def cache_key(graph_sha256: str, machine: Machine, options: BuildOptions) -> str:
    """Return the SHA-256 of everything that makes one plan another."""
    parts = {"graph": graph_sha256, "machine": asdict(machine), "options": asdict(options)}
    return hashlib.sha256(sorted_json(parts)).hexdigest()
