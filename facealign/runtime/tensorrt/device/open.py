"""Choose a back and open the device."""

from __future__ import annotations

import logging
from typing import Literal

from facealign.errors import BackendError
from facealign.runtime.tensorrt.device.libcuda import CtypesDevice
from facealign.runtime.tensorrt.device.protocol import Device

__all__ = ["Back", "open_device"]

logger = logging.getLogger(__name__)

Back = Literal["auto", "pycuda", "ctypes"]


def open_device(index: int = 0, *, back: Back = "auto", library: str | None = None) -> Device:
    """Return a device.

    Args:
        index: Which one, from 0, as CUDA counts them.
        back: ``"auto"`` takes pycuda where it works and else ctypes, which needs no package; any
            other takes that one or fails.
        library: Path of the driver, for the back ctypes only, which it implies; the system's own
            if None.

    Raises:
        BackendError: If the back, the driver or the device is not there.
        ValueError: If `back` is none of them, or is pycuda and `library` is given.
    """
    if back not in {"auto", "pycuda", "ctypes"}:
        raise ValueError(f"`back` must be 'auto', 'pycuda' or 'ctypes', got {back!r}")
    if library is not None and back == "pycuda":
        raise ValueError("pycuda finds the driver itself; pass `library` with `back='ctypes'`")
    if back == "ctypes" or library is not None:
        return CtypesDevice(index, library=library)
    from facealign.runtime.tensorrt.device.pycuda_device import PycudaDevice

    if back == "pycuda":
        return PycudaDevice(index)
    try:
        return PycudaDevice(index)
    except BackendError as error:
        logger.info("taking the back `ctypes`: %s", error)
        return CtypesDevice(index)
