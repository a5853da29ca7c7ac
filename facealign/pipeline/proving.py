"""Runs probes in processes of their own: one that crashes or hangs takes nothing down with it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from threading import Lock, Thread
from typing import IO

__all__ = ["DEADLINE_S", "Proof", "prove_all"]

DEADLINE_S = 30.0  # importing torch took 5 s here on a busy machine; a hang is forever
_MARK = "@facealign "  # before every line of ours: libraries write to stdout too
_CHILD = """
import json, sys
sys.path[:] = json.loads(sys.argv[1])
from facealign.pipeline.probes import main
main(sys.argv[2:])
"""
_WORKERS = 2
_END_S = 5.0  # for what was killed; a process that waits for a driver that hangs cannot be
# What a library does that was built for another machine, or runs out of memory.
_SIGNALS = {
    "SIGILL": "an instruction that this CPU does not have: it was built for another one",
    "SIGKILL": "it was killed, as the system does when memory runs out",
}


@dataclass(frozen=True, slots=True)
class Proof:
    """What came of a probe.

    Attributes:
        name: Of the probe.
        passed: Whether it did all that it should.
        text: What it showed, or in one line why not.
        seconds: That it took, the start of Python included.
        is_late: Whether it failed for want of an answer: the machine may be busy.
        is_unfit: Whether it works, and the bundle that it was proved on does not on it.
    """

    name: str
    passed: bool
    text: str
    seconds: float
    is_late: bool = False
    is_unfit: bool = False


def prove_all(
    probes: Sequence[tuple[str, ...]],
    *,
    deadline_s: float = DEADLINE_S,
    done: Callable[[Proof], None] = lambda _: None,
) -> dict[str, Proof]:
    """Return the proof of every probe by name; two run at a time.

    Args:
        probes: Name and arguments of each, those that take longest first.
        deadline_s: After so long one has failed, and is ended with all that it started.
        done: Told about each, in the calling thread.
    """
    running = _Running()
    with ThreadPoolExecutor(_WORKERS) as pool:
        try:
            futures = [
                pool.submit(_prove, probe, deadline_s=deadline_s, running=running)
                for probe in probes
            ]
            proofs = {}
            for future in futures:
                proof = future.result()
                proofs[proof.name] = proof
                done(proof)
        finally:  # Ctrl-C must not wait for a library that hangs
            running.end_all()
    return proofs


@dataclass(slots=True)
class _Running:
    """Processes under way; after `end_all` none is started any more."""

    processes: set[subprocess.Popen[str]] = field(default_factory=set)
    is_over: bool = False
    lock: Lock = field(default_factory=Lock)

    def start(self, command: list[str]) -> subprocess.Popen[str] | None:
        with self.lock:
            if self.is_over:
                return None
            process = subprocess.Popen(  # noqa: S603  # this interpreter, on a module of ours
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                errors="replace",
                start_new_session=True,  # so that what it starts can be ended with it
            )
            self.processes.add(process)
            return process

    def end(self, process: subprocess.Popen[str]) -> None:
        with self.lock:
            self.processes.discard(process)
            _kill(process)

    def end_all(self) -> None:
        with self.lock:
            self.is_over = True
            for process in self.processes:
                _kill(process)


def _prove(probe: tuple[str, ...], *, deadline_s: float, running: _Running) -> Proof:
    started = time.perf_counter()
    command = [sys.executable, "-c", _CHILD, json.dumps(sys.path), *probe]
    try:
        process = running.start(command)
    except OSError as error:
        return Proof(probe[0], passed=False, text=f"no process: {error.strerror}", seconds=0.0)
    if process is None:
        return Proof(probe[0], passed=False, text="was not started", seconds=0.0)
    proof = _end_of(process, probe[0], deadline_s=deadline_s, running=running)
    return replace(proof, seconds=time.perf_counter() - started)


def _end_of(
    process: subprocess.Popen[str], name: str, *, deadline_s: float, running: _Running
) -> Proof:
    """Wait for a probe, end what is left of it, and return what came of it; `seconds` is 0."""
    said, errors = _Heard(process.stdout), _Heard(process.stderr)
    try:
        is_late = _is_late(process, deadline_s)
    finally:
        running.end(process)
    late = f"no answer in {deadline_s:g} s" if is_late else ""
    if _is_late(process, _END_S):
        late += ", and it cannot be ended"
    death = _death(process.returncode or 0, errors.text())
    lines = [line for line in map(_ours, said.text().splitlines()) if line]
    last = lines[-1] if lines else {}
    passed, text = _outcome(last, late=late, death=death)
    is_unfit = last.get("unfit") is True and not late
    return Proof(name, passed=passed, text=text, seconds=0, is_late=is_late, is_unfit=is_unfit)


def _is_late(process: subprocess.Popen[str], deadline_s: float) -> bool:
    try:
        process.wait(deadline_s)
    except subprocess.TimeoutExpired:
        return True
    return False


class _Heard:
    """What a process writes, while it does: what it has started may keep the pipe open for long."""

    def __init__(self, stream: IO[str] | None) -> None:
        self._stream = stream
        self._lines: list[str] = []
        self._thread = Thread(target=self._listen, daemon=True)
        self._thread.start()

    def text(self) -> str:
        self._thread.join(_END_S)
        return "".join(self._lines)

    def _listen(self) -> None:
        if self._stream is not None:
            with self._stream as stream:
                for line in stream:
                    self._lines.append(line)


def _outcome(last: dict[str, object], *, late: str, death: str) -> tuple[bool, str]:
    """Return whether a probe passed, and what it showed, or why not and what it was doing."""
    if "passed" in last and not late:
        return last["passed"] is True, str(last.get("text", ""))
    doing = f", when it was to {last['step']}" if "step" in last else ""
    return False, f"{late or death}{doing}"


def _ours(line: str) -> dict[str, object]:
    """Return what a line of the probe says; nothing for a line of a library."""
    if not line.startswith(_MARK):
        return {}
    try:
        found = json.loads(line[len(_MARK) :])
    except ValueError:  # it died in the middle of it
        return {}
    return found if isinstance(found, dict) else {}


def _death(code: int, errors: str) -> str:
    """Return how a process ended that has not said what came of its probe."""
    if code < 0:
        name = next((each.name for each in signal.Signals if each == -code), f"signal {-code}")
        why = _SIGNALS.get(name)
        return f"the process died of {name}" + (f" ({why})" if why else "")
    last = [line.strip() for line in errors.splitlines() if line.strip()][-1:]
    return f"the process ended with code {code}" + (f": {last[0]}" if last else "")


def _kill(process: subprocess.Popen[str]) -> None:
    """End a process and what it started, also where it has ended and left that behind."""
    try:
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)  # its number is not another's so soon
        else:
            process.kill()
    except OSError:
        return
