"""What each target can do: one file each, typed facts with their sources; stdlib only."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterable
from difflib import get_close_matches
from functools import cache

from facealign.errors import UsageError
from facealign.targets.fact import Certainty, Fact
from facealign.targets.target import Engine, Gpu, Target, Version, version_text

__all__ = [
    "Certainty",
    "Engine",
    "Fact",
    "Gpu",
    "Target",
    "Version",
    "discover_targets",
    "targets_from_names",
    "version_text",
]


@cache
def discover_targets() -> tuple[Target, ...]:
    """Return the `TARGET` of every file here that has one: JetPack's first, the oldest first."""
    modules = (
        importlib.import_module(f"{__name__}.{module.name}")
        for module in pkgutil.iter_modules(__path__)
    )
    found: list[Target] = [module.TARGET for module in modules if hasattr(module, "TARGET")]
    return tuple(sorted(found, key=_order))


def targets_from_names(names: Iterable[str]) -> tuple[Target, ...]:
    """Return the targets of those names or aliases, in order, each once.

    Raises:
        UsageError: If there is none of a name; the nearest names are given.
    """
    by_name = {name: target for target in discover_targets() for name in target.names}
    found: dict[str, Target] = {}
    for name in names:
        target = by_name.get(name.strip().lower())
        if target is None:
            raise UsageError(_unknown(name, tuple(by_name)))
        found[target.name] = target
    return tuple(found.values())


def _order(target: Target) -> tuple[bool, bool, Version, str]:
    return target.engine != "tensorrt", target.is_desktop, target.oldest, target.name


def _unknown(name: str, known: tuple[str, ...]) -> str:
    near = get_close_matches(name.lower(), known, n=1, cutoff=0.5)
    guess = f"did you mean `{near[0]}`? There are" if near else "choose from"
    names = ", ".join(target.name for target in discover_targets())
    return f"there is no target {name!r}; {guess} {names}"
