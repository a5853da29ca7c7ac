"""What a pickle would do if it were loaded, found without loading it.

A pickle is a program for a stack machine. This machine runs it on descriptions of values instead of
values: nothing is imported, nothing is called, and memory stays in proportion to the file.
"""

from __future__ import annotations

import pickletools
import warnings
from dataclasses import dataclass, field
from typing import BinaryIO, NamedTuple

from facealign.errors import CheckpointError, UnsafeCheckpointError

__all__ = ["PickleSummary", "scan_pickle"]

# Measured 0.21 million for 930 tensors with their Adam state; SPIGA, the largest, has 1928 tensors.
_LARGEST_WORK = 2_000_000
_DEEPEST = 64  # that file reaches 8; hashing a tuple recurses in C without a guard

_FETCHES = frozenset({"GET", "BINGET", "LONG_BINGET"})
_STORES = frozenset({"PUT", "BINPUT", "LONG_BINPUT"})
_TUPLES = frozenset({"TUPLE", "TUPLE1", "TUPLE2", "TUPLE3"})
_EXTENSIONS = frozenset({"EXT1", "EXT2", "EXT4"})


@dataclass(frozen=True, slots=True)
class PickleSummary:
    """What one pickle holds.

    Attributes:
        globals: Names that it imports, such as ``posix.system``, in order of first use.
        integer: The value, if the pickle is one integer and nothing else.
    """

    globals: tuple[str, ...]
    integer: int | None


class _Value(NamedTuple):
    """A description of a value: levels below it, size when written out as a tree, its text."""

    depth: int = 0
    weight: int = 1
    text: str | None = None


_LEAF = _Value()


def scan_pickle(stream: BinaryIO, *, name: str) -> PickleSummary:
    """Return what the pickle at the stream's position holds; leaves the stream behind its end.

    Args:
        stream: Any seekable stream.
        name: File name, for messages.

    Raises:
        CheckpointError: If it is no whole pickle.
        UnsafeCheckpointError: If unpickling would take far more time or recursion than its size.
    """
    machine = _Machine(name)
    integer = None
    count = 0
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # pickletools unescapes names, loaders do not
            for opcode, argument, _ in pickletools.genops(stream):
                machine.step(opcode, argument)
                if isinstance(argument, int):
                    integer = argument
                count += 1
    except (ValueError, LookupError, OverflowError) as caught:
        raise CheckpointError(
            f"checkpoint `{name}` is truncated or corrupt: its pickle breaks off; "
            "download or copy it again"
        ) from caught
    only_an_integer = count == 3 and integer is not None  # PROTO, the integer, STOP
    return PickleSummary(tuple(machine.globals), integer if only_an_integer else None)


@dataclass(slots=True)
class _Machine:
    """The stack machine; `work` counts opcodes, and tuples as often as they are used."""

    name: str
    stack: list[_Value] = field(default_factory=list)
    marks: list[int] = field(default_factory=list)
    memo: dict[int, _Value] = field(default_factory=dict)
    globals: dict[str, None] = field(default_factory=dict)
    work: int = 0

    def step(self, opcode: pickletools.OpcodeInfo, argument: object) -> None:
        """Run one opcode."""
        self._spend(1)
        name = opcode.name
        if name == "MARK":
            self.marks.append(len(self.stack))
        elif name in _FETCHES:
            self._push(self.memo[int(str(argument))])
        elif name in _STORES:
            self.memo[int(str(argument))] = self.stack[-1]
        elif name == "MEMOIZE":
            self.memo[len(self.memo)] = self.stack[-1]
        elif name == "DUP":
            self._push(self.stack[-1])
        else:
            self._apply(opcode, argument)

    def _apply(self, opcode: pickletools.OpcodeInfo, argument: object) -> None:
        # What an opcode takes and gives is in pickletools' own table.
        taken = self._pop(opcode)
        self._note_globals(opcode.name, argument, taken)
        if not opcode.stack_after:
            return
        depth = 1 + max(value.depth for value in taken) if taken else 0
        if depth > _DEEPEST:
            raise UnsafeCheckpointError(
                f"checkpoint `{self.name}` nests values more than {_DEEPEST} deep, which no "
                "training script writes; do not use it, get it again from its authors"
            )
        if opcode.name in _TUPLES:
            self._push(_Value(depth, 1 + sum(value.weight for value in taken)))
        elif isinstance(argument, str):
            self.stack.append(_Value(text=argument))
        else:
            self.stack.append(_Value(depth) if depth else _LEAF)

    def _pop(self, opcode: pickletools.OpcodeInfo) -> list[_Value]:
        before = opcode.stack_before
        taken: list[_Value] = []
        fixed = len(before)
        if pickletools.markobject in before:
            start = self.marks.pop()
            taken = self.stack[start:]
            del self.stack[start:]
            fixed = before.index(pickletools.markobject)
        if opcode.name == "POP" and self.marks and self.marks[-1] == len(self.stack):
            self.marks.pop()  # POP also takes a mark off
            return taken
        return taken + [self.stack.pop() for _ in range(fixed)]

    def _note_globals(self, opcode_name: str, argument: object, taken: list[_Value]) -> None:
        if opcode_name in {"GLOBAL", "INST"}:
            self.globals[".".join(str(argument).split(" ", 1))] = None
        elif opcode_name == "STACK_GLOBAL":
            attribute, module = taken
            self.globals[f"{module.text or '?'}.{attribute.text or '?'}"] = None
        elif opcode_name in _EXTENSIONS:
            self.globals[f"copyreg extension {argument}"] = None

    def _push(self, value: _Value) -> None:
        """Push a value whose weight is paid for at each use: a memo bomb doubles it each time."""
        self._spend(value.weight)
        self.stack.append(value)

    def _spend(self, work: int) -> None:
        self.work += work
        if self.work > _LARGEST_WORK:
            raise UnsafeCheckpointError(
                f"checkpoint `{self.name}` is a pickle bomb: unpickling it takes more than "
                f"{_LARGEST_WORK:,} steps; do not use it, get it again from its authors"
            )
