"""The plugins that a graph is built with: whether it must have one, may have one, or has none."""

from __future__ import annotations

from types import ModuleType

from facealign.errors import BackendError, TargetError
from facealign.runtime.patch_crop_body import patch_crop_kind
from facealign.runtime.tensorrt.device.protocol import Device
from facealign.runtime.tensorrt.plugins.register import (
    PATCH_CROP,
    RegisteredPlugins,
    register_plugins,
)

__all__ = ["GraphPlugins", "plugins_of_graph"]


class GraphPlugins:
    """What is registered while a graph is built, and what a user should know of it."""

    def __init__(self, registered: RegisteredPlugins, *, why_not: str = "") -> None:
        self.registered = registered
        self._why_not = why_not

    @property
    def needed(self) -> tuple[str, ...]:
        """Plugins that TensorRT took, which the plan therefore needs."""
        return tuple(sorted(self.registered.made))

    @property
    def notes(self) -> tuple[str, ...]:
        """Why the patch crop runs by its function, where a plugin could have run it."""
        return () if self.needed or not self._why_not else (f"{_BY_FUNCTION}: {self._why_not}",)

    def close(self) -> None:
        """Take them out of the registry."""
        self.registered.close()


def plugins_of_graph(trt: ModuleType, graph: bytes, device: Device) -> GraphPlugins:
    """Return what the graph is to be parsed with; nothing is registered for one without plugins.

    A patch crop with its function body runs without a plugin too: where ours cannot be registered,
    or TensorRT prefers the body, as 10.3 to 10.6 do, the notes say so. One without a body needs it.

    Raises:
        TargetError: If the graph needs a plugin and this TensorRT takes none of ours.
        BackendError: If it needs one, and nothing compiles or loads its kernel.
    """
    kind = patch_crop_kind(graph)
    if kind == "absent":
        return GraphPlugins(RegisteredPlugins())
    try:
        registered = register_plugins(trt, [PATCH_CROP], device)
    except (BackendError, TargetError) as error:
        if kind == "without_body":
            raise
        return GraphPlugins(RegisteredPlugins(), why_not=str(error))
    return GraphPlugins(registered, why_not=_PREFERRED)


_BY_FUNCTION = "the patch crop runs by its ONNX function"
_PREFERRED = (
    "this TensorRT prefers it to the plugin; `facealign export --patch-crop plugin` has none"
)
