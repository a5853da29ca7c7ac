"""A benchmark's result with everything in it, made up, for the tests of the report."""

from __future__ import annotations

import numpy as np

from facealign.bench.result import (
    SCHEMA_VERSION,
    BenchResult,
    Candidate,
    CandidateResult,
    FixedRateResult,
    GpuTimes,
    Latency,
    LayerRow,
    MachineState,
    OperatorRow,
    Ratio,
    Roof,
    Roofline,
)

__all__ = ["bench_result", "candidate_result", "latency_of", "samples_ms"]

_RUNS = 1500
_OPERATORS = {  # multiply-accumulates, bytes, share of the time
    "Conv": (150_000_000, 12_000_000, 0.55),
    "MatMul": (24_000_000, 9_000_000, 0.2),
    "GridSample": (400_000, 3_500_000, 0.08),
    "Gemm": (6_000_000, 1_200_000, 0.03),
    "LayerNormalization": (0, 900_000, 0.03),
    "Softmax": (0, 700_000, 0.04),
    "Add": (0, 2_500_000, 0.03),
    "Relu": (0, 2_000_000, 0.02),
    "Resize": (0, 1_800_000, 0.01),
    "Reshape": (0, 100_000, 0.002),
    "Transpose": (0, 800_000, 0.004),
    "Mul": (0, 500_000, 0.002),
    "Sub": (0, 300_000, 0.001),
    "Cast": (0, 400_000, 0.0005),
    "Concat": (0, 400_000, 0.0005),
    "Gather": (0, 200_000, 0.0),
}

_LAYERS = (  # name, operator, milliseconds
    ("__myl_Conv_0", "Conv", 0.3),
    ("__myl_Conv_1", "Conv", 0.12),
    ("__myl_Fc_2", "MatMul", 0.15),
    ("Reformatting CopyNode for Input Tensor 0 to __myl_Fc_2", "TensorRT", 0.03),
)


def samples_ms(median_ms: float, *, seed: int, count: int = _RUNS) -> tuple[float, ...]:
    """Return times with a long tail that slowly climb by 2 %."""
    rng = np.random.default_rng(seed)
    times = median_ms * (1 + 0.01 * rng.gamma(2.0, 1.0, count)) * np.linspace(1, 1.02, count)
    return tuple(times.tolist())


def latency_of(times_ms: tuple[float, ...]) -> Latency:
    """Return the statistics of times."""
    p50, p90, p95, p99 = np.percentile(times_ms, (50, 90, 95, 99), method="lower").tolist()
    return Latency(
        count=len(times_ms),
        min_ms=min(times_ms),
        mean_ms=float(np.mean(times_ms)),
        median_ms=float(np.median(times_ms)),
        max_ms=max(times_ms),
        p50_ms=p50,
        p90_ms=p90,
        p95_ms=p95,
        p99_ms=p99,
        cv_percent=float(100 * np.std(times_ms) / np.mean(times_ms)),
    )


def candidate_result(
    engine: str, precision: str, batch: int, median_ms: float, *, gpu: GpuTimes | None = None
) -> CandidateResult:
    """Return what was measured on one candidate; FP32 of ONNX Runtime is the reference."""
    forward = samples_ms(median_ms, seed=batch)
    whole = tuple(time + 0.12 + 0.4 * batch for time in forward)
    is_reference = (engine, precision) == ("onnxruntime", "fp32")
    return CandidateResult(
        candidate=Candidate(engine=engine, precision=precision, batch=batch, threads=2),
        forward=latency_of(forward),
        end_to_end=latency_of(whole),
        crop_ms=0.4 * batch,
        forward_samples_ms=forward,
        end_to_end_samples_ms=whole,
        throughput_per_s=1000 * batch / float(np.mean(forward)),
        open_s=0.21,
        peak_memory_mb=184.2,
        base_memory_mb=61.7,
        max_px=None if is_reference else 0.14,
        p99_px=None if is_reference else 0.00002,
        gpu=gpu,
    )


