from __future__ import annotations

import pytest

from facealign.runtime.threads import session_threads


@pytest.mark.parametrize(
    ("text", "threads"),
    [("3", 3), ("", 0), ("4,2", 0), ("all", 0)],
    ids=["a number", "empty", "nested levels", "a word"],
)
def test_session_threads_takes_one_number_of_the_environment(
    text: str, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", text)

    assert session_threads(None) == threads


def test_session_threads_is_0_where_nothing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)

    assert session_threads(None) == 0


def test_session_threads_takes_what_it_is_told_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3")

    assert session_threads(2) == 2
