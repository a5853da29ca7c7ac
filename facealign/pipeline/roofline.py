"""The graphs of a bundle under the roof of this machine, operator by operator."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from facealign.bench.result import Candidate, Roof, Roofline
from facealign.bench.roofline import KernelWork, roofline
from facealign.bundle import Bundle
from facealign.errors import UsageError
from facealign.export.graph import bytes_from_graph, graph_from_bytes
from facealign.export.kernels import Kernel, kernels_of, named_graph
from facealign.export.traffic import GraphWork, NodeWork, graph_work
from facealign.pipeline.machine_roof import measure_roof
from facealign.runtime.ort_profile import KernelTime, OrtProfile, profile_graph
from facealign.runtime.patch_crop_body import with_patch_crop_body

__all__ = ["graph_roofline", "rooflines"]

_ENGINE = "onnxruntime"
_SECONDS = 0.7  # of each graph's profile


def rooflines(
    bundle: Bundle,
    precisions: Iterable[str],
    *,
    threads: int | None,
    batch: int,
    measured_ms: Mapping[str, float],
) -> tuple[Roof, tuple[Roofline, ...]]:
    """Return the roof of this machine in ONNX Runtime, and graphs of a bundle under it.

    Args:
        bundle: Its golden crops are run.
        precisions: Of graphs in the bundle.
        threads: As in `session_threads`.
        batch: Crops in a run.
        measured_ms: Time of a run by precision, measured without a profile; where there is none,
            the profile's own time counts.

    Raises:
        UsageError: If the bundle has no graph of a precision.
        BackendError: If ONNX Runtime cannot run or profile a graph.
    """
    graphs = bundle.manifest.graphs
    wanted = list(precisions)
    for precision in wanted:
        if precision not in graphs:
            known = ", ".join(sorted(graphs))
            raise UsageError(f"the bundle has no {precision!r} graph; choose from {known}")
    roof = measure_roof(threads=threads)
    golden = bundle.golden().crops
    crops = np.resize(golden, (batch, *golden.shape[1:]))
    lines = []
    for precision in wanted:
        graph = bundle.read_file(graphs[precision].file)
        candidate = Candidate(engine=_ENGINE, precision=precision, batch=batch, threads=threads)
        measured = measured_ms.get(precision)
        lines.append(graph_roofline(graph, crops, candidate, roof, measured_ms=measured))
    return roof, tuple(lines)


def graph_roofline(
    graph: bytes,
    crops: NDArray[np.uint8],
    candidate: Candidate,
    roof: Roof,
    *,
    measured_ms: float | None = None,
) -> Roofline:
    """Return one graph under the roof.

    Args:
        graph: ONNX, with one input.
        crops: ``(B, S, S, 3)`` uint8 BGR; what is run.
        candidate: Says how many threads it is run with.
        roof: Of this machine and as many threads.
        measured_ms: Time of a run without a profile, if it was measured.
    """
    named = named_graph(graph_from_bytes(with_patch_crop_body(graph)))
    work = graph_work(named, batch=len(crops))
    profile = profile_graph(
        bytes_from_graph(named), crops, threads=candidate.threads, seconds=_SECONDS
    )
    return roofline(
        candidate,
        list(_kernel_works(work, profile)),
        roof,
        profiled_ms=profile.total_ms,
        measured_ms=measured_ms,
    )


def _kernel_works(work: GraphWork, profile: OrtProfile) -> Iterator[KernelWork]:
    kernels = kernels_of(work, graph_from_bytes(profile.optimised))
    for kernel, timed in _pairs(kernels, profile.kernels):
        nodes = [work.nodes[key] for key in kernel.keys]
        operator = _leader(kernel, nodes)
        led = [node for node in nodes if node.operator == operator]
        heaviest = max(nodes, key=lambda node: node.macs, default=None)
        yield KernelWork(
            operator=operator,
            merged=tuple(node.operator for node in nodes if node.operator != operator),
            macs=sum(node.macs for node in nodes),
            bytes=work.merged_bytes(kernel.keys),
            kind="fp32" if heaviest is None else heaviest.kind,
            time_ms=timed.time_ms,
            count=len(led) or 1,
        )


def _pairs(
    kernels: Sequence[Kernel], times: Sequence[KernelTime]
) -> Iterator[tuple[Kernel, KernelTime]]:
    """Yield every time with its kernel: by name, and in order where ONNX Runtime gave none.

    What only the profile has is a kernel without nodes; one that it lacks keeps its work, at no
    time.
    """
    by_name = {kernel.name: kernel for kernel in kernels if kernel.name}
    unnamed = [kernel for kernel in kernels if not kernel.name]
    for timed in times:
        kernel = by_name.pop(timed.name, None)
        if kernel is None:
            like = (each for each in unnamed if each.operator == timed.operator)
            kernel = next(like, None)
            if kernel is not None:
                unnamed.remove(kernel)
        yield kernel or Kernel(timed.name, timed.operator), timed
    for kernel in (*by_name.values(), *unnamed):
        if kernel.keys:
            yield kernel, KernelTime(kernel.name, kernel.operator, 0.0, ())


def _leader(kernel: Kernel, nodes: Sequence[NodeWork]) -> str:
    """Return the operator that a kernel counts as: its product, or what its own name speaks of."""
    heaviest = max(nodes, key=lambda node: node.macs, default=None)
    if heaviest is None:
        return kernel.operator
    if heaviest.macs:
        return heaviest.operator
    held = {node.operator for node in nodes}
    if kernel.operator in held:
        return kernel.operator
    named = [node.operator for node in nodes if node.operator in kernel.operator]
    return named[0] if named else (kernel.operator if len(held) > 1 else nodes[0].operator)
