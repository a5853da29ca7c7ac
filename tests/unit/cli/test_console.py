from __future__ import annotations

import os
import pty
import re
import subprocess
from pathlib import Path

import pytest

from facealign.cli.console import ConsoleProgress, print_facts, print_json, say_items

LONG = "word " * 60


def run_in_terminal(*arguments: str | Path, columns: int, **environment: str) -> str:
    """Return what a terminal of that width shows of a command line."""
    ours, theirs = pty.openpty()
    kept = {"PATH": os.environ["PATH"], "TERM": "xterm-256color", "COLUMNS": str(columns)}
    process = subprocess.Popen(
        [*arguments], stdout=theirs, stderr=theirs, env={**kept, **environment}
    )
    os.close(theirs)
    shown = b"".join(iter(lambda: _read(ours), b""))
    os.close(ours)
    assert process.wait() == 0
    return shown.decode()


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # how Linux tells that the other side is closed
        return b""


def test_stages_line_up(capsys: pytest.CaptureFixture[str]) -> None:
    progress = ConsoleProgress(stages=("read", "self-test"))
    with progress.stage("read") as stage:
        stage.say("a [bold]file[/bold]")
    with progress.stage("self-test") as stage:
        stage.say("b")

    captured = capsys.readouterr()

    assert captured.out == ""
    assert re.fullmatch(
        r"\[1/2\] read         0\.\d s  ok       a \[bold\]file\[/bold\]\n"
        r"\[2/2\] self-test    0\.\d s  ok       b\n",
        captured.err,
    )


@pytest.mark.parametrize(
    ("error", "verdict"),
    [(ValueError, "FAILED"), (KeyboardInterrupt, "stopped"), (SystemExit, "stopped")],
    ids=["error", "ctrl_c", "sigterm"],
)
def test_stage_tells_failed_from_stopped(
    capsys: pytest.CaptureFixture[str], error: type[BaseException], verdict: str
) -> None:
    with pytest.raises(error), ConsoleProgress(stages=("read",)).stage("read"):
        raise error

    assert re.fullmatch(rf"\[1/1\] read    0\.\d s  {verdict}\n", capsys.readouterr().err)


def test_facts_line_up_and_are_not_wrapped_in_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    print_facts({"kind": "x", "long name": LONG, "each": {"a": "1", "bcd": "2"}, "two": ["p", "q"]})

    assert capsys.readouterr().out.splitlines() == [
        "kind       x",
        f"long name  {LONG}",
        "each       a    1",
        "           bcd  2",
        "two        p",
        "           q",
    ]


@pytest.mark.parametrize(
    ("count", "shown"),
    [
        (0, []),
        (20, [f"  {i}" for i in range(20)]),
        (23, [*(f"  {i}" for i in range(20)), "  ... and 3 more"]),
    ],
    ids=["none", "twenty", "more"],
)
def test_items_are_shown_up_to_twenty(
    capsys: pytest.CaptureFixture[str], count: int, shown: list[str]
) -> None:
    say_items([str(index) for index in range(count)])

    captured = capsys.readouterr()
    assert (captured.out, captured.err.splitlines()) == ("", shown)


def test_json_is_ascii_so_that_every_stdout_takes_it(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"image": "ü\udcff"})

    assert capsys.readouterr().out == '{\n  "image": "\\u00fc\\udcff"\n}\n'


def test_forced_colour_brings_no_bars_and_no_wrapping_to_a_pipe(
    command: tuple[str, ...], tiny_bundle: Path
) -> None:
    done = subprocess.run(
        [*command, "verify", tiny_bundle],
        env={**os.environ, "FORCE_COLOR": "1", "COLUMNS": "40"},
        capture_output=True,
        text=True,
        check=True,
    )

    assert len(done.stderr.splitlines()) == 2
    assert "\x1b[32mok" in done.stderr
    assert "━" not in done.stderr


def test_terminal_shows_long_facts_under_each_other(
    command: tuple[str, ...], tiny_bundle: Path
) -> None:
    shown = run_in_terminal(*command, "inspect", tiny_bundle, columns=72)

    plain = re.sub(r"\x1b\[\d*m", "", shown).splitlines()
    assert "\x1b[1mkind" in shown
    assert re.search(r"\n {29,}.*max", "\n".join(plain))
    assert max(len(line) for line in plain if str(tiny_bundle) not in line) <= 100


def test_terminal_without_colour_when_no_color_is_set(
    command: tuple[str, ...], tiny_bundle: Path
) -> None:
    shown = run_in_terminal(*command, "inspect", tiny_bundle, columns=80, NO_COLOR="1")

    assert "\x1b[" not in shown


def test_dumb_terminal_gets_no_bars(command: tuple[str, ...], tiny_bundle: Path) -> None:
    shown = run_in_terminal(*command, "verify", tiny_bundle, columns=80, TERM="dumb")

    assert "\x1b[" not in shown
    assert "━" not in shown
