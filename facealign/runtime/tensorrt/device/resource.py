"""What is freed once, by its `close` or by that of its device."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from types import TracebackType
from typing import Protocol

__all__ = ["Context", "Resource", "close_all", "handle_of"]


class _HasHandle(Protocol):
    handle: int


class Context(ABC):
    """A CUDA context, current in the calling thread between `__enter__` and `__exit__`.

    What was current before is so again afterwards: other libraries of the process have theirs.
    """

    def __init__(self) -> None:
        self.resources: dict[int, Resource] = {}

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
        """Free what is open in it, the newest first, and give it back."""
        resources = reversed(list(self.resources.values()))
        close_all([*(resource.close for resource in resources), self.release])


class Resource:
    """Something in a context that `free` frees; `handle` is 0 when it is closed.

    The context keeps it until then, so that nothing outlives its device, whatever call failed.
    """

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
