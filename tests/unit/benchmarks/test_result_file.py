from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest
from result_file import RESULTS, provenance, read_result, result_of, write_result


@pytest.mark.parametrize("name", sorted(path.stem for path in RESULTS.glob("*.json")))
def test_every_result_has_machine_commit_date_and_figures(name: str) -> None:
    result = read_result(name)

    assert result.question.endswith("?")
    assert result.date.startswith("20")
    assert result.where.commit
    assert result.where.processor
    assert result.where.libraries
    assert result.figures


def test_a_result_is_read_as_it_was_written(tmp_path: Path) -> None:
    result = result_of(
        "How much?\nMore.", provenance(threads=3), settings={"rounds": 2}, figures={"a": 1.5}
    )

    write_result("try", result, folder=tmp_path)

    assert read_result("try", folder=tmp_path) == result
    assert result.question == "How much?"
    assert result.where.threads == 3
    assert "numpy" in result.where.libraries


def test_a_result_of_another_schema_is_refused(tmp_path: Path) -> None:
    result = result_of("How much?", provenance(threads=1), settings={}, figures={})
    path = write_result("try", result, folder=tmp_path)
    path.write_text(json.dumps({**json.loads(path.read_text("utf-8")), "models": {}}), "utf-8")

    with pytest.raises(msgspec.ValidationError, match="unknown field `models`"):
        read_result("try", folder=tmp_path)
