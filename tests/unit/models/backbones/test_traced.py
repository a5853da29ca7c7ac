"""Traced with a dynamic batch, backbones with coordinates need no node that asks for a shape."""

from __future__ import annotations

from collections import Counter

import numpy as np
import onnx_ir as ir
import onnxruntime as ort
import pytest
import torch
from torch import Tensor, nn

from facealign.export.passes.simplify import simplify
from facealign.export.trace import trace
from facealign.models.backbone import backbone_by_name
from tests.unit.models.networks import with_recipe_weights

SIZE_PX = 64
RELATIVE = 3e-5  # of the std; max measured 3.6e-6
ASK_FOR_A_SHAPE = {"Shape", "Size", "Expand", "Gather", "Reshape", "ConstantOfShape"}


class LastMap(nn.Module):
    """What a family makes of it: uint8 crops in, the coarsest map out."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> tuple[Tensor]:
        centred = image.to(torch.float32).permute(0, 3, 1, 2) / 64 - 2
        return (self.network(centred)[-1],)


@pytest.mark.parametrize(
    ("name", "variant", "expected"),
    [
        # IBN is Split and Concat; each of five blocks is an Add, and so is each CoordConv, of which
        # there are 10 and 11. A norm before any convolution stays.
        ("resnet", "coordconv-ibn", {"Split": 10, "Concat": 10, "Add": 15}),
        (
            "preact_resnet",
            "antialiased",
            {"Split": 4, "Concat": 4, "BatchNormalization": 5, "Add": 16, "Pad": 7},
        ),
    ],
)
def test_exportable_is_traced_without_asking_for_a_shape(
    name: str, variant: str, expected: dict[str, int]
) -> None:
    backbone = backbone_by_name(name)
    network = with_recipe_weights(backbone.build(backbone.tiny()[variant]))
    plain = LastMap(network)
    exportable = LastMap(backbone.exportable(network, SIZE_PX))
    crops = np.random.default_rng(3).integers(0, 256, (3, SIZE_PX, SIZE_PX, 3), np.uint8)

    traced = trace(exportable, size_px=SIZE_PX, output_names=("map",))
    graph = simplify(traced, outputs=("map",))

    counts = Counter(node.op_type for node in graph.graph)
    assert not ASK_FOR_A_SHAPE & set(counts)
    watched = ("Split", "Concat", "Add", "Pad", "BatchNormalization")
    assert {op: counts[op] for op in watched if counts[op]} == expected
    session = ort.InferenceSession(ir.to_proto(graph).SerializeToString())
    (found,) = session.run(None, {"image": crops})
    reference = plain(torch.from_numpy(crops))[0].numpy()
    assert np.abs(found - reference).max() < RELATIVE * reference.std()
