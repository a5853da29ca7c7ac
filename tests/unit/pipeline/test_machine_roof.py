"""The roof is what ONNX Runtime reaches here, in every type that it has."""

from __future__ import annotations

import pytest

from facealign.bench.result import Roof
from facealign.errors import BackendError
from facealign.pipeline import machine_roof
from facealign.pipeline.machine_roof import measure_roof, roof_note
from facealign.runtime.ort_profile import KernelTime, OrtProfile


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Measure products and arrays that take no time."""
    monkeypatch.setattr(machine_roof, "_SIZES", (64,))
    for name in ("_FP32_SECONDS", "_INT8_SECONDS"):
        monkeypatch.setattr(machine_roof, name, 0.0)
    monkeypatch.setattr(machine_roof, "bandwidth_gb_s", lambda **_: 12.5)


@pytest.mark.usefixtures("small")
def test_measure_roof_has_every_type_that_onnx_runtime_has_a_kernel_for() -> None:
    roof = measure_roof(threads=1)

    assert set(roof.peak_gflops) - {"fp16"} == {"fp32", "int8"}
    assert min(roof.peak_gflops.values()) > 0.01
    assert (roof.bandwidth_gb_s, roof.threads) == (12.5, 1)


@pytest.mark.usefixtures("small")
def test_measure_roof_takes_the_threads_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")

    assert measure_roof(threads=None).threads == 1


@pytest.mark.usefixtures("small")
def test_measure_roof_takes_the_fastest_integer_kernel_there_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    times = iter([8.0, 4.0, 2.0])  # FP32, then the integer kernels, of which the last is absent

    def timed(*_: object, **__: object) -> float:
        try:
            return next(times)
        except StopIteration as error:
            raise BackendError("there is no such kernel") from error

    monkeypatch.setattr(machine_roof, "best_ms", timed)
    monkeypatch.setattr(machine_roof, "_has_fp16", lambda: False)

    roof = measure_roof(threads=1)

    assert roof.peak_gflops == {"fp32": 2 * 64**3 / 8e6, "int8": 2 * 64**3 / 2e6}


@pytest.mark.parametrize(
    ("types", "has"),
    [(("float16", "float16"), True), (("float", "float"), False)],
    ids=["a kernel", "casts around FP32"],
)
@pytest.mark.usefixtures("small")
def test_measure_roof_has_fp16_only_by_a_kernel_of_its_own(
    types: tuple[str, ...], has: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    kernels = (KernelTime("y", "MatMul", 1.0, types),)
    profile = OrtProfile(kernels=kernels, total_ms=1.0, run_count=1, optimised=b"")
    monkeypatch.setattr(machine_roof, "profile_graph", lambda *_, **__: profile)

    assert ("fp16" in measure_roof(threads=1).peak_gflops) is has


@pytest.mark.parametrize(
    ("peaks", "note"),
    [
        (["fp32", "int8", "fp16"], None),
        (["fp32", "int8"], "there is no roof for FP16: ONNX Runtime has no such matrix product"),
        (["fp32"], "there is no roof for FP16 and INT8: "),
    ],
    ids=["all", "no fp16", "fp32 alone"],
)
def test_roof_note_says_what_is_absent(peaks: list[str], note: str | None) -> None:
    roof = Roof(peak_gflops=dict.fromkeys(peaks, 1.0), bandwidth_gb_s=1.0, threads=1)

    found = roof_note(roof)

    assert (found or "").startswith(note or "")
    assert (found is None) == (note is None)
