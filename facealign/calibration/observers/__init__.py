"""Observers: from a stream of values to one symmetric range; found by their files."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache

from facealign.calibration.observers.observer import Observer, ObserverState
from facealign.errors import CalibrationError

__all__ = ["Observer", "ObserverState", "make_observer", "observer_names"]


def make_observer(name: str) -> Observer:
    """Return a new observer, such as ``entropy``.

    Raises:
        CalibrationError: If there is none of that name.
    """
    found = _observers()
    if name not in found:
        raise CalibrationError(f"there is no observer {name!r}; choose one of {sorted(found)}")
    return found[name]()


def observer_names() -> tuple[str, ...]:
    """Return the names of all observers, sorted."""
    return tuple(sorted(_observers()))


@cache
def _observers() -> dict[str, type[Observer]]:
    """Return the `OBSERVER` of every file here that has one, by the name of the file."""
    modules = {
        module.name: importlib.import_module(f"{__name__}.{module.name}")
        for module in pkgutil.iter_modules(__path__)
    }
    return {
        name: module.OBSERVER for name, module in modules.items() if hasattr(module, "OBSERVER")
    }
