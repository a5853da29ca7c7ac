"""A network of a few layers that is there at once, with crops, ranges and a judge for it."""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np
import onnx
import onnx_ir as ir
from numpy.typing import NDArray
from onnx import numpy_helper

from facealign.export.graph import bytes_from_graph
from facealign.export.passes.quantize import tensors_to_observe
from facealign.pipeline.calibrate import calibrate
from facealign.pipeline.judge import HeldOut, Judge, open_judge
from facealign.pipeline.run_crops import graph_runner
from facealign.spec import WFLW98

__all__ = ["NOISE_PX", "SIZE_PX", "Told", "crops_for", "judge_of", "network", "ranges_of"]

SIZE_PX = 16
NOISE_PX = 0.5  # of the made-up annotations
# Three layers that INT8 can take, a pooled map, and landmarks around a ring.
_NETWORK = """
g (uint8[B, 16, 16, 3] image) => (float[B, 98, 2] landmarks)
<float[3] mean = {100, 110, 120}, float hundredth = {0.01}, float[16, 3, 3, 3] w0,
 float[16, 16, 3, 3] w1, float[16, 16, 3, 3] w2, float[16, 16, 3, 3] w3, float[64, 196] head,
 float tenth = {0.1}, float[1, 98, 2] ring, int64[2] flat = {-1, 64},
 int64[3] shape = {-1, 98, 2}>
{
  float_image = Cast<to = 1>(image)
  centred = Sub(float_image, mean)
  unit = Mul(centred, hundredth)
  nchw = Transpose<perm = [0, 3, 1, 2]>(unit)
  c0 = Conv<pads = [1, 1, 1, 1]>(nchw, w0)
  r0 = Relu(c0)
  c1 = Conv<pads = [1, 1, 1, 1]>(r0, w1)
  r1 = Relu(c1)
  c2 = Conv<pads = [1, 1, 1, 1]>(r1, w2)
  r2 = Relu(c2)
  c3 = Conv<pads = [1, 1, 1, 1]>(r2, w3)
  r3 = Relu(c3)
  pooled = AveragePool<kernel_shape = [8, 8], strides = [8, 8]>(r3)
  features = Reshape(pooled, flat)
  raw = MatMul(features, head)
  offsets = Mul(raw, tenth)
  points = Reshape(offsets, shape)
  landmarks = Add(points, ring)
}
"""


@dataclass
class Told:
    """A stage that remembers what it was told."""

    texts: list[str] = field(default_factory=list)
    done: int = 0
    totals: set[int] = field(default_factory=set)

    def say(self, text: str) -> None:
        self.texts.append(text)

    def advance(self, done: int, *, total: int) -> None:
        self.done += done
        self.totals.add(total)


def network(*, seed: int = 5, outlier: float = 1.0) -> ir.Model:
    """Return the network with seeded weights, shapes inferred.

    One channel between the second and the third layer is `outlier` times as large as with 1, and
    the landmarks are the same. A thousand leaves its neighbours no step of an INT8 scale.
    """
    proto = onnx.parser.parse_model(f'<ir_version: 9, opset_import: ["": 19]>\n{_NETWORK}')
    rng = np.random.default_rng(seed)
    arrays = {
        value.name: _weight(rng, [dim.dim_value for dim in value.type.tensor_type.shape.dim])
        for value in proto.graph.value_info
    }
    angle = np.linspace(0, 2 * np.pi, WFLW98.landmark_count, endpoint=False)
    arrays["ring"] = 0.5 + 0.3 * np.stack([np.cos(angle), np.sin(angle)], axis=1)[None]
    arrays["w1"][3] *= outlier
    arrays["w2"][:, 3] /= outlier
    for name, array in arrays.items():
        proto.graph.initializer.append(numpy_helper.from_array(array.astype(np.float32), name))
    proto.graph.ClearField("value_info")
    return ir.from_proto(onnx.shape_inference.infer_shapes(proto, strict_mode=True, data_prop=True))


def crops_for(count: int, *, seed: int = 0, size_px: int = SIZE_PX) -> NDArray[np.uint8]:
    """Return ``(count, S, S, 3)`` smooth crops, each another."""
    rng = np.random.default_rng(seed)
    noise = rng.integers(0, 256, (count, 5, 5, 3), dtype=np.uint8)
    resized = [
        cv2.resize(each, (size_px, size_px), interpolation=cv2.INTER_CUBIC) for each in noise
    ]
    return np.stack(resized).astype(np.uint8)


def judge_of(graph: ir.Model, *, has_truth: bool = True) -> Judge:
    """Return a judge of 20 crops, with annotations near what the graph finds, or with none."""
    crops = crops_for(20, seed=1)
    run = graph_runner(bytes_from_graph(graph))
    found = run(crops).astype(np.float64) * SIZE_PX
    truth = found + np.random.default_rng(2).normal(0, NOISE_PX, found.shape)
    held_out = HeldOut(
        "made up", "box", crops, truth if has_truth else None, {"pose": (0, 1, 2), "blur": (5,)}
    )
    return open_judge(held_out, run, scheme=WFLW98)


def ranges_of(graph: ir.Model) -> dict[str, float]:
    """Return ranges over 16 other crops."""
    crops = crops_for(16, seed=3)
    found = calibrate(graph, crops, observer="min_max", state=None, stage=Told()).amax
    return {name: found[name] for name in tensors_to_observe(graph)}


def _weight(rng: np.random.Generator, sizes: list[int]) -> NDArray[np.float64]:
    fan_in = sizes[0] if len(sizes) == 2 else int(np.prod(sizes[1:]))  # of MatMul, of Conv
    return rng.normal(0, np.sqrt(2 / fan_in), sizes)
