"""What the machine could do at most, and which share of it each graph reaches."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from facealign.bench.result import (
    BenchResult,
    Candidate,
    LayerRow,
    OperatorRow,
    Roof,
    Roofline,
)
from facealign.bench.roofline import layer_times, layers_by_plan
from facealign.report.page import (
    Block,
    Cell,
    Figure,
    Figures,
    Note,
    RoofPoint,
    Section,
    Table,
    roofline_svg,
)
from facealign.report.page.numbers import NONE, counted, short

__all__ = ["roofline_section"]

_MOST_OPERATORS = 14  # rows; the rest is one row together

# Of an operator: its time in milliseconds, None if it was merged, and what qualifies it.
_Column = Mapping[str, tuple[float | None, str]]


def roofline_section(result: BenchResult) -> Section:
    """Return a figure for each graph, and operators side by side, of graphs and of plans."""
    title = "Share of what the machine can do"
    if result.roof is None or not result.rooflines:
        text = (
            "No roofline was measured. Where `onnx` is installed (`facealign[compile]`), "
            "`facealign bench` measures what this machine can do at most and draws every operator "
            "under it."
        )
        note = Note(text, is_missing=True)
        return Section("roofline", title, (note, *_operators(result)))
    figures = [_figure(each, result.roof) for each in result.rooflines]
    drawn = tuple(each for each in figures if each is not None)
    blocks: list[Block] = [_shares(result.rooflines, result.roof)]
    if drawn:
        blocks.append(Figures(drawn))
    return Section("roofline", title, (*blocks, *_operators(result)))


def _name(candidate: Candidate) -> str:
    return f"{candidate.name}, batch {candidate.batch}"


def _shares(found: tuple[Roofline, ...], roof: Roof) -> Table:
    peaks = ", ".join(f"{short(peak)} GFLOP/s {name}" for name, peak in roof.peak_gflops.items())
    return Table(
        f"The roof, measured in the same run with {counted(roof.threads, 'thread')}: {peaks}; "
        f"memory {short(roof.bandwidth_gb_s)} GB/s.",
        ("graph", "measured, ms", "at the roof, ms", "share reached"),
        tuple(
            (
                _name(each.candidate),
                short(each.total_ms),
                short(each.roof_ms),
                f"{100 * each.share:.0f} %",
            )
            for each in found
        ),
    )


def _figure(found: Roofline, roof: Roof) -> Figure | None:
    """Return the figure, or None if no operator has both products and a time."""
    times_ms = sum(row.time_ms or 0.0 for row in found.operators)
    points = [_point(row, times_ms) for row in found.operators if _can_be_drawn(row)]
    if not points or not roof.peak_gflops:
        return None
    name, others = _name(found.candidate), len(found.operators) - len(points)
    left_out = f" {others} kinds of operators without products are not drawn." if others else ""
    return Figure(
        roofline_svg(points, peak_gflops=roof.peak_gflops, bandwidth_gb_s=roof.bandwidth_gb_s),
        "image/svg+xml",
        f"Roofline of {name}: it reaches {100 * found.share:.0f} % of the roof; slowest "
        f"operator {max(points, key=lambda each: each.time_share).label}",
        f"{name}: {100 * found.share:.0f} % of the roof. A larger mark takes more of the "
        f"time; the further below the lines, the more there is to gain.{left_out}",
    )


def _can_be_drawn(row: OperatorRow) -> bool:
    return row.macs > 0 and row.bytes > 0 and row.time_ms is not None and row.time_ms > 0


def _point(row: OperatorRow, times_ms: float) -> RoofPoint:
    time_ms = row.time_ms or 0.0  # above 0, see `_can_be_drawn`
    return RoofPoint(
        label=row.operator,
        intensity=2 * row.macs / row.bytes,
        gflops=2 * row.macs / time_ms / 1e6,
        time_share=time_ms / times_ms,
        bound=row.bound,
    )


def _operators(result: BenchResult) -> tuple[Table, ...]:
    """Return the time of every kind of operator, graphs and plans side by side."""
    columns = {_name(each.candidate): _column_of_graph(each) for each in result.rooflines}
    plans = layers_by_plan(result)
    columns |= {_name(plan): _column_of_plan(layers) for plan, layers in plans.items()}
    if not columns:
        return ()
    text = (
        "Time of each kind of operator, ms per run, as the engine's own profile has it; below it "
        "how many there are and the share of the roof that they reach, above 100 % where much "
        "stays in a cache. The row other is what lies between them. A dash: the engine has merged "
        "it into another, or the graph has none."
    )
    if plans:
        text += " TensorRT times its layers one by one, so that they add up to more than a run."
    return (Table(text, ("operator", *columns), _rows(list(columns.values()))),)


def _column_of_graph(found: Roofline) -> _Column:
    return {row.operator: (row.time_ms, _note(row)) for row in found.operators}


def _note(row: OperatorRow) -> str:
    notes = [counted(row.count, "node")] if row.count else []
    if row.time_ms and row.bound != "none":
        notes.append(f"{100 * row.roof_ms / row.time_ms:.0f} %")
    return ", ".join(notes)


def _column_of_plan(layers: Sequence[LayerRow]) -> _Column:
    counts = Counter(layer.operator for layer in layers)
    return {
        name: (time_ms, counted(counts[name], "layer"))
        for name, time_ms in layer_times(layers).items()
    }


def _rows(columns: Sequence[_Column]) -> tuple[tuple[str | Cell, ...], ...]:
    longest = {
        name: max(_time(own, name) for own in columns)
        for name in dict.fromkeys(name for own in columns for name in own)
    }
    names = sorted(longest, key=lambda name: -longest[name])
    shown, rest = names[:_MOST_OPERATORS], names[_MOST_OPERATORS:]
    cells: list[tuple[str | Cell, ...]] = [
        (name, *(_cell(own, name) for own in columns)) for name in shown
    ]
    if rest:
        sums = (sum(_time(own, name) for name in rest) for own in columns)
        cells.append((f"{len(rest)} others", *(short(each) for each in sums)))
    return tuple(cells)


def _time(column: _Column, name: str) -> float:
    return column.get(name, (None, ""))[0] or 0.0


def _cell(column: _Column, name: str) -> str | Cell:
    time_ms, note = column.get(name, (None, ""))
    return NONE if time_ms is None else Cell(short(time_ms), note)
