from __future__ import annotations

from lean_import import import_cost


def test_import_cost_is_of_what_is_timed_and_not_of_what_was_there() -> None:
    busy = "sum(range(300_000))"

    before = import_cost(f"{busy}; import difflib", "import difflib")
    timed = import_cost("", f"{busy}; import difflib")

    assert before["modules"] == 0
    assert timed["modules"] > 0
    assert timed["cpu_s"] > before["cpu_s"]
