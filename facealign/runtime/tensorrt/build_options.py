"""What a plan is built with; all of it is part of the plan's cache key."""

from __future__ import annotations

from dataclasses import dataclass

from facealign.errors import UsageError

__all__ = ["BuildOptions"]

_MAX_LEVEL = 5  # of `builder_optimization_level`, TensorRT 8.6 to 11.4


@dataclass(frozen=True, slots=True)
class BuildOptions:
    """How TensorRT is asked to build; none of it changes the precision, which is in the graph.

    Attributes:
        max_batch: Most crops of one run.
        opt_batch: Batch that the kernels are chosen for, 1 to `max_batch`.
        workspace_mib: Most scratch memory a kernel may ask for; 1 GiB fits a Jetson of 8 GB.
        level: 0 builds fastest, 5 searches longest; 3 is TensorRT's own choice.
        tf32: Whether FP32 products may drop to 10 bits of mantissa. TensorRT's own choice is yes,
            ours is no: what was verified is FP32.
        version_compatible: Whether a later TensorRT may run the plan. It then holds a small runtime
            of its own: code of the machine that built it.
        hardware_compatible: Whether another GPU, Ampere or later, may run the plan.
        weakly_typed: Whether TensorRT may choose types on its own, where it knows no other way.
    """

    max_batch: int
    opt_batch: int = 1
    workspace_mib: int = 1024
    level: int = 3
    tf32: bool = False
    version_compatible: bool = False
    hardware_compatible: bool = False
    weakly_typed: bool = False

    def check(self) -> None:
        """Check that TensorRT could take them.

        Raises:
            UsageError: If a number is out of its range.
        """
        if self.max_batch < 1:
            raise UsageError(f"`max_batch` must be at least 1, got {self.max_batch}")
        if not 1 <= self.opt_batch <= self.max_batch:
            raise UsageError(
                f"`opt_batch` must be from 1 to `max_batch` {self.max_batch}, got {self.opt_batch}"
            )
        if self.workspace_mib < 1:
            raise UsageError(f"`workspace_mib` must be at least 1, got {self.workspace_mib}")
        if not 0 <= self.level <= _MAX_LEVEL:
            raise UsageError(f"`level` must be from 0 to {_MAX_LEVEL}, got {self.level}")
