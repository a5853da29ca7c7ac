"""The one sanctioned test double: an engine without a library."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from facealign.errors import UsageError

__all__ = ["FakeEngine"]

CropFunction = Callable[[NDArray[np.uint8]], NDArray[np.floating]]


class FakeEngine:
    """A test double for `Engine`; it is never chosen by name, only handed to `open_session`.

    Args:
        landmarks_from_crops: From ``(B, S, S, 3)`` uint8 crops to ``(B, N, 2)`` landmarks.
        extra: From the same crops to the outputs behind the landmarks, by name.
        max_batch: As any engine's.
        failure: Raised by `run`, from call `fail_at` on.
        fail_at: 0 for the first call.

    Attributes:
        batch_sizes: B of every call, in order; its length is the number of calls.
        is_closed: Whether `close` was called.
    """

    name = "fake"

    def __init__(
        self,
        landmarks_from_crops: CropFunction,
        *,
        extra: Mapping[str, CropFunction] | None = None,
        max_batch: int = 4,
        failure: Exception | None = None,
        fail_at: int = 0,
    ) -> None:
        self.max_batch = max_batch
        self.batch_sizes: list[int] = []
        self.is_closed = False
        self._functions = {"landmarks": landmarks_from_crops, **(extra or {})}
        self._failure = failure
        self._fail_at = fail_at
        self._lock = threading.Lock()

    def run(self, crops: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
        """Return ``landmarks``, and what `extra` gives.

        Raises:
            UsageError: If the engine is closed.
        """
        if self.is_closed:
            raise UsageError("the engine is closed; open a new one")
        with self._lock:
            call = len(self.batch_sizes)
            self.batch_sizes.append(len(crops))
        if self._failure is not None and call >= self._fail_at:
            raise self._failure
        return {name: of(crops).astype(np.float32) for name, of in self._functions.items()}

    def close(self) -> None:
        """Note that it was called."""
        self.is_closed = True
