"""Which thread has which slot: it is idle, taken for a run, or submitted until it is collected."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from facealign.errors import UsageError
from facealign.runtime.tensorrt.slot import Slot

__all__ = ["SlotPool", "Ticket"]

_numbers = itertools.count()  # of all engines: a ticket of one is none of another


@dataclass(frozen=True, slots=True)
class Ticket:
    """Stands for crops that were submitted."""

    number: int


class SlotPool:
    """The open slots of an engine, for any number of threads; one thread is in a slot at a time."""

    def __init__(self, slots: Sequence[Slot]) -> None:
        self._slots = tuple(slots)
        self._changed = threading.Condition()
        self._idle = list(slots)
        self._submitted: dict[Ticket, tuple[Slot, int]] = {}  # and the thread that submitted
        self._waiting: set[int] = set()  # threads
        self._is_closed = False

    @contextmanager
    def taken(self, wanted: Slot | None = None) -> Iterator[Slot]:
        """Yield a slot that nobody else is in, and take it back.

        Args:
            wanted: Which one; any if None. Others' runs are waited for.

        Raises:
            UsageError: If the pool is closed, or nobody is left who could end the wait.
        """
        with self._lent(self._take(wanted)) as slot:
            yield slot

    def submit(self, start: Callable[[Slot], None]) -> Ticket:
        """Start a run in a slot and keep it for `collected`; raises what `taken` and `start` do."""
        slot = self._take()
        try:
            start(slot)
            return self._kept(slot)
        except BaseException:
            self._give_back(slot, has_failed=True)
            raise

    @contextmanager
    def collected(self, ticket: Ticket) -> Iterator[Slot]:
        """Yield the slot of a run that was submitted, and take it back.

        Raises:
            UsageError: If the pool is closed, or has nothing for the ticket.
        """
        with self._changed:
            self._check_open()
            slot, _ = self._submitted.pop(ticket, (None, 0))
        if slot is None:
            raise UsageError(f"there is nothing to collect for {ticket}; collect it once")
        with self._lent(slot):
            yield slot

    def close(self) -> bool:
        """Wait until nobody is in a slot, and lend none again; False if that was done before."""
        with self._changed:
            if self._is_closed:
                return False
            self._is_closed = True
            self._idle.extend(slot for slot, _ in self._submitted.values())
            self._submitted.clear()
            self._changed.notify_all()
            self._changed.wait_for(lambda: len(self._idle) == len(self._slots))
        return True

    def _take(self, wanted: Slot | None = None) -> Slot:
        candidates = self._slots if wanted is None else (wanted,)
        with self._changed:
            self._check_open()
            while not (free := [slot for slot in self._idle if slot in candidates]):
                self._wait(candidates)
                self._check_open()
            slot = free[-1]  # the last to be used has the most graphs
            self._idle.remove(slot)
            return slot

    def _wait(self, candidates: tuple[Slot, ...]) -> None:
        """Wait for a change.

        Raises:
            UsageError: If all candidates wait to be collected by this thread, or by others that
                wait here themselves: each would wait for ever.
        """
        me = threading.get_ident()
        stuck = {me, *self._waiting}
        held = {slot for slot, owner in self._submitted.values() if owner in stuck}
        if held.issuperset(candidates):
            raise UsageError(
                f"{len(held)} of {len(self._slots)} runs wait to be collected; collect one first"
            )
        self._waiting.add(me)
        try:
            self._changed.wait()
        finally:
            self._waiting.discard(me)

    def _kept(self, slot: Slot) -> Ticket:
        with self._changed:
            self._check_open()  # who closes waits for this slot
            ticket = Ticket(next(_numbers))
            self._submitted[ticket] = (slot, threading.get_ident())
            self._changed.notify_all()
            return ticket

    @contextmanager
    def _lent(self, slot: Slot) -> Iterator[Slot]:
        has_failed = True
        try:
            yield slot
            has_failed = False
        finally:
            self._give_back(slot, has_failed=has_failed)

    def _give_back(self, slot: Slot, *, has_failed: bool) -> None:
        """Make a slot idle; what a failure left in it is waited for."""
        try:
            if has_failed:
                slot.abandon()
        finally:
            with self._changed:
                self._idle.append(slot)
                self._changed.notify_all()

    def _check_open(self) -> None:
        if self._is_closed:
            raise UsageError("the engine is closed; open a new one")
