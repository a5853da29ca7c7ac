"""A family in one folder: five landmarks from the mean colour of nine parts of the crop."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from facealign.models.family import Card, Exportable, Family, KeySignature
from facealign.spec import CropSpec, Scheme, SquareRule, scheme_by_count

__all__ = ["FAMILY"]

_SIZE_PX = 48
_PARTS = 3


@dataclass(frozen=True, slots=True)
class ToyHyperparameters:
    """The number of landmarks is all there is."""

    landmark_count: int


class Toy(nn.Module):
    """One linear layer behind average pooling."""

    def __init__(self, landmark_count: int) -> None:
        super().__init__()
        self.toy_head = nn.Linear(3 * _PARTS**2, 2 * landmark_count)

    def forward(self, image: Tensor) -> Tensor:
        """Return ``(B, N, 2)`` landmarks from ``(B, 3, H, W)`` float32 in 0 to 1."""
        colours = functional.avg_pool2d(image, _SIZE_PX // _PARTS).flatten(1)
        landmarks: Tensor = self.toy_head(colours).unflatten(1, (-1, 2))
        return landmarks


class ExportableToy(Exportable):
    """uint8 BGR crops in, landmarks out."""

    output_names = ("landmarks",)

    def __init__(self, network: Toy) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """Return the landmarks alone."""
        return (self.network(_normalised(image)),)


def _normalised(crops: Tensor) -> Tensor:
    return crops.permute(0, 3, 1, 2).to(torch.float32) / 255


def _read(shapes: Mapping[str, Sequence[int]], _: Mapping[str, int]) -> ToyHyperparameters:
    return ToyHyperparameters(shapes["toy_head.weight"][0] // 2)


def _crop(_: ToyHyperparameters) -> CropSpec:
    rule = SquareRule(1.1, "exact")
    return CropSpec(_SIZE_PX, rule, rule)


def _scheme(hyperparameters: ToyHyperparameters) -> Scheme:
    return scheme_by_count(hyperparameters.landmark_count)


FAMILY = Family(
    name="toy",
    signatures=(KeySignature(required=("toy_head.weight",)),),
    card=lambda _: Card("Toy", "no paper", "this folder", "Apache-2.0", "nothing", "the paper"),
    assets=lambda _: (),
    settings={},
    read_hyperparameters=_read,
    describe=lambda hyperparameters: f"Toy with {hyperparameters.landmark_count} landmarks",
    tiny=lambda: {"toy": ToyHyperparameters(5)},
    made_up_assets=lambda _: {},
    build_network=lambda hyperparameters, _: Toy(hyperparameters.landmark_count),
    reference=lambda network, crops: {"landmarks": network(_normalised(crops))},
    build_exportable=ExportableToy,
    crop=_crop,
    scheme=_scheme,
)
