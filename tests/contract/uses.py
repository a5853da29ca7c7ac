"""Every use that our code makes of TensorRT, and every access of which that cannot be told."""

from __future__ import annotations

import ast
import ctypes
import io
import logging
import pathlib
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from tests.contract.api import Api
from tests.contract.infer import Inference
from tests.contract.scopes import Module, Scope

__all__ = ["Declared", "Found", "Use", "collect"]

# Names that objects of Python and numpy have too; the others of TensorRT's give a leak away.
_COMMON = frozenset(
    name
    for kind in (
        str, bytes, bytearray, memoryview, int, float, list, dict, set, tuple, io.TextIOWrapper,
        BaseException, np.ndarray, np.dtype, pathlib.Path, logging.Logger, ctypes.Structure,
        ctypes.CDLL, threading.Thread, threading.Condition,
    )
    for name in dir(kind)
)  # fmt: skip


@dataclass(frozen=True)
class Use:
    """A member of TensorRT's that our code reads, sets, calls or overrides.

    Attributes:
        where: File and line.
        owner: Entry of the API; the empty one is the module.
        name: Of the member.
        kind: ``read``, ``set``, ``call`` or ``override``.
        positional: Arguments of the call by position, None where that is not known; of an
            overriding method, how many it takes.
        keywords: Arguments of the call by name.
        guarded: Whether the code asks by hasattr, or getattr with a default, for it.
    """

    where: str
    owner: str
    name: str
    kind: str = "read"
    positional: int | None = None
    keywords: tuple[str, ...] = ()
    guarded: bool = False

    @property
    def member(self) -> str:
        """Return the dotted name, such as ``IBuilderConfig.progress_monitor``."""
        return f"{self.owner}.{self.name}".lstrip(".")


@dataclass(frozen=True)
class Declared:
    """What cannot be read from the code.

    Attributes:
        variables: Names to TensorRT's classes, where our code says `Any`; see `Inference`.
        asking: ``path:function`` of functions of ours that ask an object (their first argument)
            for a member by name (their second), as getattr does.
        others: Paths of our files whose `ModuleType` is another library's.
        plain: ``path: expression`` of an object of unknown type that is none of TensorRT's.
    """

    variables: Mapping[str, str] = field(default_factory=dict)
    asking: frozenset[str] = frozenset()
    others: frozenset[str] = frozenset()
    plain: frozenset[str] = frozenset()


@dataclass
class Found:
    """The uses, what could not be told, and which declarations were needed."""

    uses: list[Use] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    declared: set[str] = field(default_factory=set)


def collect(modules: Mapping[str, Module], apis: Mapping[str, Api], declared: Declared) -> Found:
    """Return what the modules use."""
    inference = Inference(modules, apis, declared.variables, declared.others)
    names = frozenset[str]().union(*(api.member_names for api in apis.values()))
    common = _COMMON | frozenset(
        name for module in modules.values() for name in _own_names(module.top)
    )
    # A name of one word may be anybody's.
    telling = frozenset(name for name in names - common if "_" in name.strip("_"))
    found = Found()
    for module in modules.values():
        walker = _Walker(inference, declared, found, telling)
        walker.walk(module.tree, module.top)
    found.uses = _with_guards(found.uses)
    found.declared |= inference.needed
    return found


def _own_names(scope: Scope) -> Iterator[str]:
    """Return the names of members of our own classes that derive from none of TensorRT's."""
    if scope.kind == "class" and not getattr(scope.node, "bases", []):
        yield from scope.bindings
        yield from scope.attributes
    for child in scope.children.values():
        yield from _own_names(child)


def _with_guards(uses: list[Use]) -> list[Use]:
    """Mark what is used in a function that also asks whether it is there."""
    asked = {(_function(use), use.member) for use in uses if use.guarded}
    return [
        replace(use, guarded=(_function(use), use.member) in asked, where=_line(use))
        for use in uses
    ]


def _function(use: Use) -> str:
    return use.where.rpartition(":")[0]


def _line(use: Use) -> str:
    path, _, line = use.where.split(":")
    return f"{path}:{line}"


