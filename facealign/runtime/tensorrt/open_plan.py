"""From a plan file to an engine; no bundle, and none of its libraries, are needed."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

from facealign.runtime.tensorrt.device import Device
from facealign.runtime.tensorrt.device.open import open_device
from facealign.runtime.tensorrt.engine import TensorrtEngine, engine_from_plan
from facealign.runtime.tensorrt.library import import_tensorrt, tensorrt_version
from facealign.runtime.tensorrt.plan import Plan, read_plan
from facealign.runtime.tensorrt.plan_contract import PlanContract
from facealign.runtime.tensorrt.plan_key import key_from_file
from facealign.runtime.tensorrt.plan_machine import check_machine, machine_from_device

__all__ = ["contract_from_plan", "open_plan"]


def open_plan(
    path: Path | str, *, device: Device | None = None, key: bytes | None = None
) -> TensorrtEngine:
    """Return an engine on a plan that `facealign build` wrote for this machine.

    Args:
        path: Of the plan; its sidecar is beside it, and says how crops are cut.
        device: Where to run; the first one, closed with the engine, if None.
        key: That it must be signed with; if None, the one that ``FACEALIGN_PLAN_KEY`` names.

    Raises:
        IntegrityError: If a byte of plan or sidecar was changed, or the signature does not fit.
        TargetError: If the plan was built for another machine.
        BackendError: If TensorRT or CUDA is absent, or cannot open the plan.
        GraphContractError: If the plan is not what its sidecar says.
    """
    path = Path(path)
    plan = read_plan(path, key=key if key is not None else key_from_file())
    trt = import_tensorrt()
    with ExitStack() as stack:
        closes_device = device is None
        if device is None:
            device = open_device()
            stack.callback(device.close)
        here = machine_from_device(device.info, tensorrt=tensorrt_version(trt))
        check_machine(plan.record.machine, here, plan.record.options)
        stack.pop_all()  # what follows closes the device itself
        return engine_from_plan(
            contract_from_plan(plan, name=path.name), device, closes_device=closes_device
        )


def contract_from_plan(plan: Plan, *, name: str) -> PlanContract:
    """Return what the sidecar promises, with the bytes that it was checked against."""
    record = plan.record
    return PlanContract(
        data=plan.data,
        inputs=record.inputs,
        outputs=record.outputs,
        max_batch=record.options.max_batch,
        name=name,
        holds_host_code=record.options.version_compatible,
        plugins=record.plugins,
    )
