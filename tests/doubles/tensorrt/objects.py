"""What all classes of the double share: checked calls, strict attributes, counted lives."""

from __future__ import annotations

import functools
import weakref
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any, ClassVar, Literal, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from tests.doubles.tensorrt.api import Api, DoubleLimitError, Signature
from tests.doubles.tensorrt.plugins import PluginRegistry

__all__ = ["Cuda", "Object", "State", "class_from", "enum_from"]

_OPERATORS = ("__len__", "__getitem__", "__bool__")
_DEFAULTS: dict[str, object] = {"int": 0, "float": 0.0, "bool": False, "str": ""}
# Values, and interfaces that the caller implements: nothing of them is worth a count.
_NEVER_FAIL = ("Dims", "ILogger", "IErrorRecorder", "IProfiler", "IProgressMonitor", "Logger")
_NULL = "pybind11::init(): factory function returned nullptr"


class Cuda(Protocol):
    """What execution needs of a CUDA double."""

    def view(self, address: int, size: int) -> NDArray[np.uint8]:
        """Return the memory; a ValueError if it is not wholly inside one live allocation."""
        ...

    def enqueue(self, stream_handle: int, work: Callable[[], None]) -> None:
        """Queue the work on the stream, or into its capture; a ValueError without such a stream."""
        ...


class State:
    """What a test may look at and turn.

    Attributes:
        calls: Every call so far, such as ``Builder.create_network``; setting a property counts.
        created: How many objects of each class there were; `live` how many there are.
        fail_at: Index of the call that fails, from the last `reset_calls` on; None for none.
        fail_how: ``answer`` as TensorRT answers a failure (False, None, and words to the recorder
            and the logger), with an exception where it has no answer; ``raise`` always raises.
        refused: Names or operators of nodes that the parser refuses, and the words.
        executions: How many runs were executed, captured ones when they are replayed.
        on_free: Told of everything that is freed.
        registry: Of plugins; the process's in TensorRT.
    """

    def __init__(self, api: Api, cuda: Cuda | None) -> None:
        self.api = api
        self.cuda = cuda
        self.calls: list[str] = []
        self.created: Counter[str] = Counter()
        self.live: Counter[str] = Counter()
        self.fail_at: int | None = None
        self.fail_how: Literal["answer", "raise"] = "answer"
        self.refused: dict[str, str] = {}
        self.executions = 0
        self.on_free: Callable[[str], None] = lambda _: None
        self.registry = PluginRegistry()

    def reset_calls(self, *, fail_at: int | None = None) -> None:
        """Count from zero again."""
        self.calls.clear()
        self.fail_at = fail_at

    def objects_alive(self) -> dict[str, int]:
        """Return how many objects of each class live, of those that TensorRT itself makes."""
        made = {name: count for name, count in self.live.items() if name not in _NEVER_FAIL}
        return {name: count for name, count in made.items() if count}

    def count(self, call: str) -> bool:
        """Note a call; return whether it is the one to fail."""
        self.calls.append(call)
        return self.fail_at is not None and len(self.calls) - 1 == self.fail_at

    def born(self, item: Object, name: str) -> None:
        """Count an object until it is freed."""
        self.created[name] += 1
        self.live[name] += 1
        weakref.finalize(item, self._died, name).atexit = False

    def _died(self, name: str) -> None:
        self.live[name] -= 1
        self.on_free(name)


