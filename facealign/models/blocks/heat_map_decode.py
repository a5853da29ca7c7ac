"""From heat maps to landmarks: the highest cell, moved a quarter cell to its higher neighbour.

The same decode is written twice: plainly, as the reference, and from constant tables, for graphs.

Source: Newell et al., ECCV 2016 (Stacked hourglass networks), sec. 3.3: the quarter of a cell; SPEC
    5 and 6.4 for where a cell lies and what its border does.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from facealign.models.blocks.constant import constant

__all__ = ["HeatMapDecode", "PeakRule", "decode_heat_maps", "undecided_peaks"]

_SHIFT = 0.25  # of a cell
_UNDECIDED_MARGIN = 1e-4  # of a crop's range; graph and module agree to about 1e-6 of it
_NO_CELL = -1.0  # where a masked landmark lies, in cells: one before the first


@dataclass(frozen=True, slots=True)
class PeakRule:
    """What differs from one published decode to another.

    Attributes:
        masks_nonpositive: Whether a map whose peak is not above 0 has no landmark; it is then put
            one cell before the first, in x and y.
        cell_offset: What is added to the number of a cell, from 0, to get its place in a map: 0.5
            for its middle.
    """

    masks_nonpositive: bool = False
    cell_offset: float = 0.5


def decode_heat_maps(heat_maps: Tensor, rule: PeakRule) -> tuple[Tensor, Tensor]:
    """Return landmarks and their peaks, the plain way.

    The first of equal cells is the peak, row by row. It moves by a quarter of a cell towards the
    higher of its two neighbours in x and in y, unless it lies on the border of the map; between
    equal neighbours it stays.

    Args:
        heat_maps: ``(B, N, H, W)`` float32, any range.
        rule: The family's.

    Returns:
        ``(B, N, 2)`` float32 ``(x, y)`` as a fraction of the map, and so of the crop; ``(B, N)``
        float32, the value of the peak.
    """
    height, width = heat_maps.shape[2:]
    score, x, y = _peaks(heat_maps)
    shift = _SHIFT * torch.sign(_neighbour_differences(heat_maps, x, y))
    cells = torch.stack([x, y], dim=-1) + shift
    if rule.masks_nonpositive:
        cells = torch.where((score > 0).unsqueeze(-1), cells, torch.full_like(cells, _NO_CELL))
    return (cells + rule.cell_offset) / torch.tensor([width, height]), score


def undecided_peaks(heat_maps: Tensor, rule: PeakRule) -> Tensor:
    """Return where rounding alone may decide the place of a landmark.

    That is where the two highest cells, the two neighbours in x or the two in y are nearly equal;
    and, if there is a mask, where the peak is nearly 0. Nearly means a ten-thousandth of the range
    of all maps of the crop. Under a mask that is sure, nothing else matters.

    Args:
        heat_maps: ``(B, N, H, W)`` float32.
        rule: The family's.

    Returns:
        ``(B, N)`` bool.
    """
    score, x, y = _peaks(heat_maps)
    span = heat_maps.amax(dim=(1, 2, 3)) - heat_maps.amin(dim=(1, 2, 3))
    margin = _UNDECIDED_MARGIN * span.unsqueeze(-1)  # (B, 1)
    first, second = heat_maps.flatten(2).topk(2).values.unbind(-1)
    differences = _neighbour_differences(heat_maps, x, y).abs()
    is_level = (differences <= margin.unsqueeze(-1)).any(dim=-1) & _is_inside(heat_maps, x, y)
    undecided = (first - second <= margin) | is_level
    if rule.masks_nonpositive:
        undecided = (undecided & (score > 0)) | (score.abs() <= margin)
    return undecided


def _peaks(heat_maps: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return value, column and row of the highest cell of each map, all ``(B, N)``."""
    flat = heat_maps.flatten(2)
    cell = flat.argmax(dim=-1)
    width = heat_maps.shape[3]
    return flat.amax(dim=-1), cell % width, cell // width


def _is_inside(heat_maps: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Return which cells have all four neighbours, ``(B, N)`` bool."""
    height, width = heat_maps.shape[2:]
    return (x > 0) & (x < width - 1) & (y > 0) & (y < height - 1)


def _neighbour_differences(heat_maps: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Return right minus left and lower minus upper, ``(B, N, 2)``; 0 for cells of the border."""
    batch, count, height, width = heat_maps.shape
    b, n = torch.arange(batch).unsqueeze(-1), torch.arange(count)
    inner_x, inner_y = x.clamp(1, width - 2), y.clamp(1, height - 2)
    across = heat_maps[b, n, inner_y, inner_x + 1] - heat_maps[b, n, inner_y, inner_x - 1]
    down = heat_maps[b, n, inner_y + 1, inner_x] - heat_maps[b, n, inner_y - 1, inner_x]
    differences = torch.stack([across, down], dim=-1)
    is_inside = _is_inside(heat_maps, x, y).unsqueeze(-1)
    return torch.where(is_inside, differences, torch.zeros_like(differences))


class HeatMapDecode(nn.Module):
    """`decode_heat_maps` without index arithmetic: the peak's number looks everything up.

    One table says where each cell lies, another which cells its neighbours are; a cell of the
    border is its own neighbour four times over, so that it stays where it is. In a graph that is an
    ArgMax, two Gathers and a GatherElements.
    """

    def __init__(self, height: int, width: int, rule: PeakRule) -> None:
        super().__init__()
        self.rule = rule
        self.count = height * width
        size = torch.tensor([width, height])
        y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
        places = (torch.stack([x, y], dim=-1).reshape(-1, 2) + rule.cell_offset) / size
        self.places = constant(places)  # (H * W, 2)
        self.around = constant(_cells_around(height, width))  # (H * W, 5)
        self.shift = constant(_SHIFT / size)
        self.no_place = constant((_NO_CELL + rule.cell_offset) / size)

    def forward(self, heat_maps: Tensor) -> tuple[Tensor, Tensor]:
        """Return landmarks ``(B, N, 2)`` and peaks ``(B, N)``, as `decode_heat_maps` does."""
        # Tables are read with `embedding`: the exporter writes `table[cell]` as a GatherND.
        flat = heat_maps.reshape(-1, heat_maps.shape[1], self.count)
        cell = flat.argmax(dim=-1)  # (B, N)
        values = torch.gather(flat, 2, functional.embedding(cell, self.around))
        after, before, own = torch.split(values, [2, 2, 1], dim=-1)
        places = functional.embedding(cell, self.places)
        landmarks = places + self.shift * torch.sign(after - before)
        if self.rule.masks_nonpositive:
            landmarks = torch.where(own > 0, landmarks, self.no_place)
        return landmarks, own.squeeze(-1)


def _cells_around(height: int, width: int) -> Tensor:
    """Return the numbers of the cell to the right, below, to the left, above, and its own."""
    cells = torch.arange(height * width).reshape(height, width)
    around = cells.unsqueeze(-1).repeat(1, 1, 5)
    steps = torch.tensor([1, width, -1, -width, 0])
    around[1:-1, 1:-1] += steps
    return around.reshape(-1, 5)
