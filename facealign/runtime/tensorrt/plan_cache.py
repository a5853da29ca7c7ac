"""Where the plans of a bundle are, and whether one is there that need not be built again."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from facealign.bundle import Bundle
from facealign.errors import IntegrityError, TargetError
from facealign.runtime.tensorrt.build_options import BuildOptions
from facealign.runtime.tensorrt.plan import Plan, read_plan, read_record
from facealign.runtime.tensorrt.plan_machine import Machine, check_machine
from facealign.runtime.tensorrt.plan_record import PlanRecord, cache_key

__all__ = [
    "ENGINES",
    "Cached",
    "look_up",
    "plan_path",
    "read_bundle_plan",
    "timing_cache_path",
]

ENGINES = "engines"  # in a bundle; its manifest does not list what is in there, nor hash it
_NO_NAME = re.compile(r"[^a-z0-9.]+")


@dataclass(frozen=True, slots=True)
class Cached:
    """What was found in place of a plan.

    Attributes:
        record: Of a plan that is as good as a new one; None if it must be built.
        why_not: Why it must be built, for people.
    """

    record: PlanRecord | None
    why_not: str = ""


def plan_path(bundle: Bundle, *, precision: str, machine: Machine) -> Path:
    """Return where the plan of that precision is: ``engines/orin-trt10.3.0-fp16.plan``.

    Raises:
        IntegrityError: If ``engines`` is a link.
    """
    folder = bundle.folder / ENGINES
    if folder.is_symlink():
        raise IntegrityError(f"`{folder}` is a link, and a bundle has none; make it a folder")
    name = f"{_plain(machine.gpu)}-trt{_plain(machine.tensorrt)}-{precision}.plan"
    return folder / name


def timing_cache_path(machine: Machine) -> Path | None:
    """Return where this user's timing cache for the machine is; None for a user without a home.

    Not in the bundle: TensorRT reads it in C++, so it must not come from elsewhere.
    """
    caches = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache")
    try:
        folder = caches.expanduser() / "facealign"
    except RuntimeError:  # a container may run as a user whom its system does not know
        return None
    name = f"{_plain(machine.gpu)}-sm{_plain(machine.compute_capability)}"
    return folder / f"{name}-trt{_plain(machine.tensorrt)}.timing"


def read_bundle_plan(
    bundle: Bundle, *, precision: str, machine: Machine, key: bytes | None = None
) -> Plan:
    """Return the plan of that precision for this machine; graph, sidecar and plan were checked.

    Where none was built here, it is one that was built elsewhere with an option that lets it run
    here: version or hardware compatible.

    Raises:
        TargetError: If none was built, or what is there was built for another machine.
        IntegrityError: If a byte of the graph, the sidecar or the plan was changed, or the
            signature is not of `key`.
    """
    path = plan_path(bundle, precision=precision, machine=machine)
    graph = bundle.manifest.graphs[precision].file
    bundle.read_file(graph)  # hashed as it is read: the plan must not outlive its graph
    graph_sha256 = bundle.manifest.files[graph].sha256
    if not path.exists() and not path.is_symlink():
        path = _compatible_path(bundle, precision, graph_sha256, machine, key)
    plan = read_plan(path, graph_sha256=graph_sha256, key=key)
    check_machine(plan.record.machine, machine, plan.record.options)
    return plan


def look_up(
    path: Path, *, graph_sha256: str, machine: Machine, options: BuildOptions, key: bytes | None
) -> Cached:
    """Return the record of the plan at `path`, if building it would give the same again."""
    if not path.exists() and not path.is_symlink():
        return Cached(None)
    try:
        record = read_record(path, key=key)
        if record.cache_key != cache_key(graph_sha256, machine, options):
            return Cached(None, "the graph, this machine or an option is another")
        if record.self_test is None:
            return Cached(None, "it was never tested")
        read_plan(path, key=key)
    except IntegrityError as error:
        return Cached(None, str(error))
    return Cached(record)


def _plain(text: str) -> str:
    return _NO_NAME.sub("-", text.lower()).strip("-.") or "gpu"


def _compatible_path(
    bundle: Bundle, precision: str, graph_sha256: str, machine: Machine, key: bytes | None
) -> Path:
    """Return where a plan is that was built elsewhere and may run here.

    Raises:
        TargetError: If there is none; names what is there.
    """
    others = sorted((bundle.folder / ENGINES).glob(f"*-{precision}.plan"))
    for path in others:
        if _may_run(path, graph_sha256, machine, key):
            return path
    raise TargetError(_none_built(bundle, others, precision, machine))


def _may_run(path: Path, graph_sha256: str, machine: Machine, key: bytes | None) -> bool:
    """Return whether a plan of another machine says that it may run here; it is not read yet."""
    try:
        record = read_record(path, key=key)
        check_machine(record.machine, machine, record.options)
    except (IntegrityError, TargetError):
        return False
    return record.graph_sha256 == graph_sha256


def _none_built(bundle: Bundle, others: list[Path], precision: str, machine: Machine) -> str:
    names = ", ".join(path.name for path in others)
    there = f"there are plans for other machines, {names}" if others else "none is there"
    return (
        f"the bundle has no {precision} plan for {machine.gpu} and TensorRT {machine.tensorrt}, "
        f"{there}; run `facealign build {bundle.folder}` here"
    )