class Object:
    """Base of every class: refuses what TensorRT has not, and names what the double has not."""

    _state: ClassVar[State]
    _own: ClassVar[str]  # name of the double's class, also in a subclass of the user
    _is_user_made: ClassVar[bool] = True
    _parent: Object | None = None
    _values: dict[str, Any]
    _is_ready = False

    def _make(self, parent: Object | None = None) -> None:
        """Set up what a constructor of TensorRT would; `parent` lives as long as this."""
        self._values = {}
        self._parent = parent
        self._is_ready = True
        self._state.born(self, self._own)

    def _new(self, name: str, *arguments: Any, **named: Any) -> Any:
        """Return an object of a class of the double, owned by this one."""
        cls: Any = self._state.api.classes[name]
        item = cls.__new__(cls)
        item._make(self)
        item._set_up(*arguments, **named)
        return item

    def _enum(self, name: str, member: str) -> Any:
        return getattr(self._state.api.classes[name], member)

    def _report(self, code: str, text: str) -> None:
        """Give an error to the nearest recorder and to the logger, as TensorRT does."""
        owner: Object | None = self
        recorder = logger = None
        while owner is not None:
            recorder = recorder or owner._values.get("error_recorder")
            logger = logger or owner._values.get("logger")
            owner = owner._parent
        if recorder is not None:
            recorder.report_error(self._enum("ErrorCodeTRT", code), text)
        if logger is not None:
            severity = self._enum("ILogger.Severity", "ERROR")
            words = f"[double] Error Code: {code} ({text})"
            logger.log(severity, words)

    def _fail(self, returns: str, call: str) -> Any:
        """Fail as TensorRT fails a call that returns such a thing."""
        text = f"the double was told to fail `{call}`"
        cls = self._state.api.classes.get(returns)
        is_object = cls is not None and not hasattr(cls, "__members__") and returns != "Dims"
        has_answer = returns == "bool" or is_object
        if self._state.fail_how == "raise" or not has_answer:
            raise RuntimeError(text)
        self._report("INTERNAL_ERROR", text)
        return False if returns == "bool" else None

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("_"):
            api = self._state.api
            if name in api.methods(self._own) or name in api.properties(self._own):
                raise DoubleLimitError(f"the double has no {self._own}.{name}")
        raise AttributeError(f"'tensorrt.{type(self).__name__}' object has no attribute '{name}'")

    def __setattr__(self, name: str, value: object) -> None:
        known = isinstance(getattr(type(self), name, None), property)
        if not (name.startswith("_") or known or self._is_user_made):
            raise AttributeError(f"'tensorrt.{self._own}' object has no attribute '{name}'")
        object.__setattr__(self, name, value)


def class_from(state: State, name: str, implementation: type) -> type:
    """Return the class as this version has it: nothing more, and every call checked."""
    bases = [state.api.classes[base] for base in state.api.bases(name)]
    namespace: dict[str, Any] = {
        "__module__": "tensorrt",
        "__init__": _checked(state, name, "__init__", getattr(implementation, "_create", None)),
        "__init_subclass__": classmethod(_note_user),
        "_state": state,
        "_own": name,
        "_is_user_made": False,
    }
    for method, function in vars(implementation).items():
        if method in _OPERATORS or (callable(function) and not method.startswith("_")):
            namespace[method] = _checked(state, name, method, function)
    for method in state.api.methods(name):
        if method in _OPERATORS and not hasattr(implementation, method):
            raise DoubleLimitError(f"the double has no {name}.{method}")
    for prop, (kind, is_writable) in state.api.properties(name).items():
        if _is_served(implementation, prop, kind, is_writable=is_writable):
            namespace[prop] = _property(state, prop, kind, is_writable=is_writable)
    cls = type(name, (implementation, *bases), namespace)
    state.api.classes[name] = cls
    return cls


def _note_user(cls: Any, /, **_: object) -> None:
    if "_own" not in vars(cls):
        cls._is_user_made = True


class _Absent:
    """A method that this version has not, although the double has."""

    def __get__(self, instance: object, owner: type) -> Any:
        raise AttributeError("this version has it not")


def _checked(
    state: State, name: str, method: str, function: Callable[..., Any] | None
) -> Callable[..., Any] | _Absent:
    """Return the method behind a check of its arguments, counted and failing when told."""
    signatures = state.api.signatures(name, method)
    if signatures is None:
        return _Absent()
    if not signatures and method == "__init__":
        return _no_constructor
    call = name if method == "__init__" else f"{name}.{method}"
    count = state.count if name not in _NEVER_FAIL else _no_failure

    def checked(self: Object, *arguments: object, **named: object) -> Any:
        signature, given = _bound(self, signatures, method, arguments, named)
        _check_ready(given.values())
        if method == "__init__":
            if count(call):
                raise TypeError(_NULL)
            self._make()
        else:
            _check_ready([self])
            if count(call):
                return self._fail(signature.returns, call)
        return None if function is None else function(self, **given)

    if function is not None:
        functools.update_wrapper(checked, function)
    return checked


