"""A profile accounts for the whole run, and leaves nothing behind."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from facealign.errors import BackendError
from facealign.runtime import ort_profile
from facealign.runtime.ort_profile import (
    KernelTime,
    OrtProfile,
    best_ms,
    operator_times,
    profile_graph,
)


@pytest.fixture
def crops(rng: np.random.Generator) -> NDArray[np.uint8]:
    return rng.integers(0, 256, (2, 16, 16, 3), dtype=np.uint8)


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder where temporary files go."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def test_profile_graph_times_every_kernel_within_the_run(
    tiny_graph: bytes, crops: NDArray[np.uint8]
) -> None:
    profile = profile_graph(tiny_graph, crops, threads=1, seconds=0.0)

    kernel_ms = sum(kernel.time_ms for kernel in profile.kernels)
    assert 0 < kernel_ms <= profile.total_ms
    assert all(kernel.time_ms >= 0 for kernel in profile.kernels)
    assert profile.run_count == 4  # six, of which two warm up


def test_profile_graph_names_kernels_as_onnx_runtime_does(
    tiny_graph: bytes, crops: NDArray[np.uint8]
) -> None:
    profile = profile_graph(tiny_graph, crops, threads=1, seconds=0.0)

    operators = [kernel.operator for kernel in profile.kernels]
    assert operators[0] == "Cast"
    assert operators[-2:] == ["Gemm", "Reshape"]
    assert profile.kernels[0].input_types == ("uint8",)
    assert profile.kernels[-2].input_types[:2] == ("float", "float")


def test_profile_graph_gives_the_graph_that_ran(
    tiny_graph: bytes, crops: NDArray[np.uint8]
) -> None:
    profile = profile_graph(tiny_graph, crops, threads=1, seconds=0.0)

    again = profile_graph(profile.optimised, crops, threads=1, seconds=0.0)

    assert [kernel.operator for kernel in again.kernels] == [
        kernel.operator for kernel in profile.kernels
    ]


def test_profile_graph_leaves_no_file(
    tiny_graph: bytes, crops: NDArray[np.uint8], temporary: Path
) -> None:
    profile_graph(tiny_graph, crops, threads=1, seconds=0.0)

    assert list(temporary.iterdir()) == []


def test_profile_graph_leaves_no_file_when_the_run_fails(
    tiny_graph: bytes, temporary: Path
) -> None:
    wrong = np.zeros((1, 8, 8, 3), np.uint8)

    with pytest.raises(BackendError, match="cannot run the graph"):
        profile_graph(tiny_graph, wrong, threads=1)

    assert list(temporary.iterdir()) == []


def test_profile_graph_leaves_no_file_when_the_graph_is_refused(temporary: Path) -> None:
    with pytest.raises(BackendError, match="cannot open the graph"):
        profile_graph(b"no graph", np.zeros((1, 8, 8, 3), np.uint8), threads=1)

    assert list(temporary.iterdir()) == []


def test_profile_graph_says_that_there_is_no_room_for_it(
    tiny_graph: bytes, crops: NDArray[np.uint8], temporary: Path
) -> None:
    temporary.rmdir()

    with pytest.raises(BackendError, match=r"a profile cannot be written \(.*; free space in `/"):
        profile_graph(tiny_graph, crops, threads=1)


def test_profile_passes_over_what_disturbs_one_run(tmp_path: Path) -> None:
    # Five runs of 100 us, of which two warm up; a kernel of 30 us takes 5030 in one of the others.
    kernels_us = [900, 900, 30, 5030, 30]
    events = [event for i, each in enumerate(kernels_us) for event in _run_events(i, each)]
    path = tmp_path / "profile.json"
    path.write_text(json.dumps(events), encoding="utf-8")

    profile = ort_profile._read(path, b"")

    assert [(kernel.name, kernel.time_ms) for kernel in profile.kernels] == [("a", 0.03)]
    assert profile.total_ms == pytest.approx(0.1)
    assert profile.run_count == 3


def _run_events(number: int, kernel_us: int) -> list[dict[str, object]]:
    start = 10_000 * number
    arguments = {"op_name": "Conv", "input_type_shape": [{"float": [1]}]}
    name = "a_kernel_time"
    return [
        {"cat": "Node", "name": name, "ts": start + 20, "dur": kernel_us, "args": arguments},
        {"cat": "Session", "name": "model_run", "ts": start, "dur": kernel_us + 70, "args": {}},
    ]


@pytest.mark.parametrize(
    "text",
    ['[{"cat": "Node", ', "", "[]", "{}", '[{"cat": "Node"}]', "null"],
    ids=["cut off", "nothing", "no runs", "no list", "no fields", "null"],
)
def test_profile_that_is_cut_off_is_an_error(text: str, tmp_path: Path) -> None:
    path = tmp_path / "profile.json"
    path.write_text(text, encoding="utf-8")

    with pytest.raises(BackendError, match=r"left a profile that cannot be read .*; free space"):
        ort_profile._read(path, b"")


def test_operator_times_add_up_kernels_of_one_kind() -> None:
    kernels = (
        KernelTime("a", "Conv", 1.0, ()),
        KernelTime("b", "FusedConv", 2.5, ()),
        KernelTime("c", "Conv", 3.0, ()),
    )
    profile = OrtProfile(kernels=kernels, total_ms=7.0, run_count=1, optimised=b"")

    times = operator_times(profile)

    assert list(times.items()) == [("Conv", 4.0), ("FusedConv", 2.5)]


def test_best_ms_is_a_time(tiny_graph: bytes, crops: NDArray[np.uint8]) -> None:
    assert 0 < best_ms(tiny_graph, {"image": crops}, threads=1, seconds=0.0) < 1e4


def test_best_ms_says_that_a_graph_cannot_run(tiny_graph: bytes) -> None:
    with pytest.raises(BackendError, match="cannot run the graph"):
        best_ms(tiny_graph, {"image": np.zeros((1, 8, 8, 3), np.uint8)}, threads=1, seconds=0.0)
