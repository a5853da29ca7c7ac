"""What every observer does, and what of it is written to a file."""

from __future__ import annotations

from typing import Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

__all__ = ["Observer", "ObserverState", "magnitudes"]


class ObserverState(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All that an observer has seen.

    `amax` is the largest magnitude. The others are those of a `HistogramObserver`, and empty where
    an observer has none: bins of width ``2 ** exponent``, their counts as little-endian int64, and
    how many values were exactly zero.
    """

    amax: float = 0.0
    exponent: int | None = None
    counts: bytes = b""
    zero_count: int = 0


class Observer(Protocol):
    """Sees values batch by batch in bounded memory, and gives one range for all of them.

    What it gives depends on the values only, not on how they were divided into batches.
    """

    def __init__(self, state: ObserverState | None = None) -> None:
        """Start with nothing seen, or where another observer of the same kind was."""
        ...

    def observe(self, values: NDArray[np.floating]) -> None:
        """See more values, finite, of any shape."""
        ...

    def merge(self, other: ObserverState) -> None:
        """See all that another observer of the same kind has seen."""
        ...

    def range(self) -> float:
        """Return the largest magnitude to represent, >= 0; 0 if nothing but zeros was seen."""
        ...

    def state(self) -> ObserverState:
        """Return all that was seen."""
        ...


def magnitudes(values: NDArray[np.floating]) -> NDArray[np.float32]:
    """Return ``|values|`` as flat float32."""
    return np.abs(np.asarray(values, np.float32)).reshape(-1)
