"""Which target of ``facealign lint`` a machine is."""

from __future__ import annotations

from facealign.machine.jetson import Jetson
from facealign.targets import Target, Version, discover_targets

__all__ = ["machine_targets", "targets_text"]


def machine_targets(
    jetson: Jetson | None, *, tensorrt: str | None, has_onnxruntime: bool
) -> tuple[Target, ...]:
    """Return the targets that this machine is, the one with TensorRT first.

    Args:
        jetson: None for a PC.
        tensorrt: Version that is installed, such as ``10.3.0``; None if there is none.
        has_onnxruntime: Whether ONNX Runtime is installed.
    """
    numbers = _numbers(tensorrt)
    targets = [each for each in discover_targets() if each.engine == "tensorrt"]
    if jetson is None:
        found = [each for each in targets if each.is_desktop and _covers(each, numbers)]
    else:
        found = _jetpack_targets(jetson, numbers, [each for each in targets if not each.is_desktop])
    others = [each for each in discover_targets() if each.engine == "onnxruntime"]
    return (*found[:1], *(others if has_onnxruntime else ()))


def targets_text(targets: tuple[Target, ...]) -> str:
    """Return what `facealign lint` is to be asked for."""
    if not targets:
        return "none that facealign knows"
    return "; ".join(f"{each.name} ({each.title})" for each in targets)


def _jetpack_targets(jetson: Jetson, tensorrt: Version, targets: list[Target]) -> list[Target]:
    """Return the target of that JetPack, unless another TensorRT was installed on it."""
    named = [] if jetson.jetpack is None else _named(jetson.jetpack.version, targets)
    if not tensorrt:
        return named
    fitting = [each for each in targets if _covers(each, tensorrt)]
    return [each for each in named if each in fitting] or fitting


def _named(version: str, targets: list[Target]) -> list[Target]:
    """Return the target of a JetPack such as ``5.1.2``, or that of 5.1."""
    names = (f"jetpack-{version}", f"jetpack-{'.'.join(version.split('.')[:2])}")
    by_name = {name: target for target in targets for name in target.names}
    return [by_name[name] for name in names if name in by_name][:1]


def _covers(target: Target, tensorrt: Version) -> bool:
    oldest, newest = target.releases.value
    return bool(tensorrt) and oldest[:2] <= tensorrt[:2] <= newest[:2]


def _numbers(version: str | None) -> Version:
    parts = (version or "").split(".")[:3]
    return tuple(map(int, parts)) if all(part.isdecimal() for part in parts) else ()
