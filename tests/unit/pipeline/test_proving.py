"""Probes in processes of their own: what each kind of failure becomes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from facealign.pipeline import proving
from facealign.pipeline.proving import Proof, prove_all

NAME = "jinja2"  # a probe that imports one module, for which the tests put another
HANG = "import time\ntime.sleep(60)\n"
WORKS = """
__version__ = "9.9"
class Template:
    def __init__(self, text, autoescape): pass
    def render(self, word): return word
"""
_SOON_S = 20.0  # a busy machine takes its time to end what was killed


def prove(
    folder: Path, monkeypatch: pytest.MonkeyPatch, code: str, *, deadline_s: float = 20.0
) -> Proof:
    (folder / f"{NAME}.py").write_text(code)
    monkeypatch.syspath_prepend(folder)
    return prove_all([(NAME,)], deadline_s=deadline_s)[NAME]


@pytest.fixture
def number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Return where a library is to write a process's number; the deadline begins only then."""
    number = tmp_path / "number"
    started: list[subprocess.Popen[str]] = []

    class Popen(subprocess.Popen[str]):
        def wait(self, timeout: float | None = None) -> int:
            started.append(self)
            _wait_for(number)
            return super().wait(timeout)

    monkeypatch.setattr(subprocess, "Popen", Popen)
    yield number
    started[0].kill()
    subprocess.Popen.wait(started[0])


def writing(number: Path, pid: str) -> str:
    """Return code that writes a number all at once."""
    return (
        f"import os, pathlib\npart = pathlib.Path({str(number) + '.part'!r})\n"
        f"part.write_text(str({pid}))\npart.rename({str(number)!r})\n"
    )


def starting(number: Path, *, options: str = "") -> str:
    """Return code that starts a process and leaves it behind."""
    child = f"child = subprocess.Popen(['sleep', '60']{options})"
    return f"import subprocess\n{child}\n{writing(number, 'child.pid')}"


def test_a_library_that_works_passes_with_its_version() -> None:
    proof = prove_all([(NAME,)])[NAME]

    assert proof.passed
    assert proof.text[0].isdecimal()


_FAILURES = {
    "segfault": (
        f"import os, signal\nos.kill(os.getpid(), {int(signal.SIGSEGV)})\n",
        "the process died of SIGSEGV, when it was to import jinja2",
    ),
    "other CPU": (
        f"import os\nos.kill(os.getpid(), {int(signal.SIGILL)})\n",
        (
            "the process died of SIGILL (an instruction that this CPU does not have: it was built "
            "for another one), when it was to import jinja2"
        ),
    ),
    "exits": (
        "import os, sys\nsys.stderr.write('no\\nlicence\\n')\nsys.stderr.flush()\nos._exit(3)\n",
        "the process ended with code 3: licence, when it was to import jinja2",
    ),
    "raises": (
        "raise ImportError('libfoo.so.1:\\n not found')",
        "ImportError: libfoo.so.1: not found",
    ),
    "half a library": (
        "",
        "AttributeError: module 'jinja2' has no attribute 'Template'",
    ),
    "dies in a line": (
        "import os\nos.write(1, b'\\n@facealign {\"pass')\nos._exit(1)\n",
        "the process ended with code 1, when it was to import jinja2",
    ),
}


@pytest.mark.parametrize(("code", "text"), _FAILURES.values(), ids=_FAILURES.keys())
def test_a_library_that_fails_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str, text: str
) -> None:
    proof = prove(tmp_path, monkeypatch, code)

    assert not proof.passed
    assert proof.text == text


def test_a_library_that_hangs_is_ended_at_the_deadline(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: Path
) -> None:
    code = writing(number, "os.getpid()") + HANG

    proof = prove(tmp_path, monkeypatch, code, deadline_s=0.2)

    assert proof.text == "no answer in 0.2 s, when it was to import jinja2"
    assert (proof.passed, proof.is_late) == (False, True)
    assert 0.2 < proof.seconds < 30
    assert _is_gone_soon(int(number.read_text()))


def test_what_a_hanging_library_started_ends_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: Path
) -> None:
    prove(tmp_path, monkeypatch, starting(number) + HANG, deadline_s=0.1)

    assert _is_gone_soon(int(number.read_text()))


@pytest.mark.parametrize("end", [WORKS, "os._exit(3)"], ids=["works", "exits"])
def test_what_a_library_leaves_behind_is_ended_and_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: Path, end: str
) -> None:
    proof = prove(tmp_path, monkeypatch, starting(number) + end, deadline_s=50)

    assert proof.passed == (end == WORKS)
    assert not proof.is_late
    assert proof.seconds < 45
    assert _is_gone_soon(int(number.read_text()))


def test_a_process_that_leaves_its_group_holds_nothing_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: Path
) -> None:
    monkeypatch.setattr(proving, "_END_S", 0.2)
    code = starting(number, options=", start_new_session=True") + WORKS

    proof = prove(tmp_path, monkeypatch, code, deadline_s=50)

    os.kill(int(number.read_text()), signal.SIGKILL)
    assert (proof.passed, proof.text) == (True, "9.9")
    assert proof.seconds < 45


def test_a_process_that_cannot_be_ended_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: Path
) -> None:
    monkeypatch.setattr(proving, "_END_S", 0.1)
    monkeypatch.setattr(proving, "_kill", lambda _: None)  # as one that waits for a driver
    code = writing(number, "os.getpid()") + HANG

    proof = prove(tmp_path, monkeypatch, code, deadline_s=0.1)

    assert proof.text.startswith("no answer in 0.1 s, and it cannot be ended, when")


def test_what_a_library_prints_does_not_matter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = """
import sys
print("@facealign nonsense", "[1]", sep="\\n")
sys.stdout.write("no end of line")
"""

    proof = prove(tmp_path, monkeypatch, code + WORKS)

    assert (proof.passed, proof.text) == (True, "9.9")


def test_every_proof_is_told_while_others_run() -> None:
    told: list[str] = []

    prove_all([("jinja2",), ("no such engine",)], done=lambda proof: told.append(proof.name))

    assert sorted(told) == ["jinja2", "no such engine"]


def test_ctrl_c_does_not_wait_for_a_library_that_hangs(tmp_path: Path) -> None:
    number = tmp_path / "number"
    (tmp_path / f"{NAME}.py").write_text(writing(number, "os.getpid()") + HANG)
    code = f"""
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background ignores it
sys.path[:] = {[str(tmp_path), *sys.path]!r}
from facealign.pipeline.proving import prove_all
prove_all([({NAME!r},)], deadline_s=50)
"""
    started = time.perf_counter()
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        _wait_for(number)
        process.send_signal(signal.SIGINT)
        process.wait(timeout=30)

    assert time.perf_counter() - started < 45
    assert _is_gone_soon(int(number.read_text()))


def _wait_for(file: Path) -> None:
    ends = time.monotonic() + 2 * _SOON_S
    while not file.exists() and time.monotonic() < ends:
        time.sleep(0.01)


def _is_gone_soon(pid: int) -> bool:
    """Return whether a process ends within seconds; one that nobody has waited for yet has."""
    ends = time.monotonic() + _SOON_S
    while time.monotonic() < ends:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return True
        if state == "Z":
            return True
        time.sleep(0.05)
    return False
