"""A small bundle whose graph crops patches, in every form of `facealign export --patch-crop`."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import onnx
import onnx_ir as ir
from numpy.typing import NDArray

from facealign.bundle import (
    Bundle,
    Golden,
    Manifest,
    files_from_golden,
    read_bundle,
    write_bundle,
)
from facealign.export.graph import bytes_from_graph
from facealign.export.passes.lower import Form, lower
from facealign.runtime.ort_engine import run_graph

__all__ = ["patch_crop_bundle", "patch_crop_graph"]

# Two crops in a row; the grid of each moves with the brightness, so that images differ.
TEXT = """
<ir_version: 9, opset_import: ["": 19]>
g (uint8[B, 16, 16, 3] image) => (float[B, 98, 2] landmarks)
<int64[3] all = {1, 2, 3}, float scale = {0.00392156862745098},
 int64[1] zero = {0}, int64[1] two = {2}, int64[1] one = {1}, int64[3] rows = {-1, 2, 98}>
{
  number = Cast<to = 1>(image)
  bright = Mul(number, scale)
  planes = Transpose<perm = [0, 3, 1, 2]>(bright)
  map = Cast<to = {type}>(planes)
  mean = ReduceMean(bright, all)
  grid = Add(positions, mean)
  [first] patches = GridSample<mode = "bilinear", padding_mode = "zeros">(map, grid)
  smaller = Mul(grid, mean)
  [second] samples = GridSample<mode = "bilinear", padding_mode = "zeros">(patches, smaller)
  numbers = Cast<to = 1>(samples)
  pairs = Slice(numbers, zero, two, one)
  flat = Reshape(pairs, rows)
  landmarks = Transpose<perm = [0, 2, 1]>(flat)
}
"""


def patch_crop_graph(form: Form, *, has_half_maps: bool = False) -> bytes:
    """Return the graph, of 98 landmarks from crops of 16 pixels, with its patch crops so written.

    Its landmarks are samples of the picture.
    """
    dtype = ir.DataType.FLOAT16 if has_half_maps else ir.DataType.FLOAT
    model = onnx.parser.parse_model(TEXT.replace("{type}", str(int(dtype))))
    positions = np.random.default_rng(5).uniform(-1, 0.2, (1, 7, 14, 2)).astype(np.float32)
    model.graph.initializer.append(onnx.numpy_helper.from_array(positions, "positions"))
    typed = onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True)
    return bytes_from_graph(lower(ir.from_proto(typed), patch_crop=form))


def patch_crop_bundle(
    folder: Path, form: Form, manifest: Manifest, golden: Golden, *, graph: bytes | None = None
) -> Bundle:
    """Return a bundle of the graph, whose golden landmarks are those of standard operators."""
    landmarks: NDArray[np.float32] = run_graph(patch_crop_graph("standard"), golden.crops)[
        "landmarks"
    ]
    golden = Golden(golden.frame, golden.boxes, golden.crops, landmarks)
    files = files_from_golden(golden, manifest.golden)
    files["model.fp32.onnx"] = graph or patch_crop_graph(form)
    return read_bundle(write_bundle(folder, msgspec.structs.replace(manifest), files))
