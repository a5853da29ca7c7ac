"""Plans of a bundle for this machine: from the cache, or built, tested in pixels and written."""

from __future__ import annotations

import hashlib
import platform
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from types import ModuleType

from facealign import __version__
from facealign.bundle import Bundle
from facealign.errors import SelfTestError, UsageError
from facealign.runtime.engine import Engine
from facealign.runtime.self_test import check_golden
from facealign.runtime.session import Session
from facealign.runtime.tensorrt.build import BuiltPlan, GraphToBuild, Tell, build_plan
from facealign.runtime.tensorrt.build_options import BuildOptions
from facealign.runtime.tensorrt.device import Device, open_device
from facealign.runtime.tensorrt.engine import engine_from_plan
from facealign.runtime.tensorrt.library import import_tensorrt, tensorrt_version
from facealign.runtime.tensorrt.open_plan import contract_from_plan
from facealign.runtime.tensorrt.plan import Plan, write_plan
from facealign.runtime.tensorrt.plan_cache import look_up, plan_path, timing_cache_path
from facealign.runtime.tensorrt.plan_files import check_folder
from facealign.runtime.tensorrt.plan_machine import Machine, machine_from_device
from facealign.runtime.tensorrt.plan_record import (
    RECORD_VERSION,
    PlanRecord,
    PlanSelfTest,
    Provenance,
)

__all__ = ["BundlePlan", "OpenPlan", "PlanBuilder", "open_builder", "plan_precisions"]

_NOT_FOR_TENSORRT = {"int8-cpu"}


OpenPlan = Callable[[Plan], Engine]
"""From a plan that is only in memory to an engine that runs it, which the caller closes."""


@dataclass(frozen=True, slots=True)
class BundlePlan:
    """One plan of a bundle.

    Attributes:
        path: Of the plan; its sidecar is beside it.
        record: What the sidecar says.
        is_new: Whether it was built now; else the cache had it.
        seconds: That building and testing took.
        notes: What a user should know.
    """

    path: Path
    record: PlanRecord
    is_new: bool
    seconds: float
    notes: tuple[str, ...] = ()


def plan_precisions(bundle: Bundle, wanted: Iterable[str] = ()) -> tuple[str, ...]:
    """Return the precisions to build: those asked for, or all that are meant for TensorRT.

    Raises:
        UsageError: If one that is asked for is not there, or is not for TensorRT.
    """
    there = [name for name in bundle.manifest.graphs if name not in _NOT_FOR_TENSORRT]
    asked = list(dict.fromkeys(wanted)) or there
    for name in asked:
        if name not in there:
            raise UsageError(
                f"the bundle has no {name!r} graph for TensorRT; choose from {', '.join(there)}"
            )
    if not asked:
        raise UsageError("the bundle has no graph for TensorRT; export it with `--precision fp32`")
    return tuple(asked)


@contextmanager
def open_builder(
    bundle: Bundle,
    options: BuildOptions,
    *,
    key: bytes | None = None,
    timing_cache: Path | None = None,
) -> Iterator[PlanBuilder]:
    """Open the first device and yield what builds on it.

    Args:
        bundle: See `PlanBuilder`, also for the others.
        options: Likewise.
        key: Likewise.
        timing_cache: Likewise; if None, the one of this user for this machine.

    Raises:
        BackendError: If TensorRT or CUDA is absent, in one line that says what to install.
    """
    options.check()
    trt = import_tensorrt()
    device = open_device()
    try:
        machine = machine_from_device(device.info, tensorrt=tensorrt_version(trt))
        yield PlanBuilder(
            trt,
            device,
            lambda plan: engine_from_plan(contract_from_plan(plan, name="the new plan"), device),
            bundle,
            options,
            key,
            timing_cache or timing_cache_path(machine),
        )
    finally:
        device.close()