def bench_result(*, flags: tuple[str, ...] = (), bundle: str = "demo.bundle") -> BenchResult:
    """Return a whole result: two engines, four precisions, two batches, a GPU and all tables."""
    speeds = {"fp32": 8.0, "fp16": 8.9, "int8": 9.5, "int8-cpu": 4.4}
    candidates = [
        candidate_result("onnxruntime", name, batch, batch**0.9 * speed)
        for batch in (1, 4)
        for name, speed in speeds.items()
    ]
    candidates.append(candidate_result("pytorch", "fp32", 1, 24.0))
    candidates.append(candidate_result("tensorrt", "fp16", 1, 0.61, gpu=_gpu_times()))
    ratios = [_ratio(name, speeds["fp32"] / speeds[name], b) for b in (1, 4) for name in speeds]
    return BenchResult(
        schema_version=SCHEMA_VERSION,
        bundle=bundle,
        title="SLPT with 2 layers, 98 landmarks, width 48, HRNet (12, 16, 24, 40)",
        manifest_sha256="ab" * 32,
        facealign_version="0.1.0",
        commit="ec14c74 with changes",
        made_at="2026-11-21T21:30:00Z",
        settings={"engine": "onnxruntime,pytorch", "batch": "1,4", "seconds": "20", "threads": "2"},
        machine={
            "cpu": "AMD EPYC 7B13",
            "cpu flags": "avx2, fma, f16c",
            "cores": "2",
            "memory": "25.3 GB",
            "os": "Debian GNU/Linux 12, Linux 6.1",
            "python": "3.11.7",
        },
        state=MachineState(
            clocks={"governor": "performance", "frequency": "2.45 GHz before, 2.45 GHz after"},
            load_before=0.31,
            foreign_cpu_percent=1.4,
            flags=flags,
        ),
        candidates=tuple(candidates),
        ratios=tuple(each for each in ratios if each.name != each.baseline),
        fixed_rate=(_fixed_rate("fp32", misses=31), _fixed_rate("int8-cpu", misses=0)),
        roof=Roof(peak_gflops={"fp32": 118.0, "int8": 402.0}, bandwidth_gb_s=17.3, threads=2),
        rooflines=tuple(_roofline(each) for each in candidates[:4]),
        skipped=("`openvino` is not installed; `pip install openvino` would time it too.",),
    )


def _gpu_times() -> GpuTimes:
    def times(median_ms: float) -> Latency:
        return latency_of(samples_ms(median_ms, seed=7))

    return GpuTimes(
        latency=times(0.61),
        enqueue_time=times(0.02),
        h2d_latency=times(0.03),
        gpu_compute_time=times(0.56),
        d2h_latency=times(0.02),
        cuda_graph=True,
        spin_wait=False,
        data_transfers=True,
        layers=tuple(
            LayerRow(
                name=name, operator=operator, average_ms=ms, median_ms=ms, percentage=ms / 0.006
            )
            for name, operator, ms in _LAYERS
        ),
    )


def _ratio(precision: str, times: float, batch: int) -> Ratio:
    return Ratio(
        name=f"onnxruntime {precision}",
        baseline="onnxruntime fp32",
        batch=batch,
        times_as_fast=times,
        low=times * 0.97,
        high=times * 1.04,
    )


def _fixed_rate(precision: str, *, misses: int) -> FixedRateResult:
    return FixedRateResult(
        candidate=Candidate(engine="onnxruntime", precision=precision, batch=4, threads=2),
        frames_per_s=30.0,
        faces_per_frame=4,
        frame_count=600,
        deadline_ms=33.3,
        misses=misses,
        latency=latency_of(samples_ms(28.0, seed=3, count=600)),
        busy_percent=84.0,
    )


def _roofline(found: CandidateResult) -> Roofline:
    total_ms = found.forward.median_ms
    rows = tuple(
        OperatorRow(
            operator=name,
            count=3,
            macs=macs,
            bytes=size,
            time_ms=total_ms * share if share else None,
            bound="compute" if macs > size else "memory",
            roof_ms=0.25 * total_ms * share,
        )
        for name, (macs, size, share) in _OPERATORS.items()
    )
    return Roofline(
        candidate=found.candidate, operators=rows, total_ms=total_ms, roof_ms=2.1, share=0.26
    )
