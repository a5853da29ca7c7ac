"""What an engine needs to know of a plan; the reader of plan files gives it."""

from __future__ import annotations

from dataclasses import dataclass

from facealign.spec import TensorSpec

__all__ = ["PlanContract"]


@dataclass(frozen=True, slots=True)
class PlanContract:
    """A plan that was checked and may be handed to TensorRT, and what it must turn out to be.

    Attributes:
        data: The bytes that TensorRT deserialises. It is native code: whoever makes one of these
            vouches for it.
        inputs: What the plan takes, first the crops; their first axis is the batch.
        outputs: What it gives.
        max_batch: Largest batch of its profile.
        name: For messages, such as the name of its file.
        holds_host_code: Whether it holds code for the CPU too, as a version-compatible plan does;
            TensorRT is told to run that only then.
        plugins: Of ours that it needs, as its sidecar names them.
    """

    data: bytes
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    max_batch: int
    name: str = "plan"
    holds_host_code: bool = False
    plugins: tuple[str, ...] = ()
