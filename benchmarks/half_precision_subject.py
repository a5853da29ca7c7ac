"""A family's FP32 graph on rendered faces, and how far another graph of it moves the landmarks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx_ir as ir
import torch
from networks import Network, open_network
from numpy.typing import NDArray
from synthetic_crops import synthetic_crops

from facealign.export.graph import bytes_from_graph, graph_from_bytes
from facealign.export.layers import learned_product
from facealign.export.passes.precision.assignment import assign_precision
from facealign.models.family import Family
from facealign.pipeline.run_crops import graph_runner

__all__ = ["SEED", "Subject", "jittered", "open_subject"]

SEED = 20261121
_ROUNDING = 2.0**-12  # FP16 rounds a number by up to 2**-12 to 2**-11 of itself


@dataclass(frozen=True, slots=True)
class Subject:
    """An FP32 graph, and what it gives.

    Attributes:
        family: Whose graph it is.
        graph: FP32.
        crops: ``(K, S, S, 3)`` uint8 BGR.
        is_decided: ``(K, N)``: landmarks that do not hang on rounding in the module.
        exact: ``(K, N, 2)`` landmarks of `graph`, fraction of the crop.
    """

    family: Family
    graph: ir.Model
    crops: NDArray[np.uint8]
    is_decided: NDArray[np.bool_]
    exact: NDArray[np.floating]

    def moved_px(self, graph: ir.Model) -> NDArray[np.float64]:
        """Return ``(D,)`` the distance of the decided landmarks of another graph, crop pixels."""
        found = graph_runner(bytes_from_graph(graph))(self.crops)
        distance = np.linalg.norm(found.astype(np.float64) - self.exact, axis=-1)
        pixels = np.where(np.isfinite(distance), distance, np.inf) * self.crops.shape[1]
        return np.asarray(pixels[self.is_decided])


def open_subject(name: str, faces: int) -> Subject:
    """Return a model at full size with recipe weights.

    Args:
        name: Of `network_names`.
        faces: K.
    """
    network = open_network(name)
    crops = synthetic_crops(network.crop, seed=SEED, count=faces)
    exact = graph_runner(network.graph)(crops)
    is_decided = np.ones(exact.shape[:2], bool)
    if "score" in network.family.extra_outputs:  # peaks of heat maps
        parts = [_points(network, each) for each in crops]
        is_decided = np.concatenate([~part["undecided"] for part in parts])
    return Subject(network.family, graph_from_bytes(network.graph), crops, is_decided, exact)


def _points(network: Network, crop: NDArray[np.uint8]) -> dict[str, NDArray[Any]]:
    with torch.inference_mode():
        points = network.family.reference(network.module, torch.from_numpy(crop[None]))
    return {name: point.numpy() for name, point in points.items()}


def jittered(graph: ir.Model, seed: int) -> ir.Model:
    """Return an FP32 copy with weights that are off by 2**-12 of themselves, up or down at random.

    Args:
        graph: FP32.
        seed: Another seed, other directions.

    Returns:
        Changed are the weights of the products that would be FP16, as FP16 would round those.
    """
    copy = graph.clone()
    rng = np.random.default_rng(seed)
    products = [learned_product(node) for node in assign_precision(copy.graph).half]
    for weight in dict.fromkeys(each.weight for each in products if each is not None):
        array = _array(weight)
        signs = rng.integers(0, 2, array.shape) * 2 - 1
        moved = (array * (1 + signs * _ROUNDING)).astype(np.float32)
        weight.const_value = ir.tensor(moved, name=weight.name)
    return copy


def _array(value: ir.Value) -> NDArray[np.float32]:
    if value.const_value is None:
        raise ValueError(f"`{value.name}` is no constant")
    return value.const_value.numpy()
