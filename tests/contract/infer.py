"""What an expression of our code is: the TensorRT module, a class or an object of it, or not.

Types come from annotations, from what is assigned, and from what TensorRT's own signatures return.
What cannot be told is `UNKNOWN`, which the check treats as an error, never as harmless.
"""

from __future__ import annotations

import ast
import builtins
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from tests.contract.api import Api, Member, Signature
from tests.contract.scopes import Binding, Module, Scope

__all__ = ["PLAIN", "UNKNOWN", "Inference", "Type"]

_SEQUENCES = {
    "list", "set", "frozenset", "Sequence", "Iterable", "Iterator", "Collection", "Generator",
    "deque", "ContextManager", "AbstractContextManager",
}  # fmt: skip
_MAPPINGS = {"dict", "Mapping", "MutableMapping", "defaultdict"}
_WRAPPERS = {"Optional", "Final", "ClassVar", "Annotated", "Required"}
_SAME = {"list", "tuple", "set", "sorted", "reversed", "iter", "frozenset"}
_TAKES_ONE = {"next", "pop", "popleft", "get", "min", "max"}


@dataclass(frozen=True)
class Type:
    """A kind, a dotted name, and what a container holds.

    Of TensorRT: ``module``, ``class``, ``instance``, ``member`` (`name` is ``Owner:member``). Of
    ours: ``own module``, ``own class``, ``own instance``, ``own function``; ``union`` is one of
    several. Containers: ``many``, ``mapping``, ``tuple``, ``callable``. Else ``plain``,
    ``foreign`` (another library), ``none``, or ``unknown``.
    """

    kind: str
    name: str = ""
    items: tuple[Type, ...] = ()
    scope: Scope | None = None

    @property
    def is_tensorrt(self) -> bool:
        """Whether its members are TensorRT's."""
        return self.kind in {"module", "class", "instance"}


PLAIN, UNKNOWN, NONE = Type("plain"), Type("unknown"), Type("none")
_BOTTOM = Type("bottom")
_MODULE = Type("module")


