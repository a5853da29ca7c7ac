"""The whole way of every family on doubles: build, plan, session, landmarks; no GPU is in it."""

from __future__ import annotations

import functools
import gc
import sys
from collections.abc import Iterator
from contextlib import closing

import numpy as np
import pytest

from facealign.bundle import Bundle
from facealign.export.crops import face_boxes, face_frame
from facealign.export.precision_rules import Precision
from facealign.pipeline.run_crops import graph_runner
from facealign.runtime import open_session
from facealign.runtime.tensorrt import bundle_engine
from facealign.runtime.tensorrt.build_bundle import PlanBuilder
from facealign.runtime.tensorrt.build_options import BuildOptions
from facealign.runtime.tensorrt.device import open_device
from facealign.runtime.tensorrt.engine import engine_from_plan
from facealign.runtime.tensorrt.open_plan import contract_from_plan
from tests.conformance.tiny import crops_of
from tests.device.bundles import PRECISIONS, one_of_each_family, tiny_bundle
from tests.doubles.cuda import COMPILER, Double
from tests.doubles.libcuda_memory import LibcudaMemory
from tests.doubles.tensorrt import TensorrtDouble

NAMES = one_of_each_family()
VERSION = {"fp32": "10.3", "fp16": "10.16", "int8": "11.4"}
MAX_BATCH = 4
# ONNX Runtime on both sides, in batches of other sizes; fractions of the crop.
SAME = 1e-5

pytestmark = pytest.mark.skipif(COMPILER is None, reason="no g++ to build the CUDA double with")


@pytest.fixture(params=NAMES, scope="module")
def bundle(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Bundle]:
    """Return a bundle with the three graphs, and the self-test of the module."""
    made = tiny_bundle(request.param, tmp_path_factory.mktemp("bundle"))
    gc.freeze()  # with torch loaded and a network traced, each collection would take 1 s
    yield made
    gc.unfreeze()


@pytest.fixture
def cuda(monkeypatch: pytest.MonkeyPatch) -> Iterator[Double]:
    """Return the CUDA double, which the engine takes for this machine's."""
    double = Double()
    double.reset()
    on_double = functools.partial(open_device, library=str(double.path))
    monkeypatch.setattr(bundle_engine, "open_device", on_double)
    yield double
    double.reset()


@pytest.mark.parametrize("precision", PRECISIONS, ids="as:{}".format)
def test_build_and_session_give_the_landmarks_of_the_graph(
    monkeypatch: pytest.MonkeyPatch,
    bundle: Bundle,
    cuda: Double,
    precision: Precision,
) -> None:
    double = TensorrtDouble(VERSION[precision], LibcudaMemory(cuda))
    monkeypatch.setitem(sys.modules, "tensorrt", double.module)
    crops = np.stack([crop.pixels for crop in crops_of(bundle.manifest.crop.size_px)[8:19]])
    graph = bundle.read_file(bundle.manifest.graphs[precision].file)
    expected = graph_runner(graph, integer_kernels=False)(crops)

    build(bundle, double, cuda, precision)
    with open_session(bundle, engine="tensorrt", precision=precision) as session:
        runs = [session.run_crops(crops)["landmarks"] for _ in range(3)]
        faces = session.run(face_frame(), face_boxes())
    gc.collect()

    for found in runs:
        np.testing.assert_allclose(found, expected, rtol=0, atol=SAME)
    assert len(faces.xy) == len(face_boxes())
    assert cuda.calls()["cuGraphLaunch"] > 0
    assert (cuda.live(), cuda.counter("orphans"), double.objects_alive()) == (0, 0, {})


def build(bundle: Bundle, double: TensorrtDouble, cuda: Double, precision: str) -> None:
    """Write the plan, tested on an engine as `facealign build` does."""
    with closing(open_device(library=str(cuda.path))) as device:
        builder = PlanBuilder(
            double.module,
            device,
            lambda plan: engine_from_plan(contract_from_plan(plan, name="plan"), device),
            bundle,
            BuildOptions(max_batch=MAX_BATCH),
        )
        builder.build(precision)
