"""The engine "tensorrt": the plan of a bundle, on the first device."""

from __future__ import annotations

import logging
from contextlib import ExitStack

from facealign.bundle import Bundle
from facealign.errors import BackendError
from facealign.runtime.tensorrt.device import Device
from facealign.runtime.tensorrt.device.open import open_device
from facealign.runtime.tensorrt.engine import TensorrtEngine, engine_from_plan
from facealign.runtime.tensorrt.frame_path import CropSetup
from facealign.runtime.tensorrt.kernels import bilinear_of_opencv, compiled_kernels, kernel_source
from facealign.runtime.tensorrt.library import import_tensorrt, tensorrt_version
from facealign.runtime.tensorrt.open_plan import contract_from_plan
from facealign.runtime.tensorrt.plan_cache import plan_path, read_bundle_plan
from facealign.runtime.tensorrt.plan_key import key_from_file
from facealign.runtime.tensorrt.plan_machine import machine_from_device

__all__ = ["open_engine"]

_logger = logging.getLogger(__name__)


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
        name = plan_path(bundle, precision=precision, machine=plan.record.machine).name
        crops = _crop_setup(bundle, device)
        stack.pop_all()  # what follows closes the device itself
        return engine_from_plan(
            contract_from_plan(plan, name=name), device, closes_device=True, crops=crops
        )


def _crop_setup(bundle: Bundle, device: Device) -> CropSetup | None:
    """Return what cuts crops on the device; None where nothing can compile it, which is said."""
    try:
        image = compiled_kernels(kernel_source("crop.cu"), device.info)
        device.kernel(image, "crop_squares")  # a driver may be too old for what was compiled
    except BackendError as error:
        _logger.info("crops are cut on the CPU: %s", error)
        return None
    opencv = bundle.manifest.tools.get("opencv-python-headless")
    bilinear = "exact" if opencv is None else bilinear_of_opencv(opencv)
    return CropSetup(image, bundle.manifest.crop, bilinear)
