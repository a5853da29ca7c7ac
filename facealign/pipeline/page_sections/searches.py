"""What was tried for each precision, as the bundle tells it."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from facealign.bundle import Bundle
from facealign.errors import IntegrityError
from facealign.report.page import (
    Block,
    Cell,
    Figure,
    Figures,
    Note,
    Section,
    Table,
    TradeOff,
    trade_off_svg,
)
from facealign.report.page.numbers import NONE, counted, interval, points, short, times

__all__ = ["REPORT_NAME", "Search", "Searches", "Trial", "read_searches", "search_section"]

REPORT_NAME = "reports/precision.json"


class _Limits(msgspec.Struct, frozen=True):
    p99_px: float | None
    change_points: float | None


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """One way to reduce a graph, and what it costs; names and units as in the verdict."""

    left: tuple[str, ...]
    share: float
    p99_px: float
    max_px: float
    nme_percent: float | None
    change_points: float
    change_interval: tuple[float, float]
    subset_change_points: dict[str, float] = {}
    onnxruntime_times_as_fast_as_fp32: float | None = None


class Search(msgspec.Struct, frozen=True):
    """Every trial of one precision; the last was chosen if it may ship."""

    may_ship: bool
    limits: _Limits
    trials: tuple[Trial, ...]


class Searches(msgspec.Struct, frozen=True, kw_only=True):
    """What the report needs of ``reports/precision.json``."""

    faces: str
    face_count: int
    nme_fp32_percent: float | None
    subset_sizes: dict[str, int] = {}
    precisions: dict[str, Search]


def read_searches(bundle: Bundle) -> Searches | None:
    """Return what was tried, or None if the bundle has FP32 alone.

    Raises:
        IntegrityError: If the file is not what facealign writes.
    """
    if REPORT_NAME not in bundle.manifest.files:
        return None
    try:
        return msgspec.json.decode(bundle.read_file(REPORT_NAME), type=Searches)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise IntegrityError(
            f"`{REPORT_NAME}` is malformed: {error}; compile the bundle again"
        ) from error


def search_section(searches: Searches | None) -> Section:
    """Return what each share of reduced work costs, and what it costs each subset."""
    blocks: tuple[Block, ...]
    if searches is None or not any(each.trials for each in searches.precisions.values()):
        text = (
            "No precision but FP32 was tried. With `facealign export CHECKPOINT --precision "
            "fp32,fp16,int8 --calibration FACES` every trial of its search would be here."
        )
        blocks = (Note(text, is_missing=True),)
    else:
        blocks = (_figure(searches), _trials(searches), *_subsets(searches))
    return Section("precision", "What each precision costs", blocks)


def _figure(searches: Searches) -> Figures:
    trials = {
        name: [
            TradeOff(
                share=trial.share,
                change_points=trial.change_points,
                low_points=trial.change_interval[0],
                high_points=trial.change_interval[1],
                is_chosen=_is_chosen(search, index),
            )
            for index, trial in enumerate(search.trials)
        ]
        for name, search in searches.precisions.items()
    }
    limits = {
        name: search.limits.change_points
        for name, search in searches.precisions.items()
        if search.limits.change_points is not None
    }
    caption = (
        f"Every trial on {searches.face_count} held-out faces ({searches.faces}): the share of the "
        "multiply-accumulates in the precision, and the change of NME with its 95 % interval. "
        "Where precisions have the same share they are drawn side by side."
    )
    return Figures(
        (_drawing(trade_off_svg(trials, limits=limits, y_label=_cost(searches)), caption),)
    )


def _drawing(svg: bytes, caption: str) -> Figure:
    alt = "Trials of each precision: cost over share; the table below has the same figures"
    return Figure(svg, "image/svg+xml", alt, caption)


def _cost(searches: Searches) -> str:
    kind = "drift" if searches.nme_fp32_percent is None else "change of NME"
    return f"{kind}, percentage points"


def _trials(searches: Searches) -> Table:
    rows: list[tuple[str | Cell, ...]] = []
    marked = set()
    for name, search in searches.precisions.items():
        for index, trial in enumerate(search.trials):
            if _is_chosen(search, index):
                marked.add(len(rows))
            rows.append(_row(name, search, index, trial))
    return Table(
        caption=(
            f"Trials, in the order of the search; the cost is the {_cost(searches)}. Speed: the "
            "same work in the form for CPUs, beside FP32 in ONNX Runtime, when it was compiled."
        ),
        columns=(
            "precision",
            "outcome",
            "share",
            "blocks left",
            "p99 px",
            "cost",
            "95 %",
            "limit",
            "speed",
        ),
        rows=tuple(rows),
        marked=frozenset(marked),
    )


def _row(name: str, search: Search, index: int, trial: Trial) -> tuple[str | Cell, ...]:
    limit = search.limits.change_points
    speed = trial.onnxruntime_times_as_fast_as_fp32
    return (
        name,
        "chosen" if _is_chosen(search, index) else "tried",
        f"{100 * trial.share:.1f} %",
        str(len(trial.left)),
        short(trial.p99_px),
        points(trial.change_points),
        interval(*map(points, trial.change_interval)),
        NONE if limit is None else f"{limit:g}",
        NONE if speed is None else f"{times(speed)}",
    )


def _is_chosen(search: Search, index: int) -> bool:
    return search.may_ship and index == len(search.trials) - 1


def _subsets(searches: Searches) -> tuple[Table, ...]:
    """Return the change of every subset, for the last trial of each precision."""
    last = {name: each.trials[-1] for name, each in searches.precisions.items() if each.trials}
    names = [name for name in searches.subset_sizes if _anywhere(name, last)]
    if not names:
        return ()
    rows: tuple[tuple[str | Cell, ...], ...] = tuple(
        (
            Cell(name, counted(searches.subset_sizes[name], "face")),
            *(points(trial.subset_change_points.get(name)) for trial in last.values()),
        )
        for name in names
    )
    caption = (
        "Change of NME by subset of the held-out faces, percentage points; last trial of each."
    )
    return (Table(caption, ("subset", *last), rows),)


def _anywhere(name: str, trials: Mapping[str, Trial]) -> bool:
    return any(name in trial.subset_change_points for trial in trials.values())
