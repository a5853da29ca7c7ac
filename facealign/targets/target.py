"""The facts of a target, as types."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from facealign.targets.fact import Fact

__all__ = ["LEAST_CAPABILITY", "Capability", "Engine", "Gpu", "Target", "Version", "version_text"]

Engine = Literal["tensorrt", "onnxruntime"]
Capability = tuple[int, int]
Version = tuple[int, ...]

_ENGINE_TITLES: dict[Engine, str] = {"tensorrt": "TensorRT", "onnxruntime": "ONNX Runtime"}
_MATRIX = "TensorRT for RTX, support matrix, hardware and precision"
LEAST_CAPABILITY: dict[str, Fact[Capability]] = {
    "bf16": Fact((8, 0), f"{_MATRIX} (8.6 has it, 7.5 has not; 8.0: general)", "documented"),
    "fp8": Fact((8, 9), f"{_MATRIX} (8.9 has it, 8.6 has not)", "documented"),
    "fp4": Fact((10, 0), f"{_MATRIX} (12.0 has it, 8.9 has not; 10.0: general)", "documented"),
}
"""From which compute capability on a GPU has a precision; those that are not here: every one."""


@dataclass(frozen=True, slots=True)
class Gpu:
    """A module or a generation of GPUs, and its compute capability."""

    name: str
    capability: Capability


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where a graph is to run: releases of an engine, on some GPUs.

    Attributes:
        name: As in ``--target``.
        title: For people.
        engine: Which reads the graph.
        releases: Of the engine, the oldest and the newest; the same where it is one.
        tables: Releases of `operators` whose tables hold for it, oldest first; empty if the engine
            runs every standard operator.
        cuda: Version.
        gpus: Which it runs on; empty for the CPU.
        python: Version that comes with it, or that its wheels are for.
        opsets: Lowest and highest that the engine reads; lowest 0 where that is not known.
        export_opset: The one that we write for it.
        precisions: Types that the engine reads; a GPU may lack one, see `gpus_without`.
        strong_typing: Whether the engine can be bound to the types of the graph.
        dla: GPUs of `gpus` whose DLA these releases can use.
        aliases: Other names, of releases that are the same to us.
        is_desktop: Whether it is a release for any GPU, and no JetPack.
    """

    name: str
    title: str
    engine: Engine
    releases: Fact[tuple[Version, Version]]
    tables: tuple[str, ...]
    cuda: Fact[str]
    gpus: Fact[tuple[Gpu, ...]]
    python: Fact[str]
    opsets: Fact[tuple[int, int]]
    export_opset: Fact[int]
    precisions: Fact[tuple[str, ...]]
    strong_typing: Fact[bool]
    dla: Fact[tuple[str, ...]]
    aliases: tuple[str, ...] = ()
    is_desktop: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """The name and its aliases."""
        return (self.name, *self.aliases)

    @property
    def oldest(self) -> Version:
        """The oldest release of the engine."""
        return self.releases.value[0]

    @property
    def newest(self) -> Version:
        """The newest release of the engine."""
        return self.releases.value[1]

    @property
    def engine_text(self) -> str:
        """The engine with its releases, such as ``TensorRT 10.3.0``."""
        first, last = map(version_text, self.releases.value)
        return f"{_ENGINE_TITLES[self.engine]} {first if first == last else f'{first} to {last}'}"

    def gpus_without(self, precision: str) -> tuple[str, ...]:
        """Return the names of those GPUs that lack a precision."""
        least = LEAST_CAPABILITY.get(precision)
        if least is None:
            return ()
        return tuple(gpu.name for gpu in self.gpus.value if gpu.capability < least.value)


def version_text(version: Version) -> str:
    """Return a version as people write it."""
    return ".".join(map(str, version))
