"""Probes in processes of their own: what each kind of failure becomes."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from facealign.pipeline.proving import Proof, prove_all

NAME = "jinja2"  # a probe that imports one module, for which the tests put another
HANG = "import time\ntime.sleep(60)\n"
_SOON_S = 20.0  # a busy machine takes its time to end what was killed


def prove(
    folder: Path, monkeypatch: pytest.MonkeyPatch, code: str, *, deadline_s: float = 20.0
) -> Proof:
    (folder / f"{NAME}.py").write_text(code)
    monkeypatch.syspath_prepend(folder)
    return prove_all([(NAME,)], deadline_s=deadline_s)[NAME]


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
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    proof = prove(tmp_path, monkeypatch, HANG, deadline_s=3.0)

    assert proof.text == "no answer in 3 s, when it was to import jinja2"
    assert proof.seconds < 30


def test_what_a_hanging_library_started_ends_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = tmp_path / "number"
    code = (
        f"import subprocess\nchild = subprocess.Popen(['sleep', '60'])\n"
        f"open({str(number)!r}, 'w').write(str(child.pid))\n{HANG}"
    )

    prove(tmp_path, monkeypatch, code, deadline_s=4.0)

    assert _is_gone_soon(int(number.read_text()))


def test_what_a_library_prints_does_not_matter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = """
import sys
print("@facealign nonsense", "[1]", sep="\\n")
sys.stdout.write("no end of line")
__version__ = "9.9"
class Template:
    def __init__(self, text, autoescape): pass
    def render(self, word): return word
"""

    proof = prove(tmp_path, monkeypatch, code)

    assert (proof.passed, proof.text) == (True, "9.9")


def test_every_proof_is_told_while_others_run() -> None:
    told: list[str] = []

    prove_all([("jinja2",), ("no such engine",)], done=lambda proof: told.append(proof.name))

    assert sorted(told) == ["jinja2", "no such engine"]


def test_ctrl_c_does_not_wait_for_a_library_that_hangs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / f"{NAME}.py").write_text(HANG)
    monkeypatch.syspath_prepend(tmp_path)
    code = f"""
import sys
sys.path[:] = {sys.path!r}
from facealign.pipeline.proving import prove_all
print("ready", flush=True)
prove_all([({NAME!r},)], deadline_s=50)
"""
    started = time.perf_counter()
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL) as process:  # fmt: skip
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        process.wait(timeout=30)

    assert time.perf_counter() - started < 30


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
