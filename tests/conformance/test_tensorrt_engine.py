"""The whole way of every family on doubles: build, plan, session, landmarks; no GPU is in it."""

from __future__ import annotations

import functools
import gc
import sys
from collections.abc import Iterator
from contextlib import closing

import numpy as np
import pytest

from facealign.bundle import Bundle, Golden, GraphEntry, ParityEntry, read_bundle, write_bundle
from facealign.calibration import Calibration, collect_ranges
from facealign.export.crops import face_boxes, face_frame
from facealign.export.graph import bytes_from_graph, expose_values, graph_from_bytes
from facealign.export.passes.precision import half_precision
from facealign.export.passes.quantize import quantize, tensors_to_observe
from facealign.export.precision_rules import Precision
from facealign.models.load import Model
from facealign.pipeline.contents import bundle_files, bundle_manifest, golden_of
from facealign.pipeline.graphs import ShippedGraph
from facealign.pipeline.run_crops import graph_runner
from facealign.runtime import open_session
from facealign.runtime.ort_engine import run_graph
from facealign.runtime.tensorrt import bundle_engine
from facealign.runtime.tensorrt.build_bundle import PlanBuilder
from facealign.runtime.tensorrt.build_options import BuildOptions
from facealign.runtime.tensorrt.device import open_device
from facealign.runtime.tensorrt.engine import engine_from_plan
from facealign.runtime.tensorrt.open_plan import contract_from_plan
from tests.conformance.tiny import crops_of, tiny_checkpoint, tiny_names
from tests.doubles.cuda import COMPILER, Double
from tests.doubles.libcuda_memory import LibcudaMemory
from tests.doubles.tensorrt import TensorrtDouble

# One variant of each family.
NAMES = list({name.partition("/")[0]: name for name in reversed(tiny_names())}.values())
PRECISIONS: tuple[Precision, ...] = ("fp32", "fp16", "int8")
VERSION = {"fp32": "10.3", "fp16": "10.16", "int8": "11.4"}
MAX_BATCH = 4
# ONNX Runtime on both sides, in batches of other sizes; fractions of the crop.
SAME = 1e-5

pytestmark = pytest.mark.skipif(COMPILER is None, reason="no g++ to build the CUDA double with")


@pytest.fixture(params=NAMES, scope="module")
def name(request: pytest.FixtureRequest) -> str:
    found: str = request.param
    return found


@pytest.fixture(scope="module")
def graphs(model: Model, graph: bytes) -> dict[Precision, bytes]:
    """Return the graph of every precision."""
    full = graph_from_bytes(graph)
    crops = np.stack([crop.pixels for crop in crops_of(model.crop.size_px)[:8]])
    exposed = expose_values(graph, tensors_to_observe(full))
    how = Calibration(graph_sha256="0" * 64, observer="min_max", names_per_run=1000)
    ranges = collect_ranges(
        lambda *asked: run_graph(exposed, *asked), tensors_to_observe(full), [crops], how
    ).amax
    return {
        "fp32": graph,
        "fp16": bytes_from_graph(half_precision(full)),
        "int8": bytes_from_graph(quantize(graph_from_bytes(graph), ranges)),
    }


@pytest.fixture(scope="module")
def bundle(
    tmp_path_factory: pytest.TempPathFactory,
    model: Model,
    name: str,
    graphs: dict[Precision, bytes],
) -> Bundle:
    """Return a bundle with the three graphs, and the self-test of the module."""
    golden = golden_of(model)
    shipped = {
        precision: ShippedGraph(data, entry(precision, off_px(data, golden)))
        for precision, data in graphs.items()
    }
    manifest = bundle_manifest(model, tiny_checkpoint(name), shipped, options={})
    files = bundle_files(model, shipped, golden, None)
    folder = tmp_path_factory.mktemp("bundle") / "tiny.facealign"
    return read_bundle(write_bundle(folder, manifest, files))


def entry(precision: Precision, golden_px: tuple[float, ...]) -> GraphEntry:
    parity = ParityEntry(max_px=0, p99_px=0, crop_count=1, batch_sizes=(1,), bar_px=0.01)
    return GraphEntry(
        file=f"model.{precision}.onnx",
        opset=19,
        node_count=1,
        parameter_count=1,
        mac_count=1,
        parity=parity,
        golden_px=golden_px,
    )


def off_px(graph: bytes, golden: Golden) -> tuple[float, ...]:
    """Return how far the landmarks of each golden crop are, as an export measures it."""
    found = graph_runner(graph, integer_kernels=False)(golden.crops)
    distance = np.linalg.norm(found - golden.landmarks, axis=2) * golden.crops.shape[1]
    return tuple(np.nan_to_num(distance).max(axis=1).astype(float).tolist())


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
    graphs: dict[Precision, bytes],
    cuda: Double,
    precision: Precision,
) -> None:
    double = TensorrtDouble(VERSION[precision], LibcudaMemory(cuda))
    monkeypatch.setitem(sys.modules, "tensorrt", double.module)
    crops = np.stack([crop.pixels for crop in crops_of(bundle.manifest.crop.size_px)[8:19]])
    expected = graph_runner(graphs[precision], integer_kernels=False)(crops)

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
