"""What a benchmark found: the schema of ``bench.json``, which the report draws."""

from __future__ import annotations

import statistics

import msgspec

__all__ = [
    "SCHEMA_VERSION",
    "BenchResult",
    "Candidate",
    "CandidateResult",
    "FixedRateResult",
    "GpuTimes",
    "Latency",
    "LayerRow",
    "MachineState",
    "OperatorRow",
    "Ratio",
    "Roof",
    "Roofline",
]

SCHEMA_VERSION = 1


class _Part(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of every part of a result."""


class Candidate(_Part, frozen=True, kw_only=True):
    """What takes turns with the others: one graph on one engine at one batch size.

    `precision` is a graph of the bundle; PyTorch eager runs the module itself, in ``fp32``.
    """

    engine: str
    precision: str
    batch: int
    threads: int | None

    @property
    def name(self) -> str:
        """Return what tables call it, such as ``onnxruntime fp32``; the batch stands beside."""
        return f"{self.engine} {self.precision}"


class Latency(_Part, frozen=True, kw_only=True):
    """Times of one kind of run, in milliseconds per run of a whole batch.

    Attributes:
        count: Runs that were measured, without warm-up.
        p50_ms: And the other percentiles: by trtexec's rule, an element of the sorted times.
        median_ms: The usual median, of the two middle ones if `count` is even.
        cv_percent: Population standard deviation in percent of the mean.
    """

    count: int
    min_ms: float
    mean_ms: float
    median_ms: float
    max_ms: float
    p50_ms: float
    p90_ms: float
    p95_ms: float
    p99_ms: float
    cv_percent: float


class LayerRow(_Part, frozen=True, kw_only=True):
    """One layer of a TensorRT plan, as its own profiler has it.

    Attributes:
        name: As TensorRT calls it.
        operator: Of the graph's nodes in it, products first; ``TensorRT`` where it holds none.
        average_ms: Of one run; profiled runs are slower than others.
        median_ms: Likewise.
        percentage: Of the time of all layers.
    """

    name: str
    operator: str
    average_ms: float
    median_ms: float
    percentage: float


class GpuTimes(_Part, frozen=True, kw_only=True):
    """A run on a GPU taken apart by events on its stream, in trtexec's terms and settings.

    `latency` is host to device, compute and device to host added up, not the wall clock. `layers`
    are those of one run, and `no_layers` says why there are none.
    """

    latency: Latency
    enqueue_time: Latency
    h2d_latency: Latency
    gpu_compute_time: Latency
    d2h_latency: Latency
    cuda_graph: bool
    spin_wait: bool
    data_transfers: bool
    layers: tuple[LayerRow, ...] = ()
    no_layers: str | None = None


class CandidateResult(_Part, frozen=True, kw_only=True):
    """What was measured on one candidate.

    Attributes:
        forward: The engine alone, from crops in memory to outputs in memory.
        end_to_end: From a frame and boxes to landmarks: crop, copy, forward, decode.
        crop_ms: Median of cutting the crop alone, behind a forward pass; None where the GPU cuts it
            and of larger batches.
        forward_samples_ms: Every time that `forward` is made of, in the order of the runs.
        end_to_end_samples_ms: The same of `end_to_end`.
        throughput_per_s: Crops a second: batch by the mean of `forward`.
        open_s: From nothing to a session that has passed its self-test.
        peak_memory_mb: Largest resident memory of its own process, MB of 10^6 bytes.
        base_memory_mb: The same before the engine was opened.
        max_px: Largest distance of its landmarks from those of the FP32 graph in ONNX Runtime, in
            crop pixels, over the crops that were timed; None for that graph itself.
        p99_px: Its 99th percentile.
        gpu: Where it ran on one.
    """

    candidate: Candidate
    forward: Latency
    end_to_end: Latency | None
    crop_ms: float | None
    forward_samples_ms: tuple[float, ...]
    end_to_end_samples_ms: tuple[float, ...] = ()
    throughput_per_s: float
    open_s: float
    peak_memory_mb: float
    base_memory_mb: float
    max_px: float | None = None
    p99_px: float | None = None
    gpu: GpuTimes | None = None

    @property
    def overhead_ms(self) -> float | None:
        """Return what the session adds: end to end minus forward minus crop.

        Median over the runs, each end to end beside the forward that ran just before it: between
        medians of all runs the noise of a network is larger than what is looked for.
        """
        pairs = zip(self.end_to_end_samples_ms, self.forward_samples_ms, strict=False)
        added_ms = [end_to_end - forward for end_to_end, forward in pairs]
        if not added_ms or self.crop_ms is None:
            return None
        return statistics.median(added_ms) - self.crop_ms


class Ratio(_Part, frozen=True, kw_only=True):
    """How many times as fast a candidate is as another: mean over launches, 95 % interval.

    `names` are two of `Candidate.name` with the same batch: the faster one is not always the first.
    """

    name: str
    baseline: str
    batch: int
    times_as_fast: float
    low: float
    high: float


class FixedRateResult(_Part, frozen=True, kw_only=True):
    """Frames that come at a fixed rate, whether or not the one before is done.

    Attributes:
        latency: From when a frame was due to its landmarks, so that waiting counts.
        misses: Frames that took longer than `deadline_ms`, or were never begun: where the rate is
            too high, the run ends after twice its time.
        busy_percent: Time in which a frame was being run, of all time.
    """

    candidate: Candidate
    frames_per_s: float
    faces_per_frame: int
    frame_count: int
    deadline_ms: float
    misses: int
    latency: Latency
    busy_percent: float


class Roof(_Part, frozen=True, kw_only=True):
    """What this machine can do at most, measured in the same run.

    `peak_gflops` is the best rate of matrix products by type: ``fp32``, ``int8`` (two
    operations per multiply-accumulate); `bandwidth_gb_s` that of reading and writing memory far
    beyond the last cache.
    """

    peak_gflops: dict[str, float]
    bandwidth_gb_s: float
    threads: int


class OperatorRow(_Part, frozen=True, kw_only=True):
    """One kind of operator of a graph, per run.

    Attributes:
        operator: Of the graph; or what the engine added, such as ``ReorderOutput``; or ``other``,
            which is what lies between the kernels.
        count: Nodes of the graph, or kernels that the engine added.
        macs: Multiply-accumulates that it must do.
        bytes: Bytes that it must read and write if nothing stays in a cache; of what the engine
            merged into another, that other has them.
        time_ms: As the engine's own profile has it; None if the engine merged it into another.
        bound: ``compute`` or ``memory``: what would hold it up at the roof; ``none`` if it has
            nothing to do there.
        roof_ms: The time at the roof.
    """

    operator: str
    count: int
    macs: int
    bytes: int
    time_ms: float | None
    bound: str
    roof_ms: float


class Roofline(_Part, frozen=True, kw_only=True):
    """One graph under the roof.

    Attributes:
        operators: The slowest first, then what was merged; their times add up to `total_ms`.
        total_ms: Time of one run, measured without the profile where that was done; the times of
            operators are its parts in the proportion of the profile.
        roof_ms: The time at the roof, of all kernels one after the other.
        share: The time at the roof by the time measured: 0 to 1, and above where much of what is
            moved stays in a cache.
        profiled_ms: Time of one run while it was profiled.
    """

    candidate: Candidate
    operators: tuple[OperatorRow, ...]
    total_ms: float
    roof_ms: float
    share: float
    profiled_ms: float | None = None


class MachineState(_Part, frozen=True, kw_only=True):
    """What else went on while it was measured.

    Attributes:
        clocks: Governor, frequencies, power mode, before and after, where they can be read.
        load_before: Runnable processes, mean of a minute, before the run.
        foreign_cpu_percent: Time of all cores that went to other processes and to other guests of
            the host during the run.
        flags: Why the figures should not be trusted, each a sentence; empty on a quiet machine.
    """

    clocks: dict[str, str]
    load_before: float
    foreign_cpu_percent: float | None
    flags: tuple[str, ...]


class BenchResult(_Part, frozen=True, kw_only=True):
    """A whole run of ``facealign bench``.

    Attributes:
        bundle: Name of the bundle's folder.
        title: Of the network.
        manifest_sha256: Of the bundle's manifest, so that two results can be compared.
        facealign_version: Of the program.
        commit: Of the working tree it ran from, where it is one.
        made_at: UTC, ISO 8601.
        settings: Resolved options of the run, by name.
        machine: Facts about the machine, by name, for people.
        skipped: What could not be measured here, each a sentence that says what would.
    """

    schema_version: int
    bundle: str
    title: str
    manifest_sha256: str
    facealign_version: str
    commit: str | None
    made_at: str
    settings: dict[str, str]
    machine: dict[str, str]
    state: MachineState
    candidates: tuple[CandidateResult, ...]
    ratios: tuple[Ratio, ...]
    fixed_rate: tuple[FixedRateResult, ...] = ()
    roof: Roof | None = None
    rooflines: tuple[Roofline, ...] = ()
    skipped: tuple[str, ...] = ()