class Inference:
    """Types within a set of modules.

    Args:
        modules: Ours, by dotted name.
        apis: TensorRT's, by version; the newest is asked first.
        variables: The class of TensorRT that a name holds whose type our code does not tell, as
            ``config``, or ``path:config`` for one file; ``made()`` is what a function returns.
        others: Paths of our files whose `ModuleType` is another library's; else it is TensorRT's.
    """

    def __init__(
        self,
        modules: Mapping[str, Module],
        apis: Mapping[str, Api],
        variables: Mapping[str, str],
        others: frozenset[str] = frozenset(),
    ) -> None:
        self.modules = modules
        self.apis = list(reversed(list(apis.values())))
        self.variables = variables
        self.others = others
        self.needed: set[str] = set()
        self._known: dict[tuple[int, int], Type] = {}
        self._handlers: dict[type, Callable[[Any, Scope], Type]] = {
            ast.Constant: self._constant,
            ast.Name: self._name,
            ast.Attribute: self._attribute_of,
            ast.Call: self._call,
            ast.Subscript: self._subscript,
            ast.IfExp: self._either,
            ast.BoolOp: self._any_of,
            ast.BinOp: self._sum,
            ast.NamedExpr: self._named_expression,
            ast.Starred: self._starred,
            ast.Lambda: self._function,
            ast.List: self._sequence,
            ast.Set: self._sequence,
            ast.Tuple: self._tuple,
            ast.Dict: self._dict,
            ast.ListComp: self._comprehension,
            ast.SetComp: self._comprehension,
            ast.GeneratorExp: self._comprehension,
            ast.DictComp: self._dict_comprehension,
        }

    def of(self, node: ast.AST | None, scope: Scope) -> Type:
        """Return the type of an expression."""
        key = (id(node), id(scope))
        if key not in self._known:
            self._known[key] = _BOTTOM  # what is defined by itself adds nothing
            handler = self._handlers.get(type(node))
            self._known[key] = PLAIN if handler is None else handler(node, scope)
        return self._known[key]

    def member(self, owner: str, name: str) -> Member | None:
        """Return a member in the newest version that has it."""
        found = (api.member(owner, name) for api in self.apis)
        return next((member for member in found if member is not None), None)

    def tensorrt_bases(self, scope: Scope) -> list[str]:
        """Return TensorRT's classes that a class of ours derives from."""
        bases = getattr(scope.node, "bases", [])
        types = [self.of(base, scope.parent or scope) for base in bases]
        names = [base.name for base in types if base.kind == "class"]
        for base in types:
            if base.kind == "own class" and base.scope is not None:
                names += self.tensorrt_bases(base.scope)
        return names

    def has(self, scope: Scope, name: str) -> bool:
        """Return whether a class of ours, or one of ours that it derives from, has a member."""
        bases = (self.of(base, scope.parent or scope) for base in getattr(scope.node, "bases", []))
        inherited = (base.scope is not None and self.has(base.scope, name) for base in bases)
        return name in scope.bindings or name in scope.attributes or any(inherited)

    def attribute(self, base: Type, name: str) -> Type:
        """Return the type of a member of a type."""
        if base.is_tensorrt:
            return self._tensorrt_attribute(base, name)
        if base.kind == "union":
            return join([self.attribute(one, name) for one in base.items])
        if base.kind == "own module":
            return self._exported(base.name, name)
        if base.kind in {"own class", "own instance"} and base.scope is not None:
            return self._own_attribute(base.scope, name)
        if base.kind in {"many", "mapping", "tuple"}:
            return Type("container method", name, (base,))
        return base if base.kind in {"unknown", "foreign"} else PLAIN

    def called(self, function: Type, node: ast.Call, scope: Scope) -> Type:  # noqa: PLR0911  # one per form
        """Return what a call gives."""
        if function.kind == "union":
            return join([self.called(one, node, scope) for one in function.items])
        if function.kind == "class":
            return Type("instance", function.name)
        if function.kind == "member":
            return self._returned(function.name)
        if function.kind == "own class":
            return Type("own instance", function.name, scope=function.scope)
        if function.kind == "own function" and function.scope is not None:
            return self._own_returned(function.scope)
        if function.kind == "callable":
            return function.items[0]
        if function.kind == "container method":
            return _container_method(function.name, function.items[0])
        if function.kind == "builtin":
            return self._builtin(function.name, node, scope)
        return UNKNOWN if function.kind == "unknown" else PLAIN

    def annotation(self, node: ast.AST | None, scope: Scope) -> Type:  # noqa: PLR0911  # one per form
        """Return the type that an annotation promises."""
        match node:
            case None:
                return UNKNOWN
            case ast.Constant(value=str(text)):
                return self.annotation(ast.parse(text, mode="eval").body, scope)
            case ast.Constant():
                return NONE
            case ast.BinOp(left=left, right=right):
                return join([self.annotation(left, scope), self.annotation(right, scope)])
            case ast.Subscript(value=value, slice=inside):
                return self._generic(value, inside, scope)
            case ast.Name(id="Any"):
                return UNKNOWN
            case ast.Name(id="ModuleType") | ast.Attribute(attr="ModuleType"):
                return self._module(scope)
        named = self.of(node, scope)
        if named.kind == "class":
            return Type("instance", named.name)
        if named.kind == "own class":
            return Type("own instance", named.name, scope=named.scope)
        return named if named.kind in {"many", "mapping", "tuple", "unknown"} else PLAIN

    # What an expression is, by the class of its node.

    @staticmethod
    def _constant(node: ast.Constant, _: Scope) -> Type:
        return NONE if node.value is None else PLAIN

    def _name(self, node: ast.Name, scope: Scope) -> Type:
        bindings = scope.find(node.id)
        if bindings:
            found = join([self._bound(binding) for binding in bindings])
            return self._declared(found, node.id, scope)
        return Type("builtin", node.id) if hasattr(builtins, node.id) else PLAIN

    def _attribute_of(self, node: ast.Attribute, scope: Scope) -> Type:
        return self.attribute(self.of(node.value, scope), node.attr)

    def _call(self, node: ast.Call, scope: Scope) -> Type:
        match node:
            case ast.Call(
                func=ast.Attribute(attr="import_module") | ast.Name(id="import_module"),
                args=[ast.Constant(value=str(name)), *_],
            ):
                return self._imported(name)
        return self.called(self.of(node.func, scope), node, scope)

    def _subscript(self, node: ast.Subscript, scope: Scope) -> Type:
        base = self.of(node.value, scope)
        if base.kind == "tuple" and isinstance(node.slice, ast.Constant):
            index = node.slice.value
            return base.items[index] if isinstance(index, int) else PLAIN
        if isinstance(node.slice, ast.Slice):
            return base
        if base.kind == "instance":
            return self._returned(f"{base.name}:__getitem__")
        return element(base)

    def _either(self, node: ast.IfExp, scope: Scope) -> Type:
        return join([self.of(node.body, scope), self.of(node.orelse, scope)])

    def _any_of(self, node: ast.BoolOp, scope: Scope) -> Type:
        return join([self.of(value, scope) for value in node.values])

    def _sum(self, node: ast.BinOp, scope: Scope) -> Type:
        sides = [self.of(node.left, scope), self.of(node.right, scope)]
        return join([side for side in sides if side.kind == "instance"])

    def _named_expression(self, node: ast.NamedExpr, scope: Scope) -> Type:
        return self.of(node.value, scope)

    def _starred(self, node: ast.Starred, scope: Scope) -> Type:
        return element(self.of(node.value, scope))

    def _function(self, node: ast.Lambda, scope: Scope) -> Type:
        return Type("callable", "", (self.of(node.body, scope.children.get(node, scope)),))

    def _sequence(self, node: ast.List | ast.Set, scope: Scope) -> Type:
        return Type("many", "", (join([self.of(item, scope) for item in node.elts]),))

    def _tuple(self, node: ast.Tuple, scope: Scope) -> Type:
        return Type("tuple", "", tuple(self.of(item, scope) for item in node.elts))

    def _dict(self, node: ast.Dict, scope: Scope) -> Type:
        return Type("mapping", "", (join([self.of(value, scope) for value in node.values]),))

    def _comprehension(self, node: ast.ListComp, scope: Scope) -> Type:
        return Type("many", "", (self.of(node.elt, scope.children.get(node, scope)),))

    def _dict_comprehension(self, node: ast.DictComp, scope: Scope) -> Type:
        return Type("mapping", "", (self.of(node.value, scope.children.get(node, scope)),))

    # What a name is bound to.

    def _bound(self, binding: Binding) -> Type:  # noqa: PLR0911  # one per form
        node, scope = binding.node, binding.scope
        if binding.kind == "import":
            return self._imported(binding.imported)
        if binding.kind == "self":
            return Type("own instance", scope.name, scope=scope)
        if binding.kind in {"function", "class"} and node is not None:
            return Type(f"own {binding.kind}", scope.name, scope=scope.children[node])
        if binding.kind == "annotation":
            return self.annotation(node, scope)
        if binding.kind == "many":
            return Type("many", "", (self.annotation(node, scope),))
        if binding.kind == "plain":
            return PLAIN
        found = self.of(node, scope)
        found = found if binding.kind == "value" else self._element(found)
        for index in binding.path:
            found = found.items[index] if found.kind == "tuple" else element(found)
        return found

    def _element(self, base: Type) -> Type:
        """Return what iterating gives; of TensorRT's objects what their items are."""
        if base.kind != "instance":
            return element(base)
        overloads = self.member(base.name, "__getitem__")
        texts = overloads if isinstance(overloads, tuple) else ()
        items = [self._named(Signature.parse(text).returns) for text in texts]
        return join([item for item in items if item.name != base.name]) if items else UNKNOWN

    def _module(self, scope: Scope) -> Type:
        path = scope.module.path
        if path not in self.others:
            return _MODULE
        self.needed.add(path)
        return Type("foreign", path)

    def _imported(self, name: str) -> Type:
        if name == "typing.cast":
            return Type("builtin", "cast")
        if name == "tensorrt" or name.startswith("tensorrt."):
            inside = name.partition(".")[2]
            return self._tensorrt_attribute(_MODULE, inside) if inside else _MODULE
        if name in self.modules:
            return Type("own module", name)
        module, _, member = name.rpartition(".")
        if module in self.modules:
            return self._exported(module, member)
        return PLAIN if name.startswith("facealign.") else Type("foreign", name)

    def _exported(self, module: str, name: str) -> Type:
        if f"{module}.{name}" in self.modules:
            return Type("own module", f"{module}.{name}")
        bindings = self.modules[module].top.bindings.get(name, [])
        return join([self._bound(binding) for binding in bindings])

    # Members and calls.

    def _tensorrt_attribute(self, base: Type, name: str) -> Type:
        member = self.member(base.name, name)
        if isinstance(member, tuple):
            return Type("member", f"{base.name}:{name}")
        if member == "value" and self._is_enum(base.name):
            return Type("instance", base.name)
        if member is None or member == "value":
            return PLAIN  # where it is nowhere, the use itself is the finding
        kind, _, text = member.partition(" ")
        if kind == "module":
            return Type("module", name)
        return Type("class", text) if kind == "class" else self._named(text)

    def _is_enum(self, name: str) -> bool:
        return any(name in api.entries and api.entries[name].kind == "enum" for api in self.apis)

    def _own_attribute(self, scope: Scope, name: str) -> Type:
        bindings = scope.attributes.get(name, []) + scope.bindings.get(name, [])
        annotated = [binding for binding in bindings if binding.kind == "annotation"]
        if bindings:
            found = join([self._bound(binding) for binding in annotated or bindings])
            return self._declared(self._property(found), name, scope)
        for base in getattr(scope.node, "bases", []):
            kind = self.of(base, scope.parent or scope)
            if kind.kind == "own class" and kind.scope is not None:
                return self._own_attribute(kind.scope, name)
            if kind.kind == "class" and self.member(kind.name, name) is not None:
                return self._tensorrt_attribute(kind, name)
        return PLAIN if getattr(scope.node, "bases", []) else UNKNOWN

    def _property(self, found: Type) -> Type:
        node = found.scope.node if found.kind == "own function" and found.scope else None
        decorators = [ast.unparse(d) for d in getattr(node, "decorator_list", [])]
        is_property = any(d.endswith("property") for d in decorators)
        return self._own_returned(found.scope) if is_property and found.scope else found

    def _own_returned(self, scope: Scope) -> Type:
        returns = getattr(scope.node, "returns", None)
        found = self.annotation(returns, scope.parent or scope)
        return self._declared(found, f"{scope.name}()", scope)

    def _declared(self, found: Type, name: str, scope: Scope) -> Type:
        """Return what is declared for a name, where the code itself does not tell."""
        keys = [key for key in (f"{scope.module.path}:{name}", name) if key in self.variables]
        if found.kind != "unknown" or not keys:
            return found
        self.needed.add(keys[0])
        return Type("instance", self.variables[keys[0]])

    def _returned(self, name: str) -> Type:
        owner, _, member = name.partition(":")
        overloads = self.member(owner, member)
        if not isinstance(overloads, tuple):
            return PLAIN
        return join([self._named(Signature.parse(text).returns) for text in overloads])

    def _named(self, text: str) -> Type:
        """Return the type that a signature of TensorRT's names."""
        container, _, inside = text.partition("<")[0].rstrip("]").partition("[")
        if container in {"list", "Sequence", "tuple"} and inside:
            return Type("many", "", (self._named(inside),))
        names = (api.resolve(container) for api in self.apis)
        name = next((n for n, a in zip(names, self.apis, strict=True) if n in a.entries), "")
        if name:
            return Type("instance", name)
        return UNKNOWN if container in {"?", "object"} else PLAIN

    def _generic(self, value: ast.AST, inside: ast.AST, scope: Scope) -> Type:  # noqa: PLR0911  # one per form
        name = ast.unparse(value).rpartition(".")[2]
        parts = inside.elts if isinstance(inside, ast.Tuple) else [inside]
        if name in _WRAPPERS:
            return self.annotation(parts[0], scope)
        if name == "type":
            return self.of(parts[0], scope)
        if name == "Callable":
            return Type("callable", "", (self.annotation(parts[-1], scope),))
        if name in _SEQUENCES:
            return Type("many", "", (self.annotation(parts[0], scope),))
        if name in _MAPPINGS:
            return Type("mapping", "", (self.annotation(parts[-1], scope),))
        if name == "tuple" and not (len(parts) == 2 and ast.unparse(parts[1]) == "..."):
            return Type("tuple", "", tuple(self.annotation(part, scope) for part in parts))
        if name == "tuple":
            return Type("many", "", (self.annotation(parts[0], scope),))
        return PLAIN

    def _builtin(self, name: str, node: ast.Call, scope: Scope) -> Type:  # noqa: PLR0911  # one per form
        arguments = [self.of(argument, scope) for argument in node.args]
        if name == "getattr" and len(node.args) >= 2 and isinstance(node.args[1], ast.Constant):
            default = arguments[2:] or [NONE]
            return join([self.attribute(arguments[0], str(node.args[1].value)), *default])
        if name == "super":
            return self._super(scope)
        if name == "cast" and node.args:
            return self.annotation(node.args[0], scope)
        if name in _SAME and arguments:
            return Type("many", "", (element(arguments[0]),))
        if name in _TAKES_ONE and arguments:
            return element(arguments[0])
        if name == "enumerate" and arguments:
            return Type("many", "", (Type("tuple", "", (PLAIN, element(arguments[0]))),))
        if name == "zip":
            return Type("many", "", (Type("tuple", "", tuple(map(element, arguments))),))
        return UNKNOWN if name == "getattr" and arguments[0].is_tensorrt else PLAIN

    def _super(self, scope: Scope) -> Type:
        owner = scope.owner
        bases = self.tensorrt_bases(owner) if owner is not None else []
        return Type("instance", bases[0]) if bases else PLAIN


