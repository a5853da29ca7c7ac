"""What a benchmark measured in ONNX Runtime, under the roof of the machine."""

from __future__ import annotations

from collections.abc import Sequence

from facealign.bench.result import CandidateResult, Roof, Roofline
from facealign.bundle import Bundle
from facealign.errors import FacealignError

__all__ = ["rooflines_of", "rooflines_text"]

_ENGINE = "onnxruntime"
_ABSENT = "the roofline was not measured: it reads graphs with `onnx`"


def rooflines_of(
    bundle: Bundle, results: Sequence[CandidateResult], skipped: list[str]
) -> tuple[Roof | None, tuple[Roofline, ...]]:
    """Return the roof, and every graph that ONNX Runtime ran under it, at its smallest batch.

    It comes last: what fails here costs nothing that was measured before.

    Args:
        bundle: Has the graphs.
        results: Their times are what counts; the profile only shares them out.
        skipped: Gets a sentence where it cannot be measured, or lacks something.
    """
    skipped += [
        f"the layers of {each.candidate.name} at batch {each.candidate.batch} were not timed: "
        f"{each.gpu.no_layers}"
        for each in results
        if each.gpu is not None and each.gpu.no_layers is not None
    ]
    own = [each for each in results if each.candidate.engine == _ENGINE]
    if not own:
        skipped.append(f"the roofline was not measured: {_ENGINE} was not among the candidates")
        return None, ()
    try:
        from facealign.pipeline.machine_roof import roof_note  # a device has no onnx
        from facealign.pipeline.roofline import rooflines
    except ImportError as error:
        skipped.append(f'{_ABSENT} ({error}); run `pip install "facealign[compile]"`')
        return None, ()
    batch = min(each.candidate.batch for each in own)
    smallest = [each for each in own if each.candidate.batch == batch]
    try:
        roof, lines = rooflines(
            bundle,
            [each.candidate.precision for each in smallest],
            threads=smallest[0].candidate.threads,
            batch=batch,
            measured_ms={each.candidate.precision: each.forward.median_ms for each in smallest},
        )
    except FacealignError as error:
        skipped.append(f"the roofline was not measured: {error}")
        return None, ()
    note = roof_note(roof)
    skipped += [] if note is None else [note]
    return roof, lines


def rooflines_text(roof: Roof | None, lines: Sequence[Roofline]) -> str:
    """Return the line that stays: the roof, and the share of it that each graph reached."""
    if roof is None:
        return "not measured"
    peaks = ", ".join(f"{name} {value:.0f} GFLOP/s" for name, value in roof.peak_gflops.items())
    shares = ", ".join(f"{each.candidate.precision} {each.share:.0%}" for each in lines)
    return f"{peaks}, {roof.bandwidth_gb_s:.0f} GB/s; reached: {shares}"
