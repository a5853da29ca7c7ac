"""The roofline is arithmetic that adds up."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace as replace_struct

from facealign.bench.result import Candidate, LayerRow, OperatorRow, Roof, Roofline
from facealign.bench.roofline import (
    OTHER,
    KernelWork,
    layer_times,
    layers_by_plan,
    peak_of,
    roofline,
    side_by_side,
    times_of,
)
from tests.unit.report_data import bench_result

ROOF = Roof(peak_gflops={"fp32": 100.0, "int8": 400.0}, bandwidth_gb_s=10.0, threads=2)
CANDIDATE = Candidate(engine="onnxruntime", precision="fp32", batch=1, threads=2)
CONV = KernelWork("Conv", ("Relu",), macs=10**9, bytes=10**6, kind="fp32", time_ms=40.0)
ADD = KernelWork("Add", (), macs=0, bytes=5 * 10**6, kind="fp32", time_ms=2.0)
REORDER = KernelWork("ReorderOutput", (), macs=0, bytes=0, kind="fp32", time_ms=1.0)


def test_roofline_takes_the_peak_where_it_is_the_slower() -> None:
    row = _row(_roofline([CONV]), "Conv")

    assert row.roof_ms == pytest.approx(2e9 / 100e9 * 1e3)
    assert row.bound == "compute"


def test_roofline_takes_the_bandwidth_where_it_is_the_slower() -> None:
    row = _row(_roofline([ADD]), "Add")

    assert row.roof_ms == pytest.approx(5e6 / 10e9 * 1e3)
    assert row.bound == "memory"


@pytest.mark.parametrize(
    ("kind", "roof_ms"),
    [("fp32", 20.0), ("int8", 5.0), ("fp16", 20.0)],
    ids=["fp32", "int8", "no peak, so fp32"],
)
def test_roofline_uses_the_peak_of_the_type(kind: str, roof_ms: float) -> None:
    line = _roofline([replace(CONV, kind=kind)])

    assert line.roof_ms == pytest.approx(roof_ms)
    assert 2e9 / peak_of(kind, ROOF) / 1e6 == pytest.approx(roof_ms)


def test_roofline_adds_up_kernel_by_kernel() -> None:
    # Together they would be bound by compute and hide the memory of the second.
    light = replace(CONV, macs=0, bytes=10**8)

    row = _row(_roofline([CONV, light]), "Conv")

    assert row.roof_ms == pytest.approx(20.0 + 10.0)
    assert (row.count, row.macs, row.bytes) == (2, 10**9, 101 * 10**6)
    assert row.bound == "compute"


def test_roofline_gives_what_was_merged_no_time() -> None:
    row = _row(_roofline([CONV, CONV]), "Relu")

    assert (row.count, row.time_ms, row.roof_ms, row.bound) == (2, None, 0.0, "none")


def test_roofline_gives_an_operator_the_time_of_those_that_run_alone() -> None:
    alone = KernelWork("Relu", (), macs=0, bytes=10**6, kind="fp32", time_ms=0.5)

    row = _row(_roofline([CONV, alone]), "Relu")

    assert (row.count, row.time_ms) == (2, 0.5)


def test_roofline_says_that_nothing_bounds_what_the_engine_adds() -> None:
    row = _row(_roofline([REORDER]), "ReorderOutput")

    assert (row.count, row.roof_ms, row.bound) == (1, 0.0, "none")


def test_roofline_shows_what_lies_between_the_kernels() -> None:
    line = _roofline([CONV, ADD], profiled_ms=50.0)

    assert _row(line, OTHER).time_ms == pytest.approx(8.0)


def test_roofline_spreads_the_measured_time_in_the_proportion_of_the_profile() -> None:
    line = _roofline([CONV, ADD], profiled_ms=50.0, measured_ms=25.0)

    assert _row(line, "Conv").time_ms == pytest.approx(20.0)
    assert _row(line, OTHER).time_ms == pytest.approx(4.0)
    assert (line.total_ms, line.profiled_ms) == (25.0, 50.0)


def test_roofline_lists_the_slowest_first() -> None:
    line = _roofline([REORDER, ADD, CONV], profiled_ms=43.5)

    names = [row.operator for row in line.operators]
    assert names == ["Conv", "Add", "ReorderOutput", OTHER, "Relu"]


@pytest.mark.parametrize(
    ("profiled_ms", "measured_ms"), [(0.0, None), (1.0, 0.0), (math.nan, None)]
)
def test_roofline_refuses_times_that_are_none(
    profiled_ms: float, measured_ms: float | None
) -> None:
    with pytest.raises(ValueError, match=r"times must be above 0, got "):
        _roofline([CONV], profiled_ms=profiled_ms, measured_ms=measured_ms)


KERNELS = st.builds(
    KernelWork,
    operator=st.sampled_from(["Conv", "Add", "MatMul", "ReorderOutput"]),
    merged=st.lists(st.sampled_from(["Relu", "Add", "Mul"]), max_size=3).map(tuple),
    macs=st.integers(0, 10**10),
    bytes=st.integers(0, 10**9),
    kind=st.sampled_from(["fp32", "int8", "fp16"]),
    time_ms=st.floats(0, 1e3),
)
TIMES = st.floats(1e-3, 1e4)


@settings(deadline=None)  # a machine that others use stops for longer than an example takes
@given(kernels=st.lists(KERNELS, max_size=12), profiled_ms=TIMES, measured_ms=TIMES)
def test_roofline_neither_loses_nor_invents(
    kernels: list[KernelWork], profiled_ms: float, measured_ms: float
) -> None:
    line = _roofline(kernels, profiled_ms=profiled_ms, measured_ms=measured_ms)

    rows = line.operators
    assert math.fsum(row.time_ms or 0.0 for row in rows) == pytest.approx(measured_ms)
    assert sum(row.macs for row in rows) == sum(kernel.macs for kernel in kernels)
    assert sum(row.bytes for row in rows) == sum(kernel.bytes for kernel in kernels)
    assert sum(row.count for row in rows) == sum(1 + len(kernel.merged) for kernel in kernels)
    assert line.roof_ms == pytest.approx(math.fsum(row.roof_ms for row in rows))
    assert line.share == pytest.approx(line.roof_ms / measured_ms)


@settings(deadline=None)
@given(kernel=KERNELS, factor=st.floats(1.0, 100.0))
def test_roof_time_never_grows_with_a_faster_machine(kernel: KernelWork, factor: float) -> None:
    faster = Roof(
        peak_gflops={name: factor * value for name, value in ROOF.peak_gflops.items()},
        bandwidth_gb_s=factor * ROOF.bandwidth_gb_s,
        threads=2,
    )

    slow = _roofline([kernel]).roof_ms
    fast = roofline(CANDIDATE, [kernel], faster, profiled_ms=50.0).roof_ms

    assert fast * factor == pytest.approx(slow)


def test_side_by_side_puts_the_largest_time_first_and_nothing_where_it_does_not_run() -> None:
    rows = side_by_side({"fp32": {"Conv": 3.0, "Add": 1.0}, "int8": {"QLinearConv": 4.0}})

    assert [row.operator for row in rows] == ["QLinearConv", "Conv", "Add"]
    assert rows[0].times_ms == {"fp32": 0.0, "int8": 4.0}


def test_times_of_leaves_out_what_was_merged() -> None:
    times = times_of(_roofline([CONV, ADD], profiled_ms=42.0))

    assert times == {"Conv": 40.0, "Add": 2.0, OTHER: 0.0}


def test_layer_times_add_up_by_operator() -> None:
    layers = [
        LayerRow(name=name, operator=name[0], average_ms=ms, median_ms=9.0, percentage=1.0)
        for name, ms in (("a1", 0.5), ("b1", 0.125), ("a2", 0.25))
    ]

    assert layer_times(layers) == {"a": 0.75, "b": 0.125}


def test_layers_by_plan_are_those_of_the_smallest_batch() -> None:
    result = bench_result()
    plan = result.candidates[-1]
    assert plan.gpu is not None
    wide = replace_struct(plan, candidate=replace_struct(plan.candidate, batch=4))
    without = replace_struct(
        plan,
        candidate=replace_struct(plan.candidate, precision="int8"),
        gpu=replace_struct(plan.gpu, layers=()),
    )

    found = layers_by_plan(replace_struct(result, candidates=(*result.candidates, wide, without)))

    assert found == {plan.candidate: plan.gpu.layers}
    assert len(plan.gpu.layers) == 4


def _roofline(
    kernels: list[KernelWork], *, profiled_ms: float = 50.0, measured_ms: float | None = None
) -> Roofline:
    return roofline(CANDIDATE, kernels, ROOF, profiled_ms=profiled_ms, measured_ms=measured_ms)


def _row(line: Roofline, operator: str) -> OperatorRow:
    return next(row for row in line.operators if row.operator == operator)
