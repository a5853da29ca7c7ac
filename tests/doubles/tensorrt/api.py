"""TensorRT's Python API in five versions: names, enum values, and signatures to check calls by."""

from __future__ import annotations

import json
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["VERSIONS", "Api", "DoubleLimitError", "Signature"]

VERSIONS = ("10.3", "10.13", "10.16", "11.1", "11.4")
_FACTS = json.loads((Path(__file__).parent / "api.json").read_text())
_NONE = "None"
# What of 10.3 the bindings of 8.6.1 lack, by `hasattr`, of what this double has. Its signatures and
# the values of its enums are taken for those of 10.3.
_LIKE = {"8.6": "10.3"}
_LACKING = {
    "8.6": frozenset(
        {
            "BuilderFlag.BF16",
            "BuilderFlag.INT4",
            "ExecutionContextAllocationStrategy",
            "IBuilderConfig.progress_monitor",
            "ICudaEngine.device_memory_size_v2",
            "ICudaEngine.get_device_memory_size_for_profile_v2",
            "IExecutionContext.set_device_memory",
            "INetworkDefinition.flags",
            "INetworkDefinition.get_flag",
            "IProgressMonitor",
            "NetworkDefinitionCreationFlag.STRONGLY_TYPED",
            "OnnxParser.supports_model_v2",
            "ParserError.local_function_stack",
            "ParserError.local_function_stack_size",
            "ParserError.node_name",
            "ParserError.node_operator",
        }
    )
}


class DoubleLimitError(Exception):
    """TensorRT has it, this double has not."""


@dataclass(frozen=True)
class _Parameter:
    name: str
    type: str
    has_default: bool


@dataclass(frozen=True)
class Signature:
    """One overload, as pybind prints it."""

    text: str
    parameters: tuple[_Parameter, ...]
    returns: str

    @staticmethod
    def parse(text: str) -> Signature:
        """Return the overload without its `self`."""
        match = re.fullmatch(r"\w+\((.*)\)(?: -> (.+))?", text)
        if match is None:
            raise DoubleLimitError(f"cannot read the signature {text!r}")
        parameters = [_parameter(part) for part in _split(match[1]) if not part.startswith("self:")]
        return Signature(text, tuple(parameters), match[2] or _NONE)

    def bind(
        self,
        arguments: tuple[object, ...],
        named: Mapping[str, object],
        fits: Callable[[object, str], bool],
    ) -> dict[str, object] | None:
        """Return the arguments by name, or None if they do not fit."""
        names = [parameter.name for parameter in self.parameters]
        if len(arguments) > len(names) or set(named) - set(names[len(arguments) :]):
            return None
        given = {**dict(zip(names, arguments, strict=False)), **named}
        for parameter in self.parameters:
            if parameter.name not in given:
                if not parameter.has_default:
                    return None
            elif not fits(given[parameter.name], parameter.type):
                return None
        return given