def join(types: Iterable[Type]) -> Type:
    """Return what is all of the types: the one of TensorRT or of ours that they agree on."""
    kinds = {kind for kind in types if kind.kind not in {"bottom", "none"}}
    special = {kind for kind in kinds if kind.kind not in {"plain", "foreign"}}
    if not special:
        return PLAIN if kinds else NONE
    return next(iter(special)) if len(special) == 1 else _joined(special)


def _joined(special: set[Type]) -> Type:
    kinds = {kind.kind for kind in special}
    if all(kind.startswith("own ") or kind == "union" for kind in kinds):
        return Type("union", "", tuple(special))
    if kinds <= {"many", "tuple", "mapping"}:
        kind = kinds.pop() if len(kinds) == 1 and kinds != {"tuple"} else "many"
        return Type(kind, "", (join([element(one) for one in special]),))
    return UNKNOWN


def element(base: Type) -> Type:
    """Return what iterating over a type, or a key of it, gives."""
    if base.kind in {"many", "mapping", "tuple"}:
        return join(base.items)
    return UNKNOWN if base.kind in {"unknown", "instance"} else PLAIN


def _container_method(name: str, base: Type) -> Type:
    if name in _TAKES_ONE:
        return element(base)
    if name == "values":
        return Type("many", "", (element(base),))
    if name == "items":
        return Type("many", "", (Type("tuple", "", (PLAIN, element(base))),))
    return base if name == "copy" else PLAIN