@dataclass(frozen=True, slots=True)
class PlanBuilder:
    """Builds plans of one bundle on one open device.

    Attributes:
        trt: The module `tensorrt`.
        device: Stays open.
        open_plan: For the self-test.
        bundle: Where graphs come from and plans go to.
        options: Of every plan.
        key: Signs sidecars, if there is one.
        timing_cache: Of this device and TensorRT; none if None.
    """

    trt: ModuleType
    device: Device
    open_plan: OpenPlan
    bundle: Bundle
    options: BuildOptions
    key: bytes | None = None
    timing_cache: Path | None = None

    @property
    def machine(self) -> Machine:
        """What plans are built for."""
        return machine_from_device(self.device.info, tensorrt=tensorrt_version(self.trt))

    def build(
        self, precision: str, *, force: bool = False, on_progress: Tell | None = None
    ) -> BundlePlan:
        """Return the plan of that precision; it is there, whole and tested, or this raises.

        Args:
            precision: Which graph.
            force: Whether to build although the cache has it.
            on_progress: As `build_plan` has it.

        Raises `IntegrityError` if the graph was changed, `TargetError` and `BackendError` as
        `build_plan` has them, `SelfTestError` if the plan does not give the golden landmarks, and
        `OutputError` if it cannot be written. No file is left then, and an older plan is as it was.
        """
        started = time.perf_counter()
        path = plan_path(self.bundle, precision=precision, machine=self.machine)
        graph = self._graph(precision)
        found = look_up(
            path,
            graph_sha256=graph.sha256,
            machine=self.machine,
            options=self.options,
            key=self.key,
        )
        if found.record is not None and not force:
            return BundlePlan(path, found.record, is_new=False, seconds=_since(started))
        check_folder(path.parent)
        built = build_plan(
            self.trt,
            self.device,
            graph,
            self.options,
            timing_cache=self.timing_cache,
            on_progress=on_progress,
        )
        plan = self._tested(self._plan(precision, graph, built), precision)
        write_plan(path, plan, key=self.key)
        replaced = (f"replaced what was there: {found.why_not}",) if found.why_not else ()
        notes = (*replaced, *built.notes)
        return BundlePlan(path, plan.record, is_new=True, seconds=_since(started), notes=notes)

    def _graph(self, precision: str) -> GraphToBuild:
        manifest = self.bundle.manifest
        name = manifest.graphs[precision].file
        return GraphToBuild(
            data=self.bundle.read_file(name),
            sha256=manifest.files[name].sha256,
            inputs=manifest.inputs,
            outputs=manifest.outputs,
        )

    def _plan(self, precision: str, graph: GraphToBuild, built: BuiltPlan) -> Plan:
        manifest = self.bundle.manifest
        record = PlanRecord(
            version=RECORD_VERSION,
            plan_sha256=hashlib.sha256(built.data).hexdigest(),
            plan_bytes=len(built.data),
            graph_sha256=graph.sha256,
            precision=precision,
            machine=self.machine,
            options=self.options,
            plugins=built.plugins,
            inputs=manifest.inputs,
            outputs=manifest.outputs,
            crop=manifest.crop,
            scheme=manifest.scheme,
            landmark_count=manifest.landmark_count,
            self_test=None,
            provenance=Provenance(
                facealign=__version__,
                python=platform.python_version(),
                created_utc=datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
                family=manifest.family,
                checkpoint_sha256=manifest.checkpoint.sha256,
            ),
        )
        return Plan(record, built.data)

    def _tested(self, plan: Plan, precision: str) -> Plan:
        """Return the plan with what its self-test found.

        Raises:
            SelfTestError: If the landmarks are not the golden ones; the plan is then given up.
        """
        with Session(self.open_plan(plan), self.bundle.manifest) as session:
            try:
                distance = check_golden(
                    self.bundle, precision=precision, run_crops=session.run_crops
                )
            except SelfTestError as error:
                raise SelfTestError(
                    f"the {precision} plan fails its self-test and was deleted: {error}"
                ) from error
        tested = PlanSelfTest(distance.max_px, distance.allowed_px, distance.crop_count)
        return Plan(replace(plan.record, self_test=tested), plan.data)


def _since(started: float) -> float:
    return time.perf_counter() - started