class _Walker:
    """Visits every expression with the scope it is evaluated in."""

    def __init__(
        self, inference: Inference, declared: Declared, found: Found, telling: frozenset[str]
    ) -> None:
        self.inference = inference
        self.declared = declared
        self.found = found
        self.telling = telling

    def walk(self, node: ast.AST, scope: Scope) -> None:
        """Visit a node and all in it."""
        inner = scope.children.get(node, scope)
        if isinstance(node, ast.ClassDef):
            self._class(node, inner)
        elif isinstance(node, ast.Call):
            self._call(node, scope)
        elif isinstance(node, ast.Attribute):
            self._attribute(node, scope)
        elif isinstance(node, ast.ImportFrom):
            self._import(node, scope)
        elif isinstance(node, ast.Subscript):
            self._subscript(node, scope)
        for child in ast.iter_child_nodes(node):
            # Annotations, bases and decorators are looked up where the function or class is.
            outside = isinstance(child, ast.arguments) or child is getattr(node, "returns", None)
            self.walk(child, scope if outside else inner)

    def _import(self, node: ast.ImportFrom, scope: Scope) -> None:
        library, _, owner = (node.module or "").partition(".")
        for alias in node.names if library == "tensorrt" and not node.level else []:
            self._use(node, scope, owner, alias.name, "read")

    def _attribute(self, node: ast.Attribute, scope: Scope) -> None:
        base = self.inference.of(node.value, scope)
        kind = "read" if isinstance(node.ctx, ast.Load) else "set"
        if base.is_tensorrt:
            self._use(node, scope, base.name, node.attr, kind)
        elif base.kind == "own instance" and base.scope is not None:
            self._inherited(node, scope, base.scope, kind)
        elif base.kind == "unknown" or (
            base.kind in {"plain", "none"} and node.attr in self.telling
        ):
            self._unknown(node, scope, f"{ast.unparse(node.value)} (.{node.attr})", node.value)

    def _subscript(self, node: ast.Subscript, scope: Scope) -> None:
        """Report what is asked of a class, or of all that it has, by a key."""
        base = node.value
        if isinstance(base, ast.Attribute) and base.attr in {"__dict__", "__members__"}:
            base = base.value
        if self.inference.of(base, scope).kind in {"class", "module"}:
            self._unknown(node, scope, f"`{ast.unparse(node)}` asks by a key", node)

    def _inherited(self, node: ast.Attribute, scope: Scope, owner: Scope, kind: str) -> None:
        """Record a member that an object of ours has from TensorRT's class."""
        bases = self.inference.tensorrt_bases(owner)
        for base in bases:
            if self.inference.member(base, node.attr) is not None:
                self._use(node, scope, base, node.attr, kind)
                return
        if kind == "set" and bases and node.attr[0] != "_":
            self._unknown(node, scope, f"{ast.unparse(node)} is set, TensorRT has none", node)
        elif bases and not self.inference.has(owner, node.attr):
            self._unknown(node, scope, f"{ast.unparse(node)} is neither ours nor TensorRT's", node)

    def _call(self, node: ast.Call, scope: Scope) -> None:
        function = self.inference.of(node.func, scope)
        if function.kind == "builtin" and function.name in {"getattr", "hasattr", "setattr"}:
            self._asked(node, scope, function.name)
            return
        if function.kind == "own function" and function.scope is not None:
            key = f"{function.scope.module.path}:{function.scope.name}"
            if key in self.declared.asking:
                self.found.declared.add(key)
                self._asked(node, scope, "asking")
        if function.kind == "class":
            self._call_use(node, scope, function.name, "__init__", 0)
        elif function.kind == "member":
            owner, _, name = function.name.partition(":")
            of_class = isinstance(node.func, ast.Attribute) and (
                self.inference.of(node.func.value, scope).kind == "class"
            )
            self._call_use(node, scope, owner, name, int(of_class))
        elif isinstance(node.func, ast.Attribute):
            base = self.inference.of(node.func.value, scope)
            if base.is_tensorrt:  # what is called is no method
                self._call_use(node, scope, base.name, node.func.attr, 0)
        elif function.kind == "unknown" and isinstance(node.func, ast.Name):
            self._unknown(node, scope, f"{ast.unparse(node.func)}(...)", node.func)

    def _call_use(self, node: ast.Call, scope: Scope, owner: str, name: str, own_self: int) -> None:
        starred = any(isinstance(argument, ast.Starred) for argument in node.args)
        starred = starred or any(keyword.arg is None for keyword in node.keywords)
        keywords = tuple(keyword.arg for keyword in node.keywords if keyword.arg)
        positional = None if starred else len(node.args) - own_self
        use = Use(self._where(node, scope), owner, name, "call", positional, keywords)
        self.found.uses.append(use)

    def _asked(self, node: ast.Call, scope: Scope, function: str) -> None:
        """Record what getattr and its like ask for by name."""
        if f"{scope.module.path}:{scope.name}" in self.declared.asking:
            return  # what it asks for is seen where it is called
        base = self.inference.of(node.args[0], scope)
        names = list(_names(node.args[1], scope))
        if base.kind == "unknown" or (not names and (base.is_tensorrt or base.kind == "plain")):
            self._unknown(node, scope, f"`{ast.unparse(node)}` asks for anything", node)
        if not base.is_tensorrt:
            return
        guarded = function not in {"getattr", "setattr"} or len(node.args) == 3
        kind = "set" if function == "setattr" else "read"
        for name in names:
            use = Use(self._where(node, scope), base.name, name, kind)
            self.found.uses.append(replace(use, guarded=guarded and kind == "read"))

    def _class(self, node: ast.ClassDef, scope: Scope) -> None:
        bases = self.inference.tensorrt_bases(scope)
        for item in node.body if bases else []:
            if isinstance(item, ast.FunctionDef) and not item.name.startswith("_"):
                self._override(item, scope, bases)

    def _override(self, item: ast.FunctionDef, scope: Scope, bases: list[str]) -> None:
        owner = next((b for b in bases if self.inference.member(b, item.name) is not None), None)
        if owner is None:
            text = f"`{item.name}` overrides nothing of {', '.join(bases)}"
            self._unknown(item, scope, text, item)
            return
        is_property = any("property" in ast.unparse(d) for d in item.decorator_list)
        parameters = len(item.args.posonlyargs) + len(item.args.args) - 1
        count = None if is_property or item.args.vararg else parameters
        kind = "read" if is_property else "override"
        self.found.uses.append(Use(self._where(item, scope), owner, item.name, kind, count))

    def _use(self, node: ast.AST, scope: Scope, owner: str, name: str, kind: str) -> None:
        self.found.uses.append(Use(self._where(node, scope), owner, name, kind))

    def _unknown(self, node: ast.AST, scope: Scope, text: str, plain: ast.AST) -> None:
        key = f"{scope.module.path}: {ast.unparse(plain)}"
        if key in self.declared.plain:
            self.found.declared.add(key)
        else:
            self.found.unknown.append(f"{self._line(node, scope)}: {text}")

    def _where(self, node: ast.AST, scope: Scope) -> str:
        """Return file, line of the function around, by which guards are matched, and line."""
        line = getattr(scope.node, "lineno", 0) if scope.kind == "function" else 0
        return f"{scope.module.path}:{line}:{getattr(node, 'lineno', 0)}"

    @staticmethod
    def _line(node: ast.AST, scope: Scope) -> str:
        return f"{scope.module.path}:{getattr(node, 'lineno', 0)}"


def _names(wanted: ast.AST, scope: Scope) -> Iterator[str]:
    """Return the names that an expression stands for: a constant, or one out of a tuple of them."""
    if isinstance(wanted, ast.Constant):
        yield str(wanted.value)
    elif isinstance(wanted, ast.Tuple):
        for item in wanted.elts:
            yield from _names(item, scope)
    elif isinstance(wanted, ast.Name):
        for binding in scope.find(wanted.id):
            if binding.kind == "element" and binding.node is not None:
                yield from _names(binding.node, scope)
