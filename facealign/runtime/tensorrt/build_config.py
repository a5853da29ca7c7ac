"""What the builder is told: flags, memory, profile, timing cache."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from facealign.errors import BackendError, FacealignError, TargetError
from facealign.runtime.tensorrt.build_graph_types import GraphTypes
from facealign.runtime.tensorrt.build_log import BuildLog
from facealign.runtime.tensorrt.build_options import BuildOptions
from facealign.runtime.tensorrt.library import BINDING_ERRORS
from facealign.runtime.tensorrt.plan_files import write_all
from facealign.spec import BATCH, TensorSpec

__all__ = ["TimingCache", "configure", "set_profile", "use_timing_cache"]

_MIB = 2**20
_MAX_CACHE_BYTES = 2**28
_IGNORE_MISMATCH = False  # kernels timed on another device may be wrong ones here


def configure(
    trt: ModuleType,
    config: Any,  # noqa: ANN401  # of TensorRT
    options: BuildOptions,
    types: GraphTypes,
    *,
    version: str,
) -> None:
    """Set everything that does not depend on the network.

    Raises:
        TargetError: If this TensorRT has no such option.
    """
    flags = trt.BuilderFlag
    config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, options.workspace_mib * _MIB)
    config.builder_optimization_level = options.level
    config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED
    (config.set_flag if options.tf32 else config.clear_flag)(flags.TF32)
    if options.version_compatible:
        config.set_flag(_member(flags, "VERSION_COMPATIBLE", version=version))
    if options.hardware_compatible:
        levels = getattr(trt, "HardwareCompatibilityLevel", None)
        level = _member(levels, "AMPERE_PLUS", version=version)
        config.hardware_compatibility_level = level
    if options.weakly_typed and types.has_fp16:
        config.set_flag(_member(flags, "FP16", version=version))
    if options.weakly_typed and types.is_quantized:
        config.set_flag(_member(flags, "INT8", version=version))


def _member(of: object, name: str, *, version: str) -> Any:  # noqa: ANN401  # of TensorRT
    """Return the member of an enum that not every version has.

    Raises:
        TargetError: If this one has not.
    """
    found = getattr(of, name, None)
    if found is None:
        raise TargetError(f"TensorRT {version} has no `{name}`; leave out the option that needs it")
    return found


def set_profile(
    builder: Any,  # noqa: ANN401  # of TensorRT
    config: Any,  # noqa: ANN401  # of TensorRT
    spec: TensorSpec,
    options: BuildOptions,
) -> bool:
    """Set smallest, best and largest batch of the one input; return whether TensorRT takes them."""
    profile = builder.create_optimization_profile()
    if profile is None:
        return False
    batches = (1, options.opt_batch, options.max_batch)
    shapes = [tuple(n if axis == BATCH else int(axis) for axis in spec.shape) for n in batches]
    profile.set_shape(spec.name, *shapes)
    # 0 is the first profile; a refused one is -1.
    return bool(profile) and config.add_optimization_profile(profile) == 0


@dataclass(slots=True)
class TimingCache:
    """How long kernels took in earlier builds, on disk.

    It is of one device and one TensorRT, which checks that itself and is never told to ignore it.

    Attributes:
        path: Of the file.
        used: TensorRT's object, once there is one.
        note: What a user should know.
    """

    path: Path
    used: Any = None
    note: str = ""

    def save(self) -> None:
        """Write what was learnt; a failure is a note, as the plan is as good without."""
        if self.used is None or self.note:
            return
        try:
            data = self.used.serialize()
            if data is None:
                raise BackendError("TensorRT gives none")
            self.path.parent.mkdir(parents=True, exist_ok=True)
            write_all({self.path: bytes(data)})
        except (FacealignError, OSError, *BINDING_ERRORS) as error:
            self.note = f"the timing cache `{self.path}` was not written: {error}"


def use_timing_cache(config: Any, cache: TimingCache, log: BuildLog) -> None:  # noqa: ANN401
    """Let the builder start from a timing cache, or from an empty one if that is of no use here.

    Raises:
        BackendError: If TensorRT does not even take an empty one.
    """
    stored = _stored(cache.path)
    for data in dict.fromkeys((stored, b"")):
        error_count = len(log.errors)
        used = config.create_timing_cache(data)
        if used is not None and config.set_timing_cache(used, _IGNORE_MISMATCH):
            cache.used = used
            return
        if data:
            del log.errors[error_count:]  # it is no reason for what may fail later
            cache.note = (
                f"the timing cache `{cache.path}` is broken, or of another device or TensorRT; it "
                "was not used and not written. Delete it, or pass another `--timing-cache`"
            )
    raise log.failure("make a timing cache")


def _stored(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_MAX_CACHE_BYTES)
    except OSError:
        return b""
