from __future__ import annotations

import re
from pathlib import Path

import pytest
import readme_tables
from readme_tables import TABLES, main, with_tables
from result_file import RESULTS, provenance, result_of, write_result

MARKED = "before\n<!-- table: families -->\n<!-- end: families -->\nafter\n"


def test_readme_says_what_the_results_say(capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["--check"])

    assert capsys.readouterr().out == ""
    assert code == 0


def test_check_names_the_figure_that_readme_has_and_the_results_do_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, text = tmp_path / "README.md", with_tables(MARKED)
    figure = re.findall(r"\| \d+ ms \|", text)[0]
    path.write_text(text.replace(figure, "| 27000 ms |"), encoding="utf-8")

    code = main(["--check", "--readme", str(path)])

    assert code == 1
    assert figure in capsys.readouterr().out
    assert "| 27000 ms |" in path.read_text(encoding="utf-8")


def test_tables_are_written_between_the_markers_and_the_prose_stays(tmp_path: Path) -> None:
    path = tmp_path / "README.md"
    path.write_text(MARKED, encoding="utf-8")

    code = main(["--readme", str(path)])

    text = path.read_text(encoding="utf-8")
    assert code == 0
    assert text.startswith("before\n<!-- table: families -->\n| | GMAC of the graph |")
    assert text.endswith(" |\n<!-- end: families -->\nafter\n")


def test_tables_that_are_there_are_written_once() -> None:
    once = with_tables(MARKED)

    twice = with_tables(once)

    assert twice == once


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<!-- table: families -->\n", "a marker stands alone"),
        ("<!-- table: families -->\n<!-- end: int8 -->\n", "a marker stands alone"),
        ("<!-- table: none -->\n<!-- end: none -->\n", "there is no table 'none'; choose from"),
    ],
    ids=["no end", "another end", "unknown"],
)
def test_markers_that_mean_nothing_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, message: str
) -> None:
    path = tmp_path / "README.md"
    path.write_text(text, encoding="utf-8")

    code = main(["--readme", str(path)])

    assert code == 1
    assert message in capsys.readouterr().err


def test_a_table_without_its_result_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"family_latency\.json"):
        with_tables(MARKED, results=tmp_path)


def test_show_prints_one_table(capsys: pytest.CaptureFixture[str]) -> None:
    main(["--show", "int8"])

    assert capsys.readouterr().out == TABLES["int8"](RESULTS)


@pytest.mark.parametrize(
    ("figures", "message"),
    [
        (b'{"demo": {}}', "a result has no 'crops_per_s'; run its script again"),
        (b'"none"', "Expected `object`, got `str`"),
        (b"{", "Input data was truncated"),
    ],
    ids=["missing key", "another schema", "broken"],
)
def test_a_result_that_is_stale_or_broken_is_one_line(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    figures: bytes,
    message: str,
) -> None:
    result = result_of("How?", provenance(threads=1), settings={}, figures={"a": 1})
    path = write_result("batch_scaling", result, folder=tmp_path)
    path.write_bytes(re.sub(rb'(?s)("figures": ).*', rb"\1" + figures + b"}", path.read_bytes()))
    monkeypatch.setattr(readme_tables, "RESULTS", tmp_path)

    code = main(["--show", "batches"])

    assert code == 1
    assert message in capsys.readouterr().err
