"""Write what TensorRT's Python module offers, as JSON; run by another process, with stdlib only.

Usage: ``python dump.py OUT [FOLDER]``, where FOLDER holds ``tensorrt_bindings``; without it the
installed ``tensorrt`` is looked at. The form is told in `api.py`.
"""

from __future__ import annotations

import importlib
import inspect
import json
import re
import sys
import types
from collections.abc import Iterator
from pathlib import Path

KEPT_DUNDERS = {"__init__", "__len__", "__getitem__", "__setitem__", "__iter__", "__bool__"}
PREFIXES = re.compile(r"(tensorrt_bindings|tensorrt|collections\.abc|typing|builtins)\.|\w+::")

Entry = dict[str, object]


def main(out: Path, folder: str | None) -> None:
    module = _module(folder)
    entries: dict[str, Entry] = {"": _entry("module", [])}
    _fill(entries, "", _public(module))
    _members(entries, "")["__version__"] = "ro str"
    try:
        plugin = importlib.import_module("tensorrt.plugin")
    except ImportError:
        plugin = None
    if plugin is not None:
        entries["plugin"] = _entry("module", [])
        _members(entries, "")["plugin"] = "module"
        _fill(entries, "plugin", _public(plugin))
    # Not to stdout: the library itself writes there.
    out.write_text(json.dumps({"version": module.__version__, "entries": entries}), "utf-8")


def _module(folder: str | None) -> types.ModuleType:
    if folder is None:
        return importlib.import_module("tensorrt")
    sys.path.insert(0, folder)
    module = types.ModuleType("tensorrt")
    # The front end `tensorrt` is another distribution; the bindings' own plugins import that name.
    module.__path__ = [f"{folder}/tensorrt_bindings"]
    sys.modules["tensorrt"] = module
    bindings = importlib.import_module("tensorrt_bindings")
    sys.modules["tensorrt"] = bindings
    sys.modules["tensorrt.tensorrt"] = sys.modules["tensorrt_bindings.tensorrt"]
    return bindings


def _public(module: types.ModuleType) -> Iterator[tuple[str, object]]:
    return ((n, v) for n, v in sorted(vars(module).items()) if not n.startswith("_"))


def _fill(entries: dict[str, Entry], owner: str, values: Iterator[tuple[str, object]]) -> None:
    for name, value in values:
        member = _member(entries, owner, name, value)
        if member is not None:
            _members(entries, owner)[name] = member


def _member(entries: dict[str, Entry], owner: str, name: str, value: object) -> object:  # noqa: PLR0911  # one per form
    path = f"{owner}.{name}".lstrip(".")
    if isinstance(value, types.ModuleType):
        return None
    if isinstance(value, type):
        _add_class(entries, path, value)
        return "class " + _plain_name(value, path)
    if isinstance(value, property):
        doc = inspect.getdoc(value.fget) or ""
        kind = "ro" if value.fset is None else "rw"
        return f"{kind} {_returned(doc.partition('->')[2], value.fget)}"
    if isinstance(value, classmethod):
        return _signatures(name, value.__func__, bound=False)
    if isinstance(value, staticmethod):
        return _signatures(name, value.__func__, bound=True)
    if callable(value):
        return _signatures(name, value, bound=_is_module(entries, owner))
    return "value"


def _add_class(entries: dict[str, Entry], path: str, value: type) -> None:
    if path in entries:
        return
    kind = "enum" if hasattr(value, "__members__") else "class"
    entries[path] = _entry(kind, [_plain_name(base, "") for base in value.__bases__])
    kept = {n: v for n, v in vars(value).items() if n in KEPT_DUNDERS or not n.startswith("_")}
    for name, member in sorted(kept.items()):
        if isinstance(member, type):
            # An enumeration of another module that is shown here too keeps its own name.
            inner = _plain_name(member, "")
            _add_class(entries, inner, member)
            _members(entries, path)[name] = f"class {inner}"
        else:
            _members(entries, path)[name] = _member(entries, path, name, member)
    if path == "plugin.KernelLaunchParams":  # written in Python: its attributes are made by it
        _members(entries, path).update(dict.fromkeys(vars(value()), "rw int"))


def _plain_name(value: type, path: str) -> str:
    if value.__module__.startswith(("tensorrt.plugin", "tensorrt_bindings.plugin")):
        return f"plugin.{value.__qualname__}"
    is_binding = value.__module__.startswith("tensorrt")
    return value.__qualname__ if is_binding else path or f"{value.__module__}.{value.__qualname__}"


def _signatures(name: str, function: object, *, bound: bool) -> list[str]:
    """Return ``first, second? -> Returned`` of every overload; ``*`` stands for anything."""
    doc = getattr(function, "__doc__", None) or ""
    lines = re.findall(rf"^(?:\d+\. )?{re.escape(name)}\((.*)\)(?: -> (.*))?:?$", doc, re.MULTILINE)
    found = [x for x in lines if x[0] != "*args, **kwargs"]
    if found:
        return [_signature(_split(inside), out, bound=bound) for inside, out in found]
    try:
        signature = inspect.signature(function)  # type: ignore[arg-type]  # checked by the except
    except (TypeError, ValueError):
        return ["* -> ?"]
    words = [_word(parameter) for parameter in signature.parameters.values()]
    words = words if bound else words[1:]
    return [f"{', '.join(words)} -> {_returned('', function)}"]


def _word(parameter: inspect.Parameter) -> str:
    if parameter.kind in {parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD}:
        return "*"
    return parameter.name + ("" if parameter.default is parameter.empty else "?")


def _signature(parameters: list[str], returned: str, *, bound: bool) -> str:
    words = []
    for parameter in parameters if bound else parameters[1:]:
        name, _, default = parameter.partition(":")[0], *parameter.partition(" = ")[1:]
        star = name.startswith("*") and name not in {"*", "/"}
        words.append("*" if star else name.partition(" ")[0] + ("?" if default else ""))
    words = [word for word in words if word != "/"]
    return f"{', '.join(words)} -> {_short(returned) or 'None'}"


def _split(text: str) -> list[str]:
    """Return what stands between the commas that no bracket encloses."""
    parts, depth, start = [], 0, 0
    for i, letter in enumerate(text):
        depth += (letter in "[({<") - (letter in "])}>" and text[i - 1] != "-")
        if letter == "," and depth == 0:
            parts.append(text[start:i].strip())
            start = i + 1
    return [part for part in [*parts, text[start:].strip()] if part]


def _returned(text: str, function: object) -> str:
    annotation = getattr(function, "__annotations__", {}).get("return")
    name = getattr(annotation, "__qualname__", None) if isinstance(annotation, type) else None
    if name is not None and isinstance(annotation, type):
        return _plain_name(annotation, name)
    return _short(text.strip().partition("\n")[0]) or _short(str(annotation or "")) or "?"


def _short(text: str) -> str:
    text = re.sub(r"\b(List|Tuple|Dict)\[", lambda m: m[0].lower(), PREFIXES.sub("", text))
    return PREFIXES.sub("", text).strip().rstrip(":").replace("SupportsInt", "int")


def _is_module(entries: dict[str, Entry], owner: str) -> bool:
    return entries[owner]["kind"] == "module"


def _entry(kind: str, bases: list[str]) -> Entry:
    members: dict[str, object] = {}
    kept = [base for base in bases if not base.startswith(("pybind11_", "builtins.", "object"))]
    return {"kind": kind, "bases": kept, "members": members}


def _members(entries: dict[str, Entry], owner: str) -> dict[str, object]:
    members = entries[owner]["members"]
    if not isinstance(members, dict):
        raise TypeError(owner)
    return members


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else None)
