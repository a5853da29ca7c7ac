"""What parity found, and whether the graph may ship."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from facealign.errors import ParityError

__all__ = ["PARITY_BAR_PX", "ParityReport", "check_parity"]

PARITY_BAR_PX = (
    0.01  # max measured 0.0006 px: SLPT 6 and 12 layers, 72 crops, ONNX Runtime 1.31 on CPU
)
_EXTRA_BAR = 1e-4  # of the largest value; the bar of the first-divergence finder
_UNDECIDED_SHARE = 0.5  # a check that passes over more than this is none
# The last bit is one of many roundings. Graphs were 0.6 to 1.7 times the noise away in the median
# of 72 crops (MobileNetV2-A, ResNet-34, HRNet-W32 and EfficientNet-b1 with a learned graph).
_NOISES_ALLOWED = 4.0


@dataclass(frozen=True, slots=True)
class ParityReport:
    """How far a graph is from its module.

    Attributes:
        max_px: Largest distance of any landmark, in crop pixels; infinite where one side is not
            finite.
        p99_px: 99th percentile over all landmarks of all crops.
        batch_px: Largest distance between a crop's landmarks in one batch and in another.
        worst_crop: Name of the crop of the largest distance.
        worst_landmark: Its landmark.
        worst_batch: The batch size at which it was seen.
        crop_count: Number of crops.
        bar_px: What `max_px` and `batch_px` may be at most.
        noise_px: How far the module's own landmarks move with the last bit of its weights, where
            that was asked; see `with_noise`.
        undecided_count: Landmarks that were passed over, because in the module itself rounding
            alone decides which of two peaks is the highest.
        landmark_count: Landmarks of all crops together.
        extra: By the name of each other output, its largest deviation from the module's as a
            fraction of the largest value there; infinite where one side is not finite.
    """

    max_px: float
    p99_px: float
    batch_px: float
    worst_crop: str
    worst_landmark: int
    worst_batch: int
    crop_count: int
    bar_px: float
    landmark_count: int
    undecided_count: int = 0
    extra: Mapping[str, float] = field(default_factory=dict)
    noise_px: float | None = None

    def with_noise(self, noise_px: float) -> ParityReport:
        """Return the report with a bar that rounding alone cannot break.

        A network may amplify rounding so much that no two engines agree: then a distance of the
        size of its own noise proves nothing against the graph. The bar of any other network stays.
        """
        bar_px = self.bar_px
        if np.isfinite(noise_px):
            bar_px = max(bar_px, _NOISES_ALLOWED * noise_px)
        return replace(self, bar_px=bar_px, noise_px=noise_px)

    @property
    def passed(self) -> bool:
        """Whether the graph may ship."""
        return (
            self.max_px <= self.bar_px
            and self.batch_px <= self.bar_px
            and all(deviation <= _EXTRA_BAR for deviation in self.extra.values())
            and self.is_decided
        )

    @property
    def is_decided(self) -> bool:
        """Whether enough landmarks were compared."""
        return self.undecided_count <= _UNDECIDED_SHARE * self.landmark_count


def check_parity(report: ParityReport) -> None:
    """Refuse a graph that is too far from its module.

    Raises:
        ParityError: Naming the worst landmark and crop.
    """
    if report.passed:
        return
    place = (
        f"landmark {report.worst_landmark} of crop {report.worst_crop!r} "
        f"at batch {report.worst_batch}"
    )
    if report.max_px > report.bar_px:
        raise ParityError(
            f"graph and module differ by {report.max_px:.4g} px at {place} (allowed "
            f"{report.bar_px} px, 99 % of landmarks are within {report.p99_px:.4g} px)"
        )
    for name, deviation in report.extra.items():
        if not deviation <= _EXTRA_BAR:
            raise ParityError(
                f"graph and module differ in `{name}` by {deviation:.3g} of its largest value "
                f"(allowed {_EXTRA_BAR:g})"
            )
    if not report.is_decided:
        raise ParityError(
            f"{report.undecided_count} of {report.landmark_count} landmarks hang on rounding in "
            "the module itself, so nothing was proved; check that the checkpoint is a trained one"
        )
    raise ParityError(
        f"landmarks move by {report.batch_px:.4g} px with the other crops of a batch, "
        f"worst at {place} (allowed {report.bar_px} px)"
    )
