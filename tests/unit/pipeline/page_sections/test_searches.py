from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from facealign.bundle import Manifest, read_bundle, write_bundle
from facealign.errors import IntegrityError
from facealign.pipeline.page_sections.searches import (
    REPORT_NAME,
    Searches,
    read_searches,
    search_section,
)
from facealign.pipeline.precision_report import json_from_reductions
from facealign.pipeline.reduction import Reduction
from facealign.report.page import Figures, Note, Table, TradeOff
from tests.unit.pipeline.small_network import judge_of, network


def trial(share: float, change: float, *, pose: float = 0.2) -> dict[str, object]:
    return {
        "left": ["block-00"] if share < 0.9 else [],
        "share": share,
        "p99_px": 0.5,
        "max_px": 2.0,
        "drift_percent": 0.1,
        "nme_percent": 5.8,
        "change_points": change,
        "change_interval": [change - 0.02, change + 0.03],
        "subset_change_points": {"pose": pose},
        "onnxruntime_times_as_fast_as_fp32": 1.05,
    }


def facts(*trials: dict[str, object], may_ship: bool = True) -> dict[str, object]:
    search = {
        "may_ship": may_ship,
        "made_by": "facealign",
        "limits": {"p99_px": None, "change_points": 0.1},
        "kept_in_fp32": [],
        "trials": list(trials),
        "blocks": {},
    }
    return {
        "faces": "wflw test",
        "crops_from": "box",
        "face_count": 80,
        "normalisation": "corners",
        "nme_fp32_percent": 5.7,
        "subset_sizes": {"pose": 13},
        "precisions": {"int8": search},
    }


def bundle_with(folder: Path, manifest: Manifest, files: dict[str, bytes], report: bytes) -> Path:
    return write_bundle(folder / "b.bundle", manifest, {**files, REPORT_NAME: report})


def test_report_of_a_bundle_is_read(
    tmp_path: Path, tiny_manifest: Manifest, tiny_files: dict[str, bytes]
) -> None:
    report = msgspec.json.encode(facts(trial(0.9, 0.3), trial(0.6, 0.05)))

    searches = read_searches(read_bundle(bundle_with(tmp_path, tiny_manifest, tiny_files, report)))

    assert searches is not None
    assert [each.share for each in searches.precisions["int8"].trials] == [0.9, 0.6]


def test_bundle_of_fp32_alone_has_no_report(tiny_bundle: Path) -> None:
    assert read_searches(read_bundle(tiny_bundle)) is None


@pytest.mark.parametrize("report", [b"\xff", b"[]", b'{"faces": 3}', b"{" * 3000])
def test_malformed_report_is_refused_in_one_line(
    tmp_path: Path, tiny_manifest: Manifest, tiny_files: dict[str, bytes], report: bytes
) -> None:
    bundle = read_bundle(bundle_with(tmp_path, tiny_manifest, tiny_files, report))

    with pytest.raises(IntegrityError, match=r"`reports/precision.json` is malformed: .*again"):
        read_searches(bundle)


def test_what_the_search_writes_can_be_read() -> None:
    judge = judge_of(network())
    written = json_from_reductions(judge, ())

    assert msgspec.json.decode(written, type=Searches).faces == judge.held_out.faces
    assert {"graph", "limits", "search"} <= set(Reduction.__dataclass_fields__)


def test_last_trial_is_marked_as_chosen_if_it_ships() -> None:
    searches = msgspec.convert(facts(trial(0.9, 0.3), trial(0.6, 0.05)), Searches)

    figures, trials, subsets = search_section(searches).blocks

    assert isinstance(figures, Figures)
    assert isinstance(trials, Table)
    assert trials.marked == {1}
    assert [row[:4] for row in trials.rows] == [
        ("int8", "tried", "90.0 %", "0"),
        ("int8", "chosen", "60.0 %", "1"),
    ]
    assert isinstance(subsets, Table)
    assert [row[1] for row in subsets.rows] == ["+0.200"]


def test_figure_has_the_share_the_cost_and_its_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: dict[str, list[TradeOff]] = {}

    def draw(trials: dict[str, list[TradeOff]], **_options: object) -> bytes:
        drawn.update(trials)
        return b"<svg/>"

    monkeypatch.setattr("facealign.pipeline.page_sections.searches.trade_off_svg", draw)

    search_section(msgspec.convert(facts(trial(0.9, 0.3)), Searches))

    assert drawn == {"int8": [TradeOff(0.9, 0.3, 0.3 - 0.02, 0.3 + 0.03, is_chosen=True)]}


def test_nothing_is_marked_if_nothing_ships() -> None:
    searches = msgspec.convert(facts(trial(0.9, 0.3), may_ship=False), Searches)

    table = search_section(searches).blocks[1]

    assert isinstance(table, Table)
    assert table.marked == frozenset()
    assert table.rows[0][1] == "tried"


@pytest.mark.parametrize(
    "searches", [None, msgspec.convert(facts(), Searches)], ids=["fp32_alone", "no_trial"]
)
def test_without_a_trial_the_section_says_what_would_fill_it(searches: Searches | None) -> None:
    (note,) = search_section(searches).blocks

    assert isinstance(note, Note)
    assert note.is_missing
    assert "--precision" in note.text
