"""How the pipeline tells whoever watches what it is doing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

__all__ = ["SILENT", "STAGES", "Progress", "Stage"]

STAGES = ("read", "detect", "load", "trace", "simplify", "verify", "write")


class Stage(Protocol):
    """One running stage, as the user sees it."""

    def say(self, text: str) -> None:
        """Set the line that stays behind when the stage is over."""

    def advance(self, done: int, *, total: int) -> None:
        """Move the bar by `done` of `total` units."""


class Progress(Protocol):
    """Whoever shows the stages."""

    def stage(self, name: str) -> AbstractContextManager[Stage]:
        """Enter a stage; leaving it without an error means that it passed."""
        ...


class _SilentStage:
    def say(self, text: str) -> None:
        pass

    def advance(self, done: int, *, total: int) -> None:
        pass


class _Silent:
    @contextmanager
    def stage(self, name: str) -> Iterator[Stage]:  # noqa: ARG002  # the protocol's signature
        yield _SilentStage()


SILENT: Progress = _Silent()
