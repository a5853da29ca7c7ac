from __future__ import annotations

import pytest

from facealign.runtime.threads import threads_of_environment


@pytest.mark.parametrize(
    ("text", "threads"),
    [("3", 3), ("", 0), ("4,2", 0), ("all", 0)],
    ids=["a number", "empty", "nested levels", "a word"],
)
def test_threads_of_environment_takes_one_number(
    text: str, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", text)

    assert threads_of_environment() == threads


def test_threads_of_environment_is_0_where_nothing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)

    assert threads_of_environment() == 0
