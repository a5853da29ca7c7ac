"""What the user sees: numbered stages with times and bars on stderr, results on stdout."""

from __future__ import annotations

import json
import os
import sys
import textwrap
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Literal

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from facealign.cli.stopping import check_stopped, stop_code
from facealign.errors import OutputError
from facealign.pipeline.progress import STAGES, Stage

__all__ = ["ConsoleProgress", "print_facts", "print_json", "print_result", "say", "say_items"]

_MIN_TEXT_WIDTH = 30  # on a narrower terminal the columns go, not the words
_GAP = "  "
_MAX_ITEMS = 20  # of thousands of missing images, which would push the error off the screen
_VERDICT_WIDTH = len("stopped")
Style = Literal["bold", "dim", "red", "green", "yellow"]
_CODES: dict[Style, int] = {"bold": 1, "dim": 2, "red": 31, "green": 32, "yellow": 33}
# For what they know of the terminal, and for bars. Lines are written without them: rich reads
# markup in paths, breaks lines in pipes, and prints one twice when Ctrl-C falls into its printing.
_stderr = Console(stderr=True)
_stdout = Console()


class ConsoleProgress:
    """Shows stages in aligned columns; bars only on a terminal."""

    def __init__(self, *, stages: tuple[str, ...] = STAGES) -> None:
        self._stages = stages
        self._width = max(map(len, stages))
        self._passed = 0

    @contextmanager
    def stage(self, name: str) -> Iterator[Stage]:
        """Show a stage while it runs, and one line when it has passed or failed."""
        total = str(len(self._stages))
        self._passed = self._stages.index(name, self._passed) + 1  # two may have one name
        number = f"[{self._passed:>{len(total)}}/{total}]"
        label = f"{number} {name:<{self._width}}"
        started = time.perf_counter()
        shown = _ConsoleStage()
        verdict: str = "FAILED"
        style: Style = "red"
        try:
            with _bar() as bar:
                shown.attach(bar, label)
                yield shown
                check_stopped()
            verdict, style = "ok", "green"
        except BaseException as error:
            if isinstance(error, (KeyboardInterrupt, SystemExit)) or stop_code() is not None:
                verdict, style = "stopped", "yellow"
            raise
        finally:
            seconds = f"{time.perf_counter() - started:5.1f} s"
            columns = f"{label}{_GAP}{seconds}{_GAP}"
            indent = len(columns) + _VERDICT_WIDTH + len(_GAP)
            text = _wrapped(_printable(shown.text), _stderr, indent=indent)
            padding = " " * (_VERDICT_WIDTH - len(verdict)) + _GAP
            verdict = _styled(verdict, style, _stderr)
            _show(f"{columns}{verdict}{padding}{text}".rstrip())


class _ConsoleStage:
    def __init__(self) -> None:
        self.text = ""
        self._bar: Progress | None = None
        self._task = TaskID(0)

    def attach(self, bar: Progress, label: str) -> None:
        self._bar = bar
        self._task = bar.add_task(label, total=None)

    def say(self, text: str) -> None:
        self.text = text

    def advance(self, done: int, *, total: int) -> None:
        check_stopped()
        if self._bar is not None:
            self._bar.update(self._task, total=total, advance=done)


def _bar() -> Progress:
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TimeElapsedColumn(),
        console=_stderr,
        transient=True,
        disable=not _is_terminal(_stderr),
    )


def say(word: str, text: str, *, style: Style) -> None:
    """Print ``word: text`` as one line on stderr, the word in a style where there are colours."""
    _show(f"{_styled(f'{word}:', style, _stderr)} {_printable(text)}")


def say_items(items: Sequence[str]) -> None:
    """Print the first items of what a line abbreviates on stderr, and how many more there are."""
    for item in items[:_MAX_ITEMS]:
        _show(f"{_GAP}{_printable(item)}")
    if len(items) > _MAX_ITEMS:
        _show(f"{_GAP}... and {len(items) - _MAX_ITEMS} more")


def print_result(text: str) -> None:
    """Print a line on stdout at once, as whoever reads the pipe may wait for it.

    Raises:
        OutputError: If stdout cannot be written.
    """
    _emit(f"{text}\n")


def print_json(result: Mapping[str, Any]) -> None:
    """Print a result as one JSON object on stdout; ASCII, so that no encoding can break it."""
    _emit(json.dumps(result, indent=2, default=str) + "\n")


def print_facts(facts: Mapping[str, str | Sequence[str] | Mapping[str, str]]) -> None:
    """Print facts for people: a column of names, and beside it a text, several, or named texts."""
    width = max(map(len, facts), default=0)
    lines = []
    for name, value in facts.items():
        label = f"{name:<{width}}{_GAP}"
        for prefix, text in _rows(value):
            indent = len(label) + len(prefix)
            shown = _wrapped(_printable(text), _stdout, indent=indent)
            lines.append(f"{_styled(label, 'bold', _stdout)}{prefix}{shown}\n")
            label = " " * len(label)
    _emit("".join(lines))


def _rows(value: str | Sequence[str] | Mapping[str, str]) -> list[tuple[str, str]]:
    """Return ``(prefix, text)`` of every line; the prefixes of a mapping are equally wide."""
    if isinstance(value, str):
        return [("", value)]
    if isinstance(value, Mapping):
        width = max(map(len, value), default=0)
        return [(f"{_printable(key):<{width}}{_GAP}", text) for key, text in value.items()]
    return [("", text) for text in value]


def _emit(text: str) -> None:
    """Write to stdout and flush.

    Raises:
        OutputError: If that fails: the disk behind a redirection is full, or the pipe is closed.
    """
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except OSError as error:
        # What is left in the buffer must not fail a second time, when the interpreter ends.
        with open(os.devnull, "wb") as nowhere:  # noqa: PTH123  # no path of the user's
            os.dup2(nowhere.fileno(), sys.stdout.fileno())
        raise OutputError(
            f"cannot write the result to stdout: {error.strerror}; check where it is sent"
        ) from error


def _show(line: str) -> None:
    """Write a line to stderr; a compile does not fail because nobody can watch it."""
    with suppress(OSError):
        sys.stderr.write(f"{line}\n")
        sys.stderr.flush()


def _styled(text: str, style: Style, console: Console) -> str:
    """Return `text` in that style where there are colours: no pipe, no ``NO_COLOR``."""
    if console.color_system is None or console.no_color or not text.strip():
        return text
    return f"\x1b[{_CODES[style]}m{text}\x1b[0m"


def _is_terminal(console: Console) -> bool:
    """Return whether a person sees it; `Console.is_terminal` is true where colour is forced."""
    return console.file.isatty() and not console.is_dumb_terminal


def _wrapped(text: str, console: Console, *, indent: int) -> str:
    """Return `text` broken at spaces under its own beginning, on a terminal only."""
    if not _is_terminal(console):
        return text
    width = max(_MIN_TEXT_WIDTH, console.width - indent)
    lines = textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False)
    return f"\n{' ' * indent}".join(lines)


def _printable(text: str) -> str:
    """Return `text` in one line: control characters of a file name do nothing to the terminal."""
    return "".join(
        character if character.isprintable() else ascii(character)[1:-1] for character in text
    )
