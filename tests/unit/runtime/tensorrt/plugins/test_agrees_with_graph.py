"""What the export writes is what the plugin registers as and computes."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import onnxruntime
import pytest

from facealign.export.graph import bytes_from_graph
from facealign.export.passes.lower.custom_operator import PLUGIN_NAMESPACE, PLUGIN_VERSION
from facealign.export.passes.lower.patch_crop import PATCH_CROP, CustomPatchCropPass
from facealign.runtime.tensorrt.plugins.patch_crop_v3 import NAME, NAMESPACE, VERSION
from facealign.runtime.tensorrt.plugins.reference import crop_patches
from tests.patch_crop import CASES, case
from tests.unit.runtime.tensorrt.plugins.conftest import Crop

TEXT = """
<ir_version: 9, opset_import: ["": 19]>
sample (float[B, C, H, W] map, float[B, P, N, 2] grid) => (float[B, C, P, N] patches) {
  patches = GridSample <mode = "bilinear", padding_mode = "zeros", align_corners = 0> (map, grid)
}
"""
TOLERANCE = 1e-5  # see test_launch.py


def test_plugin_has_the_names_that_the_graph_has() -> None:
    assert (NAME, NAMESPACE, VERSION) == (PATCH_CROP, PLUGIN_NAMESPACE, PLUGIN_VERSION)


@pytest.mark.parametrize("name", CASES)
def test_function_body_and_kernel_give_the_same(
    name: str, crop: Crop, rng: np.random.Generator
) -> None:
    features, grid = case(name, rng)
    model = ir.from_onnx_text(TEXT)
    CustomPatchCropPass()(model)
    session = onnxruntime.InferenceSession(
        bytes_from_graph(model), providers=["CPUExecutionProvider"]
    )

    body = session.run(None, {"map": features, "grid": grid})[0]

    assert [node.op_type for node in model.graph] == [NAME]
    np.testing.assert_allclose(crop(features, grid), body, atol=TOLERANCE, rtol=0)
    np.testing.assert_allclose(crop_patches(features, grid), body, atol=TOLERANCE, rtol=0)
