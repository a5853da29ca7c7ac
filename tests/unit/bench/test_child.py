from __future__ import annotations

import os
import sys
import time

import pytest

from facealign.bench.child import Child
from facealign.bench.messages import Locate, Located, Ready, TakeTurn, TurnDone
from facealign.errors import BackendError, FacealignError, TargetError

_SOON_S = 30.0
_READY = '{"type": "Ready", "base_memory_mb": 5.0, "cpu_s": 0.5}'


def _child(*statements: str) -> Child:
    """Return a child that has read its first line and then does what the statements say."""
    code = "; ".join(["import os, sys, time", "input()", *statements])
    return Child(
        [sys.executable, "-S", "-c", code],
        b"{}",
        name="fake fp32 at batch 1",
        environment=dict(os.environ),
    )


def test_child_is_ready_when_it_says_so() -> None:
    with _child(f"print('{_READY}', flush=True)", "input()") as child:
        ready = child.wait_ready(deadline_s=_SOON_S)

    assert ready == Ready(base_memory_mb=5.0, cpu_s=0.5)
    assert 0 < child.open_s < _SOON_S
    assert child.cpu_s == 0.5


def test_child_knows_the_processor_time_of_its_last_turn() -> None:
    done = '{"type": "TurnDone", "times_ms": {}, "cpu_s": 1.5, "peak_memory_mb": 6.0}'
    with _child(f"print('{_READY}', flush=True)", "input()", f"print('{done}')") as child:
        child.wait_ready(deadline_s=_SOON_S)
        child.ask(TakeTurn(count=1), TurnDone, deadline_s=_SOON_S)

    assert child.cpu_s == 1.5


def test_child_answers_an_order() -> None:
    answer = '{"type": "Located", "landmarks_px": [[[1.0, 2.0]]]}'
    with _child(f"print('{_READY}', flush=True)", "input()", f"print('{answer}')") as child:
        child.wait_ready(deadline_s=_SOON_S)
        found = child.ask(Locate(), Located, deadline_s=_SOON_S)

    assert found.landmarks_px == (((1.0, 2.0),),)


@pytest.mark.parametrize(
    ("error", "expected"),
    [("TargetError", TargetError), ("first_of", FacealignError), ("Nothing", FacealignError)],
)
def test_child_raises_what_the_process_could_not_do(
    error: str, expected: type[FacealignError]
) -> None:
    failed = f'{{"type": "Failed", "error": "{error}", "text": "no plan; build one"}}'

    with _child(f"print('{failed}')") as child, pytest.raises(FacealignError) as raised:
        child.wait_ready(deadline_s=_SOON_S)

    assert type(raised.value) is expected
    assert str(raised.value) == "no plan; build one"


def test_child_that_dies_is_one_error_with_its_last_words() -> None:
    dies = ("print('it hurts', file=sys.stderr)", "sys.exit(3)")
    expected = (
        r"^the process that measures fake fp32 at batch 1 ended with exit code 3 after 'it hurts'; "
        "measure it alone to see more$"
    )

    with _child(*dies) as child, pytest.raises(BackendError, match=expected):
        child.wait_ready(deadline_s=_SOON_S)


def test_child_that_is_killed_may_have_run_out_of_memory() -> None:
    expected = r"ended with SIGKILL; it may have run out of memory, so try a smaller `--batch`$"

    with _child("os.kill(os.getpid(), 9)") as child, pytest.raises(BackendError, match=expected):
        child.wait_ready(deadline_s=_SOON_S)


def test_child_that_hangs_behind_its_last_word_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("facealign.bench.child._LEAVE_S", 0.1)
    closes = ("print('so long', file=sys.stderr, flush=True)", "os.close(1)", "time.sleep(60)")

    with (
        _child(*closes) as child,
        pytest.raises(BackendError, match=r"ended with SIGKILL after 'so long'; "),
    ):
        child.wait_ready(deadline_s=_SOON_S)


def test_child_that_has_died_before_it_is_asked_is_the_same_error() -> None:
    with _child(f"print('{_READY}', flush=True)", "sys.exit(4)") as child:
        child.wait_ready(deadline_s=_SOON_S)
        child._process.wait()

        with pytest.raises(BackendError, match=r"ended with exit code 4; measure it alone"):
            child.ask(TakeTurn(count=1), TurnDone, deadline_s=_SOON_S)


def test_child_that_hangs_is_given_up_and_ended() -> None:
    expected = (
        r"^fake fp32 at batch 1 gave no answer within 0 s; measure it alone, or with a smaller "
        "`--batch`$"
    )
    began = time.perf_counter()

    with _child("time.sleep(60)") as child, pytest.raises(BackendError, match=expected):
        child.wait_ready(deadline_s=0.2)

    assert child._process.returncode is not None
    assert time.perf_counter() - began < _SOON_S


@pytest.mark.parametrize(
    "printed",
    ["loading model ...", "{}", '{"type": "Located", "landmarks_px": []}'],
    ids=["text", "other JSON", "another answer"],
)
def test_child_that_prints_something_else_is_one_error(printed: str) -> None:
    expected = (
        r"^the process that measures fake fp32 at batch 1 printed '.+' where its answer should be; "
        "find what prints it, and measure again$"
    )

    with _child(f"print('{printed}')") as child, pytest.raises(BackendError, match=expected):
        child.wait_ready(deadline_s=_SOON_S)


def test_child_is_ended_when_the_parent_is_interrupted() -> None:
    child = _child("time.sleep(60)")

    with pytest.raises(KeyboardInterrupt), child:
        raise KeyboardInterrupt

    assert child._process.returncode is not None
