"""Plugins that the user writes: their bases, what they are handed, and the registry."""

from __future__ import annotations

import sys
import weakref
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "DimsExprs",
    "DynamicPluginTensorDesc",
    "PluginField",
    "PluginFieldCollection",
    "PluginRegistry",
    "PluginTensorDesc",
    "called",
    "check_whole",
    "numbers_of",
    "plugin_classes",
]

_BASES = ("IPluginV3", "IPluginV3OneCore", "IPluginV3OneBuild", "IPluginV3OneRuntime")
_CREATOR = "IPluginCreatorV3One"


class PluginField:
    """A named array; as in TensorRT it does not keep what it points to."""

    def __init__(self, name: str, data: NDArray[Any], type: Any) -> None:
        self.name, self.type = name, type
        self._data = weakref.ref(data)

    @property
    def data(self) -> NDArray[Any]:
        found = self._data()
        if found is None:
            raise RuntimeError(f"the field {self.name!r} points to memory that was freed")
        return found


class PluginFieldCollection(list[Any]):
    """Fields."""


class PluginTensorDesc:
    """Shape, type and layout of one tensor of one run."""

    def __init__(self, dims: Sequence[int] = (), type: Any = None, format: Any = None) -> None:
        self.dims, self.type, self.format, self.scale = tuple(dims), type, format, 0.0


class DynamicPluginTensorDesc:
    """Of one tensor of any run."""

    def __init__(self, desc: PluginTensorDesc | None = None) -> None:
        self.desc = desc or PluginTensorDesc()


class DimsExprs:
    """Sizes, which need not be known."""

    def __init__(self, sizes: int | Iterable[object]) -> None:
        self._sizes: list[Any] = [None] * sizes if isinstance(sizes, int) else list(sizes)

    def __len__(self) -> int:
        return len(self._sizes)

    def __getitem__(self, index: int) -> Any:
        return self._sizes[index]

    def __setitem__(self, index: int, value: object) -> None:
        self._sizes[index] = value


class PluginRegistry:
    """Creators by name, version and namespace.

    Attributes:
        users: Engines and networks that hold plugins; while one lives, no creator may go.
    """

    def __init__(self) -> None:
        self.users: weakref.WeakSet[Any] = weakref.WeakSet()
        # As in TensorRT, which keeps an address: who registers must keep the creator.
        self._creators: dict[tuple[str, str, str], weakref.ref[Any]] = {}

    def register_creator(self, creator: Any, plugin_namespace: str = "") -> bool:
        if not getattr(creator, f"_made_{_CREATOR}", False):
            raise TypeError(f"{_CREATOR}.__init__() must be called when overriding __init__")
        if creator.plugin_namespace != plugin_namespace or creator.field_names is None:
            raise RuntimeError("the creator has another namespace, or no field names")
        key = (creator.name, creator.plugin_version, plugin_namespace)
        if key in self._creators:
            return False
        self._creators[key] = weakref.ref(creator)
        return True

    def deregister_creator(self, creator: Any) -> bool:
        if len(self.users):
            raise RuntimeError(f"{len(self.users)} still use the creator that is taken out")
        keys = [key for key, kept in self._creators.items() if kept() is creator]
        for key in keys:
            del self._creators[key]
        return bool(keys)

    def get_creator(self, type: str, version: str, plugin_namespace: str = "") -> Any:
        """Return the creator, or None.

        Raises:
            RuntimeError: If it was freed: TensorRT would call what is no longer there.
        """
        kept = self._creators.get((type, version, plugin_namespace))
        creator = kept() if kept is not None else None
        if kept is not None and creator is None:
            raise RuntimeError(f"the creator of {type!r} was freed and is still registered")
        return creator


def called(what: str, function: Any, *arguments: object) -> Any:
    """Return what a method of the user returns; None, and words on stderr, if it raises."""
    try:
        return function(*arguments)
    except Exception as error:  # noqa: BLE001  # as the bindings do
        sys.stderr.write(f"[ERROR] Exception thrown from {what}() {error}\n")
        return None


def plugin_classes() -> dict[str, type]:
    """Return new classes by name."""
    interfaces = {name: type(name, (), {"__init__": _init(name)}) for name in (*_BASES, _CREATOR)}
    values = (PluginField, PluginFieldCollection, PluginTensorDesc, DynamicPluginTensorDesc)
    return {**interfaces, **{cls.__name__: cls for cls in (*values, DimsExprs, PluginRegistry)}}


def _init(name: str) -> Any:
    def note(self: object) -> None:
        setattr(self, f"_made_{name}", True)

    return note


def check_whole(plugin: Any) -> str | None:
    """Return what is wrong with a plugin that the user handed over."""
    for name in _BASES:
        if not getattr(plugin, f"_made_{name}", False):
            return f"{name}.__init__() was not called"
    names = ("plugin_name", "plugin_namespace", "plugin_version", "num_outputs")
    missing = [name for name in names if not hasattr(plugin, name)]
    return f"{missing[0]} not initialized" if missing else None


def numbers_of(fields: Iterable[Any]) -> dict[str, list[int]]:
    """Return fields of INT32 as a plan keeps them."""
    return {field.name: np.ravel(field.data).tolist() for field in fields}