@dataclass
class Api:
    """What one version has: one of `VERSIONS`, or ``8.6``, which has only the weakly typed way.

    `classes` are the double's own, by name, so that arguments can be checked against them.
    """

    version: str
    classes: dict[str, type] = field(default_factory=dict)

    def has_name(self, name: str) -> bool:
        """Return whether the module has it; between the dumped ends, if both have."""
        ends = [set(names) for names in _FACTS["names"].values()]
        of_version = _FACTS["names"].get(self._like)
        return self._has(name) and name in (
            of_version if of_version is not None else ends[0] & ends[1]
        )

    def constants(self) -> dict[str, str]:
        """Return the module's short names of `DataType`, and what member each is."""
        first, last = _FACTS["constants"].values()
        shared = {name: member for name, member in first.items() if last.get(name) == member}
        found: dict[str, str] = _FACTS["constants"].get(self._like, shared)
        return found

    def enums(self) -> dict[str, dict[str, int]]:
        """Return members and values of every enum of this version."""
        enums = {
            name: {
                member: value
                for member in of
                if self._has(f"{name}.{member}") and (value := self._pick(of[member])) is not None
            }
            for name, of in _FACTS["enums"].items()
            if self._has(name)
        }
        return {name: members for name, members in enums.items() if members}

    def signatures(self, cls: str, method: str) -> list[Signature] | None:
        """Return the overloads; None if this version has no such method."""
        entry = _FACTS["classes"][cls]
        if not self._has(f"{cls}.{method}"):
            return None
        texts = self._pick(
            entry["init"] if method == "__init__" else entry["methods"].get(method, {})
        )
        return None if texts is None else [Signature.parse(text) for text in texts]

    def methods(self, cls: str) -> list[str]:
        """Return the names of all methods of this version."""
        entry = _FACTS["classes"][cls]["methods"]
        return [
            name
            for name, of in entry.items()
            if self._has(f"{cls}.{name}") and self._pick(of) is not None
        ]

    def properties(self, cls: str) -> dict[str, tuple[str, bool]]:
        """Return type and writability of every property of this version."""
        entry = _FACTS["classes"][cls]["properties"]
        return {
            name: (of["type"], bool(writable))
            for name, of in entry.items()
            if self._has(f"{cls}.{name}") and (writable := self._pick(of["writable"])) is not None
        }

    def bases(self, cls: str) -> list[str]:
        """Return the names of the bases that the double has too."""
        return [name for name in _FACTS["classes"][cls]["bases"] if name in _FACTS["classes"]]

    def fits(self, value: object, type_name: str) -> bool:
        """Return whether pybind would take the value for a parameter of that type."""
        if type_name in _PLAIN:
            return _PLAIN[type_name](value)
        sequence = re.fullmatch(r"Sequence\[(\w+)\]", type_name)
        if sequence is not None:
            return isinstance(value, (list, tuple)) and all(
                self.fits(item, sequence[1]) for item in value
            )
        if type_name == "Dims" and isinstance(value, (list, tuple)):
            return all(_is_int(item) for item in value)
        cls = self.classes.get(type_name)
        return cls is not None and isinstance(value, cls)

    def _pick(self, of_version: Mapping[str, Any]) -> Any:  # JSON
        return of_version.get("*", of_version.get(self._like))

    def _has(self, dotted: str) -> bool:
        return dotted not in _LACKING.get(self.version, ())

    @property
    def _like(self) -> str:
        """The version whose facts are taken."""
        return _LIKE.get(self.version, self.version)


def _parameter(text: str) -> _Parameter:
    name, _, rest = text.partition(":")
    kind, equals, _ = rest.partition("=")
    return _Parameter(name.strip(), kind.strip(), bool(equals))


def _split(text: str) -> list[str]:
    """Return the parts between commas that stand outside of brackets."""
    parts, depth, start = [], 0, 0
    for index, character in enumerate(text):
        depth += (character in "[<(") - (character in "]>)")
        if character == "," and depth == 0:
            parts.append(text[start:index].strip())
            start = index + 1
    return [part for part in [*parts, text[start:].strip()] if part]


def _is_int(value: object) -> bool:
    try:
        operator.index(value)  # type: ignore[arg-type]  # that is what is asked
    except TypeError:
        return False
    return True


def _is_buffer(value: object) -> bool:
    try:
        memoryview(value)  # type: ignore[arg-type]  # that is what is asked
    except TypeError:
        return False
    return True


_PLAIN: dict[str, Callable[[object], bool]] = {
    "int": _is_int,
    "float": lambda value: _is_int(value) or isinstance(value, (float, np.floating)),
    "bool": lambda value: isinstance(value, (bool, np.bool_)),
    "str": lambda value: isinstance(value, (str, bytes)),
    "tuple": lambda value: isinstance(value, tuple),
    "list": lambda value: isinstance(value, list),
    "object": lambda _: True,
    "buffer": _is_buffer,
}
