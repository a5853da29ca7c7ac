"""The engine "tensorrt": the plan of a bundle, on the first device."""

from __future__ import annotations

from contextlib import ExitStack

from facealign.bundle import Bundle
from facealign.runtime.tensorrt.device.open import open_device
from facealign.runtime.tensorrt.engine import TensorrtEngine, engine_from_plan
from facealign.runtime.tensorrt.library import import_tensorrt, tensorrt_version
from facealign.runtime.tensorrt.open_plan import contract_from_plan
from facealign.runtime.tensorrt.plan_cache import plan_path, read_bundle_plan
from facealign.runtime.tensorrt.plan_key import key_from_file
from facealign.runtime.tensorrt.plan_machine import machine_from_device

__all__ = ["open_engine"]


def open_engine(
    bundle: Bundle,
    *,
    precision: str,
    threads: int | None,  # noqa: ARG001  # of the protocol; a GPU has its own
) -> TensorrtEngine:
    """Return the engine for the plan that `facealign build` made of the graph of that precision.

    Raises:
        BackendError: If TensorRT or CUDA is absent, or cannot open the plan.
        TargetError: If no plan was built for this machine.
        IntegrityError: If a byte of graph, plan or sidecar was changed.
        GraphContractError: If the plan is not what its sidecar says.
    """
    trt = import_tensorrt()
    device = open_device()
    with ExitStack() as stack:
        stack.callback(device.close)
        machine = machine_from_device(device.info, tensorrt=tensorrt_version(trt))
        plan = read_bundle_plan(bundle, precision=precision, machine=machine, key=key_from_file())
        name = plan_path(bundle, precision=precision, machine=machine).name
        stack.pop_all()  # what follows closes the device itself
        return engine_from_plan(contract_from_plan(plan, name=name), device, closes_device=True)
