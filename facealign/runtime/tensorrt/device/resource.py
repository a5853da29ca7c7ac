"""What is freed once, by its `close` or by that of its device."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from types import TracebackType
from typing import ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from facealign.errors import BackendError
from facealign.runtime.tensorrt.device.protocol import PinnedBuffer

__all__ = ["Context", "Resource", "checked_size", "checked_view", "close_all", "handle_of"]


class _HasHandle(Protocol):
    handle: int


class Context(ABC):
    """A CUDA context, current in the calling thread between `__enter__` and `__exit__`.

    What was current before is so again afterwards: other libraries of the process have theirs.
    """

    def __init__(self, handle: int) -> None:
        self.handle = handle
        self.resources: dict[int, Resource] = {}

    def opened(self) -> int:
        """Return the handle; 0 would make no context current, without a word.

        Raises:
            BackendError: If the device is closed.
        """
        if self.handle == 0:
            raise BackendError("the device is closed; open it again by `open_device`")
        return self.handle

    @abstractmethod
    def __enter__(self) -> None:
        """Make it current."""

    @abstractmethod
    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Make current what was so before."""

    @abstractmethod
    def release(self) -> None:
        """Give the context back."""

    def close(self) -> None:
        """Free what is open in it, and give it back; a second call does nothing."""
        try:
            # Twice: what one call failed to reach is within reach of the next.
            close_all([self._close_resources, self._close_resources, self.release])
        finally:
            self.resources.clear()

    def _close_resources(self) -> None:
        """Free the streams, whose work uses the rest, and then the newest first."""
        newest_first = reversed(list(self.resources.values()))
        close_all(one.close for one in sorted(newest_first, key=lambda one: not one.is_stream))


class Resource:
    """Something in a context that `free` frees; `handle` is 0 when it is closed.

    The context keeps it until then, so that nothing outlives its device, whatever call failed.
    """

    is_stream: ClassVar[bool] = False

    def __init__(self, context: Context, handle: int, free: Callable[[], None]) -> None:
        self.handle = handle
        self._context = context
        self._free = free
        context.resources[id(self)] = self

    def close(self) -> None:
        """Free it; a second call does nothing."""
        if id(self) not in self._context.resources:
            return
        with self._context:
            # In one step, as two threads may come here at once.
            if self._context.resources.pop(id(self), None) is not None:
                self.handle = 0
                self._free()


def close_all(closers: Iterable[Callable[[], None]]) -> None:
    """Call every one of them, in order, and then raise an error if there was one."""
    with ExitStack() as stack:
        for close in reversed(list(closers)):
            stack.callback(close)


def handle_of(thing: _HasHandle) -> int:
    """Return the handle of something that is open: 0 would mean CUDA's default stream."""
    if thing.handle == 0:
        raise ValueError(f"the {type(thing).__name__} is closed; use it before its `close`")
    return thing.handle


def checked_size(size: int) -> int:
    """Return `size`; CUDA's own words for none say too little."""
    if size < 1:
        raise ValueError(f"`size` must be 1 or more, got {size}")
    return size


def checked_view(buffer: PinnedBuffer, size: int) -> NDArray[np.uint8]:
    """Return the first `size` bytes; CUDA itself would read and write beyond the buffer."""
    if buffer.array.size == 0:
        raise ValueError("the pinned buffer is closed; use it before its `close`")
    if not 0 < size <= buffer.array.size:
        raise ValueError(f"`size` must be 1 to {buffer.array.size}, the buffer's, got {size}")
    return buffer.array[:size]
