from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from facealign.cli.console import ConsoleProgress
from facealign.cli.stopping import catch_signals, check_stopped


@pytest.fixture
def caught_signals() -> Iterator[None]:
    """Catch signals as a command does, and put the former handlers back."""
    kept = [(each, signal.getsignal(each)) for each in (signal.SIGINT, signal.SIGTERM)]
    pipe = signal.getsignal(signal.SIGPIPE)
    catch_signals()
    yield
    catch_signals()  # forgets what was received
    for each, handler in (*kept, (signal.SIGPIPE, pipe)):
        signal.signal(each, handler)


def swallow_signal() -> None:
    """Do as a bare ``except`` in a library does."""
    with suppress(SystemExit):
        signal.raise_signal(signal.SIGINT)


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["ctrl_c", "sigterm"]
)
@pytest.mark.usefixtures("caught_signals")
def test_signal_exits_with_its_code(number: signal.Signals, code: int) -> None:
    with pytest.raises(SystemExit, match=str(code)):
        signal.raise_signal(number)


@pytest.mark.usefixtures("caught_signals")
def test_stage_stops_after_a_signal_that_a_library_swallowed() -> None:
    with pytest.raises(SystemExit, match="130"), ConsoleProgress(stages=("a",)).stage("a"):
        swallow_signal()


@pytest.mark.usefixtures("caught_signals")
def test_stage_is_stopped_not_failed_when_a_signal_comes_out_as_another_error(
    capsys: pytest.CaptureFixture[str],
) -> None:
    swallow_signal()

    with pytest.raises(ValueError, match="half"), ConsoleProgress(stages=("a",)).stage("a"):
        raise ValueError("half imported")

    assert capsys.readouterr().err.endswith("stopped\n")


def test_signal_that_comes_out_as_another_error_is_not_called_a_defect(
    run_cli: Callable[..., tuple[int, str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_path: Path) -> None:
        swallow_signal()
        raise ValueError("half imported")

    monkeypatch.setattr("facealign.cli.run.image_paths", fail)

    result = run_cli("run", "any.bundle", "any.png")

    assert result == (130, "", "error: interrupted; nothing is half-written\n")


@pytest.mark.usefixtures("caught_signals")
def test_nothing_stops_without_a_signal() -> None:
    check_stopped()
