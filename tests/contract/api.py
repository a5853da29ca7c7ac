"""What TensorRT's Python module offers in one version, as `dump.py` found it.

An entry is a module, a class or an enumeration by its dotted name; the module itself has the empty
one. Its members are ``"value"``, ``"module"``, ``"class <name>"``, ``"ro <type>"`` or ``"rw
<type>"`` for a property, and for what can be called its overloads, such as ``["network, config,
kernel_text? -> IHostMemory"]``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

__all__ = ["VERSIONS", "Api", "Entry", "Signature", "api_from_dump", "reduced_apis"]

VERSIONS = ("10.3", "10.13", "10.16", "11.4")
REDUCED = Path(__file__).with_name("api.json")
# What pybind prints where the class has another name in Python, or where it knows none.
_RENAMED = {"IParserError": "ParserError", "IBuilder": "Builder", "accessor": "IPluginRegistry"}
_UNNAMED = re.compile(r"arg\d+")

Member = str | tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Entry:
    """A module, class or enumeration: its bases by name, and its own members."""

    kind: str
    bases: tuple[str, ...]
    members: Mapping[str, Member]


@dataclass(frozen=True, slots=True)
class Signature:
    """One overload, without ``self``."""

    parameters: tuple[str, ...]
    required: int
    takes_anything: bool
    returns: str

    @staticmethod
    def parse(text: str) -> Signature:
        """Read ``first, second? -> Returned``."""
        inside, _, returns = text.rpartition("->")
        words = [word.strip() for word in inside.split(",") if word.strip()]
        names = [word for word in words if not word.startswith("*")]
        required = sum(not name.endswith("?") for name in names)
        takes_anything = len(names) < len(words)
        parameters = tuple(name.rstrip("?") for name in names)
        return Signature(parameters, required, takes_anything, returns.strip())

    def takes(self, positional: int, keywords: tuple[str, ...]) -> bool:
        """Return whether a call with so many arguments, and those by name, fits."""
        if self.takes_anything:
            return True
        by_name = self.parameters[positional:]
        named = [name for name in by_name if not _UNNAMED.fullmatch(name)]
        missing = set(self.parameters[: self.required][positional:]) - set(keywords)
        return positional <= len(self.parameters) and set(keywords) <= set(named) and not missing


@dataclass(frozen=True)
class Api:
    """One version's entries; `full_version` is what the module calls itself."""

    version: str
    full_version: str
    entries: Mapping[str, Entry]

    def member(self, owner: str, name: str) -> Member | None:
        """Return a member of an entry or of its bases."""
        entry = self.entries.get(owner)
        if entry is None:
            return None
        if name in entry.members:
            return entry.members[name]
        found = (self.member(self.resolve(base), name) for base in entry.bases)
        return next((member for member in found if member is not None), None)

    def resolve(self, name: str) -> str:
        """Return the entry that a signature means by a name, or the name."""
        known = _RENAMED.get(name, name)
        return f"plugin.{known}" if f"plugin.{known}" in self.entries else known

    @cached_property
    def member_names(self) -> frozenset[str]:
        """Every name that any class has."""
        classes = (entry for entry in self.entries.values() if entry.kind != "module")
        return frozenset(name for entry in classes for name in entry.members)


def api_from_dump(version: str, text: str) -> Api:
    """Return what `dump.py` wrote."""
    data = json.loads(text)
    entries = {name: _entry(value) for name, value in data["entries"].items()}
    return Api(version, data["version"], entries)


def reduced_apis() -> dict[str, Api]:
    """Return the project's own copy of the facts, one for each of `VERSIONS`."""
    data = json.loads(REDUCED.read_text("utf-8"))
    return {
        version: Api(version, data["versions"][version], _of_version(data["entries"], version))
        for version in VERSIONS
    }


def _of_version(entries: dict[str, dict[str, object]], version: str) -> dict[str, Entry]:
    return {
        name: _entry(value)
        for name, merged in entries.items()
        if (value := _pick(merged, version)) is not None
    }


def _pick(merged: dict[str, object], version: str) -> dict[str, object] | None:
    """Return an entry with what a version has of it; ``"10.3 10.13"`` keys what differs."""
    if version not in str(merged["versions"]).split():
        return None
    members: dict[str, object] = {}
    if isinstance(merged["members"], dict):
        for name, value in merged["members"].items():
            by_version = value if isinstance(value, dict) else {version: value}
            members.update((name, v) for key, v in by_version.items() if version in key.split())
    return {"kind": merged["kind"], "bases": merged["bases"], "members": members}


def _entry(value: Mapping[str, object]) -> Entry:
    bases, members = value["bases"], value["members"]
    if not isinstance(bases, list) or not isinstance(members, dict):
        raise TypeError(value)
    kept = {name: tuple(m) if isinstance(m, list) else m for name, m in members.items()}
    return Entry(str(value["kind"]), tuple(bases), kept)
