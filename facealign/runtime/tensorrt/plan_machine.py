"""What a plan is tied to: GPU, TensorRT, CUDA driver and, on a Jetson, L4T and the board."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path

from facealign.errors import TargetError
from facealign.machine.l4t import board_model, l4t_release
from facealign.runtime.tensorrt.build_options import BuildOptions
from facealign.runtime.tensorrt.device.protocol import DeviceInfo

__all__ = ["Machine", "check_machine", "machine_from_device"]

_ROOT = Path("/")
_NUMBER = re.compile(r"\d+")
_WORDS = {
    "gpu": "GPU",
    "compute_capability": "compute capability",
    "board": "board",
    "tensorrt": "TensorRT",
    "cuda_driver": "CUDA driver",
    "l4t": "L4T",
}
# What a plan built with the option may differ in. Kernels for Ampere and later run from 8.0 on.
_OTHER_VERSION = {"tensorrt", "cuda_driver", "l4t"}
# From and to, of version-compatible plans (NVIDIA's support matrix).
_MAJORS = {(8, 10), (10, 11)}
_OTHER_GPU = {"gpu", "compute_capability", "board"}
_AMPERE = (8, 0)


@dataclass(frozen=True, slots=True)
class Machine:
    """A GPU and the software on it, as texts.

    Attributes:
        gpu: As the driver names it, such as ``Orin``: every Jetson Orin has that name.
        compute_capability: Such as ``8.7``.
        board: Such as ``NVIDIA Jetson Orin Nano Developer Kit``; None where there is no device
            tree. It tells apart what the driver calls by one name.
        tensorrt: Full version, such as ``10.3.0``.
        cuda_driver: Version of CUDA that the driver knows, such as ``12.6``.
        l4t: Such as ``36.4.3``; None if this is no Jetson.
    """

    gpu: str
    compute_capability: str
    board: str | None
    tensorrt: str
    cuda_driver: str
    l4t: str | None


def machine_from_device(info: DeviceInfo, *, tensorrt: str, root: Path = _ROOT) -> Machine:
    """Return what this machine is.

    Args:
        info: Of the open device.
        tensorrt: What the module calls its version.
        root: Where ``etc`` and ``proc`` are.
    """
    return Machine(
        gpu=info.name,
        compute_capability=_dotted(info.compute_capability),
        board=board_model(root),
        tensorrt=tensorrt,
        cuda_driver=_dotted(info.driver_version),
        l4t=l4t_release(root),
    )


def check_machine(built: Machine, here: Machine, options: BuildOptions) -> None:
    """Check that a plan may run here.

    Raises:
        TargetError: If it was built for another machine; names both, and what to do.
    """
    allowed = _allowed(built, here, options)
    differing = [name for name in _differing(built, here) if name not in allowed]
    if differing:
        raise TargetError(
            f"the plan was built for {_described(built, differing)} and this machine has "
            f"{_described(here, differing)}; run `facealign build BUNDLE` here"
        )


def _dotted(numbers: tuple[int, ...]) -> str:
    return ".".join(map(str, numbers))


def _differing(built: Machine, here: Machine) -> Iterator[str]:
    for field in fields(Machine):
        if getattr(built, field.name) != getattr(here, field.name):
            yield field.name


def _allowed(built: Machine, here: Machine, options: BuildOptions) -> set[str]:
    allowed: set[str] = set()
    if options.version_compatible and _is_later(here.tensorrt, built.tensorrt):
        allowed |= _OTHER_VERSION
    if None in {built.l4t, here.l4t}:  # a plan of a PC is none for a Jetson, whatever its versions
        allowed.discard("l4t")
    if options.hardware_compatible and _numbers(here.compute_capability) >= _AMPERE:
        allowed |= _OTHER_GPU
    return allowed


def _is_later(here: str, built: str) -> bool:
    ours, theirs = _numbers(here), _numbers(built)
    fits = ours[:1] == theirs[:1] or (*theirs[:1], *ours[:1]) in _MAJORS
    return fits and ours >= theirs


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, _NUMBER.findall(version)))


def _described(machine: Machine, names: list[str]) -> str:
    texts = [f"{_WORDS[name]} {getattr(machine, name) or '(none)'}" for name in names]
    return " and ".join([", ".join(texts[:-1]), texts[-1]] if texts[1:] else texts)
