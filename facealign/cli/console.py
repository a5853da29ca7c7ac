"""What the user sees: numbered stages with times and bars on stderr, results on stdout."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from facealign.pipeline.progress import STAGES, Stage

__all__ = ["ConsoleProgress", "print_json", "print_lines", "stderr"]

stderr = Console(stderr=True, highlight=False, soft_wrap=True)
_stdout = Console(highlight=False, soft_wrap=True)


class ConsoleProgress:
    """Shows the stages of a compile; bars only on a terminal."""

    def __init__(self, *, stages: tuple[str, ...] = STAGES) -> None:
        self._stages = stages

    @contextmanager
    def stage(self, name: str) -> Iterator[Stage]:
        """Show a stage while it runs, and one line when it has passed or failed."""
        number = f"[{self._stages.index(name) + 1}/{len(self._stages)}]"
        label = f"{number} {name:<8}"
        started = time.perf_counter()
        shown = _ConsoleStage()
        verdict = "[red]FAILED[/red]"
        try:
            with _bar() as bar:
                shown.attach(bar, label)
                yield shown
            verdict = "[green]ok[/green]"
        finally:
            seconds = time.perf_counter() - started
            stderr.print(f"{escape(label)} {escape(shown.text)}  {seconds:.1f} s  {verdict}")


class _ConsoleStage:
    def __init__(self) -> None:
        self.text = ""
        self._bar: Progress | None = None
        self._task: Any = None

    def attach(self, bar: Progress, label: str) -> None:
        self._bar = bar
        self._task = bar.add_task(escape(label), total=None)

    def say(self, text: str) -> None:
        self.text = text

    def advance(self, done: int, *, total: int) -> None:
        if self._bar is not None:
            self._bar.update(self._task, total=total, advance=done)


def _bar() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TimeElapsedColumn(),
        console=stderr,
        transient=True,
        disable=not stderr.is_terminal,
    )


def print_json(result: Mapping[str, Any]) -> None:
    """Print a result as one JSON object on stdout."""
    print(json.dumps(result, indent=2, ensure_ascii=False, default=str))


def print_lines(lines: Mapping[str, object]) -> None:
    """Print a result for people, one fact a line."""
    width = max(map(len, lines), default=0)
    for name, value in lines.items():
        _stdout.print(f"[bold]{escape(name):<{width}}[/bold]  {escape(str(value))}")
