"""A plan file and its sidecar: the only way from a disk to TensorRT.

A plan is native code, and TensorRT runs it without a question. So nothing is handed over that does
not stand beside a sidecar of ours whose checksums match. Checksums tell that a plan is *whole*. Who
made it, only a signature tells: with a key, nothing else is loaded.
"""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from pathlib import Path

from facealign.errors import IntegrityError
from facealign.runtime.tensorrt.plan_contract import PlanContract
from facealign.runtime.tensorrt.plan_files import read_plain, write_all
from facealign.runtime.tensorrt.plan_json import (
    canonical_json,
    plain_from_json,
    record_from_plain,
    sorted_json,
)
from facealign.runtime.tensorrt.plan_key import check_signature, signature
from facealign.runtime.tensorrt.plan_record import RECORD_VERSION, PlanRecord

__all__ = ["Plan", "read_plan", "read_record", "sidecar_path", "write_plan"]

_MAX_SIDECAR_BYTES = 2**20  # it has some 2 kB; this bounds what a forged one may cost
_MAX_PLAN_BYTES = 2**32


@dataclass(frozen=True, slots=True)
class Plan:
    """A plan whose bytes are those that its record was made with."""

    record: PlanRecord
    data: bytes

    def __post_init__(self) -> None:
        """Check that.

        Raises:
            IntegrityError: If they are not.
        """
        found = hashlib.sha256(self.data).hexdigest()
        if (len(self.data), found) != (self.record.plan_bytes, self.record.plan_sha256):
            raise IntegrityError(
                "the plan is not what its sidecar was written for (size or SHA-256 differs); it is "
                "not loaded. Run `facealign build` again"
            )

    def contract(self, *, name: str = "plan") -> PlanContract:
        """Return what an engine needs; `name` is for its messages."""
        record = self.record
        return PlanContract(
            self.data, record.inputs, record.outputs, record.options.max_batch, name=name
        )


def read_plan(path: Path, *, graph_sha256: str | None = None, key: bytes | None = None) -> Plan:
    """Return a plan, after it and its sidecar were checked; the bytes that were hashed.

    Args:
        path: Of the plan; its sidecar is beside it.
        graph_sha256: Of the graph that it must have been built from; not asked if None.
        key: With it, only plans that were signed with it; see `key_from_file`.

    Raises:
        IntegrityError: If anything was changed, is missing or is a link, if the plan is of another
            graph, or if its signature is not of `key`.
    """
    record = read_record(path, key=key)
    if graph_sha256 is not None and record.graph_sha256 != graph_sha256:
        raise IntegrityError(
            f"`{path}` was built from another graph than the bundle's; run `facealign build` again"
        )
    data = read_plain(path, max_bytes=record.plan_bytes)
    try:
        return Plan(record, data)
    except IntegrityError as error:
        raise IntegrityError(f"`{path}`: {error}") from error


def read_record(path: Path, *, key: bytes | None = None) -> PlanRecord:
    """Return what the sidecar of a plan says; the plan itself is not read.

    Raises:
        IntegrityError: If the sidecar is missing, changed, not ours, or not signed with `key`.
    """
    sidecar = sidecar_path(path)
    data = read_plain(sidecar, max_bytes=_MAX_SIDECAR_BYTES)
    try:
        record, found = _parts(data)
    except ValueError as error:
        raise IntegrityError(
            f"`{sidecar}` is not as facealign wrote it ({error}); the plan is not loaded. "
            "Run `facealign build` again"
        ) from error
    check_signature(canonical_json(record), found, key=key, name=str(path))
    return record


def write_plan(path: Path, plan: Plan, *, key: bytes | None = None) -> None:
    """Write a plan and its sidecar, both or neither.

    Raises:
        OutputError: If they cannot be written.
    """
    found = signature(canonical_json(plan.record), key)
    write_all({path: plan.data, sidecar_path(path): _sidecar_json(asdict(plan.record), found)})


def sidecar_path(path: Path) -> Path:
    """Return where the sidecar of a plan is: ``x.plan`` has ``x.plan.json``."""
    return path.with_name(f"{path.name}.json")


def _parts(data: bytes) -> tuple[PlanRecord, str | None]:
    """Return the record in a sidecar, and its signature.

    Raises:
        ValueError: If a single byte is not as `sidecar_json` writes it.
    """
    whole = plain_from_json(data)
    found = whole.get("hmac")
    if _sidecar_json(whole.get("record"), found) != data:
        raise ValueError("its checksum does not match")
    if not isinstance(found, str | None):
        raise ValueError("its signature is no text")  # noqa: TRY004  # one error for all of it
    record = record_from_plain(PlanRecord, whole["record"])
    if record.version != RECORD_VERSION or not 0 < record.plan_bytes <= _MAX_PLAN_BYTES:
        raise ValueError(f"it has version {record.version} and {record.plan_bytes} bytes")
    return record, found


def _sidecar_json(record: object, hmac: object) -> bytes:
    """Return the bytes of a sidecar, which hold their own SHA-256."""
    body = {"hmac": hmac, "record": record}
    return sorted_json({"checksum": hashlib.sha256(sorted_json(body)).hexdigest(), **body})