def _check_ready(values: Iterable[object]) -> None:
    """Check that interfaces of the user have called the constructor of their base.

    Raises:
        TypeError: If one has not, in the words of pybind.
    """
    for value in values:
        if isinstance(value, Object) and not value._is_ready:
            raise TypeError(f"{value._own}.__init__() must be called when overriding __init__")


def _no_failure(_: str) -> bool:
    return False


def _no_constructor(self: Object, *_: object, **__: object) -> None:
    raise TypeError(f"tensorrt.{self._own}: No constructor defined!")


def _bound(
    self: Object,
    signatures: list[Signature],
    method: str,
    arguments: tuple[object, ...],
    named: dict[str, object],
) -> tuple[Signature, dict[str, object]]:
    """Return the overload that fits.

    Raises:
        TypeError: If none does, in the words of pybind.
    """
    if not signatures:
        raise DoubleLimitError(f"no signature of {self._own}.{method} is known for this version")
    for signature in signatures:
        given = signature.bind(arguments, named, self._state.api.fits)
        if given is not None:
            return signature, given
    supported = "; ".join(signature.text for signature in signatures)
    got = ", ".join([*map(repr, arguments), *(f"{key}={value!r}" for key, value in named.items())])
    raise TypeError(
        f"{method}(): incompatible function arguments. Supported: {supported}; invoked with: {got}"
    )


def _is_served(implementation: type, prop: str, kind: str, *, is_writable: bool) -> bool:
    return hasattr(implementation, f"_get_{prop}") or kind in _DEFAULTS or is_writable


def _property(state: State, prop: str, kind: str, *, is_writable: bool) -> property:
    """Return a property that keeps a value of its type, or asks `_get_` and `_set_`."""

    def read(self: Object) -> Any:
        getter = getattr(type(self), f"_get_{prop}", None)
        return getter(self) if getter else self._values.get(prop, _default(state, kind))

    def write(self: Object, value: object) -> None:
        is_object = kind in state.api.classes and not hasattr(
            state.api.classes[kind], "__members__"
        )
        if not (state.api.fits(value, kind) or (value is None and is_object)):
            raise TypeError(f"(): incompatible function arguments: `{prop}` takes {kind}")
        _check_ready([value])
        call = f"{self._own}.{prop}="
        if state.count(call):
            self._fail("None", call)
        setter = getattr(type(self), f"_set_{prop}", None)
        if setter:
            setter(self, value)
        else:
            self._values[prop] = value

    return property(read, write if is_writable else None)


def _default(state: State, kind: str) -> object:
    enum = state.api.classes.get(kind)
    if enum is not None and hasattr(enum, "__members__"):
        members: dict[str, Any] = enum.__members__
        return min(members.values(), key=int)
    return [] if kind.startswith("Sequence") else _DEFAULTS.get(kind)


class _Enum:
    """A member as pybind makes it: equal to its own kind only, with `int` and `name`."""

    __members__: ClassVar[dict[str, Any]]

    def __init__(self, value: int) -> None:
        found = [member for member in self.__members__.values() if member.value == value]
        if not found:
            raise ValueError(f"{value} is no {type(self).__name__}")
        self.name, self.value = found[0].name, found[0].value

    def __int__(self) -> int:
        return int(self.value)

    __index__ = __int__

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and other.value == self.value

    def __hash__(self) -> int:
        return hash(self.value)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}.{self.name}: {self.value}>"

    def __str__(self) -> str:
        return f"{type(self).__name__}.{self.name}"


def enum_from(name: str, members: dict[str, int]) -> type:
    """Return an enum of the members and values of this version."""
    short = name.rpartition(".")[2]
    cls: Any = type(short, (_Enum,), {"__module__": "tensorrt", "__members__": {}})
    for member, value in members.items():
        item = cls.__new__(cls)
        item.name, item.value = member, value
        setattr(cls, member, item)
        cls.__members__[member] = item
    return cast("type", cls)
