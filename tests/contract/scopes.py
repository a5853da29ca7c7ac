"""The names of our modules: what each scope binds, and to which expression or annotation."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["Binding", "Module", "Scope", "read_modules", "scope_from_source"]

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, slots=True)
class Binding:
    """One thing that a name is bound to.

    `kind` says what `node` is: a ``value``, an ``annotation``, an ``element`` of what is iterated
    (`path` picks out of tuples), a ``context``, a ``function``, a ``class``, an ``import``,
    ``self``, or ``plain`` for what can hold nothing of TensorRT.
    """

    kind: str
    node: ast.AST | None
    scope: Scope
    path: tuple[int, ...] = ()
    imported: str = ""


@dataclass(eq=False)
class Scope:
    """A module, class or function, and what it binds."""

    kind: str
    name: str
    node: ast.AST
    parent: Scope | None
    module: Module
    bindings: dict[str, list[Binding]] = field(default_factory=dict)
    children: dict[ast.AST, Scope] = field(default_factory=dict)
    attributes: dict[str, list[Binding]] = field(default_factory=dict)  # of a class, by self.x

    def bind(self, name: str, binding: Binding) -> None:
        """Add a binding."""
        self.bindings.setdefault(name, []).append(binding)

    def find(self, name: str) -> list[Binding]:
        """Return what the nearest scope binds; a function does not see the class around it."""
        scope: Scope | None = self
        while scope is not None:
            if name in scope.bindings and (scope is self or scope.kind != "class"):
                return scope.bindings[name]
            scope = scope.parent
        return []

    @property
    def owner(self) -> Scope | None:
        """The class whose method this is, or lies in."""
        scope: Scope | None = self
        while scope is not None and scope.kind != "class":
            scope = scope.parent
        return scope


@dataclass(eq=False)
class Module:
    """One of our files; `name` is dotted, `path` as messages show it."""

    name: str
    path: str
    tree: ast.Module
    top: Scope = field(init=False)

    def __post_init__(self) -> None:
        self.top = Scope("module", self.name, self.tree, None, self)
        _Binder(self.top).fill(self.tree.body)


def read_modules(root: Path, package: str) -> dict[str, Module]:
    """Return the modules below a package of the folder `root`, by dotted name."""
    modules = {}
    for path in sorted((root / package.replace(".", "/")).rglob("*.py")):
        relative = path.relative_to(root)
        name = ".".join(relative.with_suffix("").parts).removesuffix(".__init__")
        modules[name] = Module(name, str(relative), ast.parse(path.read_text("utf-8")))
    return modules


def scope_from_source(source: str, path: str = "sample.py") -> Mapping[str, Module]:
    """Return one module written as text."""
    return {"sample": Module("sample", path, ast.parse(source))}


class _Binder(ast.NodeVisitor):
    """Fills a scope and those in it."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope

    def fill(self, body: list[ast.stmt]) -> None:
        for statement in body:
            self.visit(statement)

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            target = alias.name if alias.asname else alias.name.partition(".")[0]
            self._bind(alias.asname or target, "import", node, imported=target)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        for alias in node.names:
            target = f"{node.module}.{alias.name}"
            self._bind(alias.asname or alias.name, "import", node, imported=target)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        self._bind(node.name, "function", node)
        self._function(node, node.args, node.body)
        self._visit_all([*node.decorator_list, *node.args.defaults])

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:
        self._bind(node.name, "function", node)
        self._function(node, node.args, node.body)

    def visit_Lambda(self, node: ast.Lambda) -> None:
        self._function(node, node.args, [ast.Expr(node.body)])

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self._bind(node.name, "class", node)
        scope = self._child("class", node.name, node)
        _Binder(scope).fill(node.body)
        self._visit_all([*node.decorator_list, *node.bases])

    def visit_Assign(self, node: ast.Assign) -> None:
        for target in node.targets:
            self._target(target, "value", node.value)
        self.generic_visit(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        self._target(node.target, "annotation", node.annotation)
        self.generic_visit(node)

    def visit_NamedExpr(self, node: ast.NamedExpr) -> None:
        self._target(node.target, "value", node.value)
        self.generic_visit(node)

    def visit_For(self, node: ast.For) -> None:
        self._target(node.target, "element", node.iter)
        self.generic_visit(node)

    def visit_ListComp(self, node: ast.ListComp) -> None:
        self._comprehension(node, node.generators, [node.elt])

    def visit_SetComp(self, node: ast.SetComp) -> None:
        self._comprehension(node, node.generators, [node.elt])

    def visit_GeneratorExp(self, node: ast.GeneratorExp) -> None:
        self._comprehension(node, node.generators, [node.elt])

    def visit_DictComp(self, node: ast.DictComp) -> None:
        self._comprehension(node, node.generators, [node.key, node.value])

    def visit_withitem(self, node: ast.withitem) -> None:
        if node.optional_vars is not None:
            self._target(node.optional_vars, "context", node.context_expr)
        self.generic_visit(node)

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> None:
        if node.name:
            self._bind(node.name, "plain", node)
        self.generic_visit(node)

    def _comprehension(
        self, node: ast.AST, generators: list[ast.comprehension], parts: list[ast.expr]
    ) -> None:
        inner = _Binder(self._child("function", "<comprehension>", node))
        for generator in generators:
            inner._target(generator.target, "element", generator.iter)
            inner._visit_all([generator.iter, *generator.ifs])
        inner._visit_all(parts)

    def _function(self, node: ast.AST, arguments: ast.arguments, body: list[ast.stmt]) -> None:
        name = getattr(node, "name", "<lambda>")
        scope = self._child("function", name, node)
        for i, argument in enumerate(_arguments(arguments)):
            is_self = i == 0 and self.scope.kind == "class" and argument.annotation is None
            kind = "self" if is_self and not _is_static(node) else "annotation"
            scope.bind(argument.arg, Binding(kind, argument.annotation, self.scope))
        for rest in (arguments.vararg, arguments.kwarg):
            if rest is not None:
                scope.bind(rest.arg, Binding("many", rest.annotation, self.scope))
        _Binder(scope).fill(body)

    def _child(self, kind: str, name: str, node: ast.AST) -> Scope:
        scope = Scope(kind, name, node, self.scope, self.scope.module)
        self.scope.children[node] = scope
        return scope

    def _target(
        self, target: ast.AST, kind: str, value: ast.AST, path: tuple[int, ...] = ()
    ) -> None:
        if isinstance(target, ast.Name):
            self.scope.bind(target.id, Binding(kind, value, self.scope, path))
        elif isinstance(target, ast.Tuple | ast.List):
            for i, item in enumerate(target.elts):
                self._target(item, kind, value, (*path, i))
        elif isinstance(target, ast.Starred):
            self.scope.bind(ast.unparse(target.value), Binding("plain", value, self.scope))
        elif isinstance(target, ast.Attribute) and self._is_self(target.value):
            owner = self.scope.owner
            if owner is not None:
                binding = Binding(kind, value, self.scope, path)
                owner.attributes.setdefault(target.attr, []).append(binding)

    def _is_self(self, node: ast.AST) -> bool:
        return isinstance(node, ast.Name) and any(
            binding.kind == "self" for binding in self.scope.find(node.id)
        )

    def _bind(self, name: str, kind: str, node: ast.AST, *, imported: str = "") -> None:
        self.scope.bind(name, Binding(kind, node, self.scope, (), imported))

    def _visit_all(self, nodes: list[ast.expr]) -> None:
        for node in nodes:
            self.visit(node)


def _arguments(arguments: ast.arguments) -> Iterator[ast.arg]:
    return iter([*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs])


def _is_static(node: ast.AST) -> bool:
    decorators = getattr(node, "decorator_list", [])
    return any(isinstance(d, ast.Name) and d.id == "staticmethod" for d in decorators)
