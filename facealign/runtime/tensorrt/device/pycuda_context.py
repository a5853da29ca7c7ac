"""The primary context as pycuda has it, and the words of pycuda's errors."""

from __future__ import annotations

from threading import get_ident
from types import ModuleType, TracebackType
from typing import TYPE_CHECKING

from facealign.errors import BackendError
from facealign.runtime.tensorrt.device.driver import Driver
from facealign.runtime.tensorrt.device.resource import Context

if TYPE_CHECKING:
    import pycuda.driver as cuda

__all__ = ["RetainedContext", "translated"]


class RetainedContext(Context):
    """The primary context, on pycuda's own stack of the thread inside `with` only.

    pycuda ends the process if a thread leaves something on that stack.
    """

    def __init__(self, loaded: ModuleType, driver: Driver, index: int) -> None:
        ordinal = driver.number("cuDeviceGet", index)
        self._context: cuda.Context = loaded.Device(index).retain_primary_context()
        super().__init__(self._context.handle)
        self._cuda = loaded
        self._driver = driver
        self._ordinal = ordinal
        self._thread = get_ident()

    def __enter__(self) -> None:
        self.opened()
        try:
            self._context.push()
        except self._cuda.Error as error:
            raise translated(error) from error

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            self._cuda.Context.pop()
        except self._cuda.Error as failed:
            raise translated(failed) from failed
        if isinstance(error, self._cuda.Error):
            raise translated(error) from error

    def release(self) -> None:
        """Give the context back."""
        if not self.handle:
            return
        self.handle = 0
        context, self._context = self._context, None
        if get_ident() == self._thread:
            context.detach()
            # It pushes the context for that, and relies on a pop that a primary one does not do.
            self._driver.made("cuCtxPopCurrent_v2")
        else:  # where its `detach` does nothing, nor does its destructor
            self._driver.call("cuDevicePrimaryCtxRelease_v2", self._ordinal)


def translated(error: Exception) -> BackendError:
    """Return the words of pycuda's error, such as ``cuMemAlloc failed: out of memory``, as ours."""
    name, _, words = str(error).partition(" failed: ")
    return BackendError(f"`{name}` failed: {words.splitlines()[0] if words else 'no reason given'}")
