"""Fixtures that several folders of tests share; the central one is `tiny_bundle`."""

from __future__ import annotations

import gc
import os
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from facealign.bundle import (
    SCHEMA_VERSION,
    CardEntry,
    Fingerprint,
    Golden,
    GoldenEntry,
    GraphEntry,
    Manifest,
    ParityEntry,
    files_from_golden,
    write_bundle,
)
from facealign.geometry import crops_from_frame, placement_from_boxes
from facealign.spec import WFLW98, CropSpec, SquareRule, contract_input, contract_outputs

# Two workers share two cores: with a thread per core each, they would spin on each other's.
os.environ["OMP_NUM_THREADS"] = "1"
os.environ["GOMP_SPINCOUNT"] = "10000"
# Networks and graphs that are kept for other tests are millions of objects: to look through them
# for garbage at Python's own pace took a sixth of the time.
gc.set_threshold(100_000, 40, 100)

# Files of which every test is of one network, named between its brackets; what a test is of beyond
# the network is named behind `AS`.
BY_NETWORK = (
    "test_families.py",
    "test_tensorrt_rules.py",
    "test_target_lint.py",
    "test_lowering.py",
    "test_precision.py",
    "test_quantize.py",
    "test_tensorrt_engine.py",
    "test_openvino_engine.py",
    "test_sdfl_full_size.py",
    "test_heat_maps_full_size.py",
)
# Files that read one network's graph, and so belong to its worker.
OF_NETWORK = {"tests/conformance/test_slpt_faults.py": "slpt/slpt"}
AS = "-as:"
SIZE_PX = 16
N = WFLW98.landmark_count
CROP = CropSpec(SIZE_PX, SquareRule(1.15, "integer"), SquareRule(1.2, "exact"))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> object:
    """Keep the tests of one file, or of one network in it, on one worker: they share fixtures.

    In the order of collection: full-size networks come early, and no worker ends on one alone.
    """
    from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]  # it has none

    config.option.loadscopereorder = False  # by the number of tests says nothing about their time
    scheduler = LoadScopeScheduling(config, log)
    scheduler._split_scope = _file_and_network  # loadgroup of xdist 3.8 does nothing on pytest 9.2
    return scheduler


def _file_and_network(nodeid: str) -> str:
    file, _, test = nodeid.partition("::")
    if not file.endswith(BY_NETWORK) and file not in OF_NETWORK:
        return file
    # By folder, as the files of one folder share a network's graph, which takes seconds to trace.
    network = OF_NETWORK.get(file) or test.partition("[")[2].rstrip("]").partition(AS)[0]
    return f"{file.rpartition('/')[0]} {network}"


@pytest.fixture(scope="module")
def fast_collection() -> None:
    """Leave what is there by now out of collections: with torch and onnx each would take 1 s."""
    gc.freeze()  # for good, garbage too: to collect it first would take that second


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20)


@pytest.fixture
def frame(rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return a smooth (120, 160, 3) uint8 frame, so that resampling hardly changes it."""
    noise = rng.integers(0, 256, (12, 16, 3), dtype=np.uint8)
    return np.asarray(cv2.resize(noise, (160, 120), interpolation=cv2.INTER_CUBIC), np.uint8)


@pytest.fixture(scope="session")
def tiny_graph() -> bytes:
    """Return an ONNX graph that fulfils the contract: 98 landmarks from means and slopes of a crop.

    Its landmarks lie on a ring, and move with the brightness and the gradient of the crop by some
    hundredths of it, so that another crop, order of channels or image of the batch shows.
    """
    ramp = np.linspace(-1, 1, SIZE_PX, dtype=np.float32)
    weight, bias = _tiny_weights()
    constants = {
        "scale": np.float32(1 / 255) * np.ones((), np.float32),
        "ramp_x": ramp.reshape(1, 1, SIZE_PX, 1),
        "ramp_y": ramp.reshape(1, SIZE_PX, 1, 1),
        "axes": np.array([1, 2], np.int64),
        "weight": weight,
        "bias": bias,
        "shape": np.array([-1, N, 2], np.int64),
    }
    nodes = [
        helper.make_node("Cast", ["image"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["float", "scale"], ["x"]),
        helper.make_node("Mul", ["x", "ramp_x"], ["x_times_x"]),
        helper.make_node("Mul", ["x", "ramp_y"], ["x_times_y"]),
        helper.make_node("ReduceMean", ["x", "axes"], ["mean"], keepdims=0),
        helper.make_node("ReduceMean", ["x_times_x", "axes"], ["slope_x"], keepdims=0),
        helper.make_node("ReduceMean", ["x_times_y", "axes"], ["slope_y"], keepdims=0),
        helper.make_node("Concat", ["mean", "slope_x", "slope_y"], ["features"], axis=1),
        helper.make_node("Gemm", ["features", "weight", "bias"], ["flat"]),
        helper.make_node("Reshape", ["flat", "shape"], ["landmarks"]),
    ]
    image = helper.make_tensor_value_info("image", TensorProto.UINT8, ["B", SIZE_PX, SIZE_PX, 3])
    landmarks = helper.make_tensor_value_info("landmarks", TensorProto.FLOAT, ["B", N, 2])
    initializers = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "tiny", [image], [landmarks], initializers)
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 19)], ir_version=9, producer_name="tests"
    )
    onnx.checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString(deterministic=True))


@pytest.fixture(scope="session")
def tiny_golden() -> Golden:
    """Return the self-test of `tiny_graph`, its landmarks computed with numpy."""
    rng = np.random.default_rng(7)
    noise = rng.integers(0, 256, (6, 8, 3), dtype=np.uint8)
    frame = np.asarray(cv2.resize(noise, (64, 48), interpolation=cv2.INTER_LINEAR), np.uint8)
    boxes = np.array([[10.2, 8.7, 40.1, 39.0], [-6.0, 20.5, 20.0, 50.0]])  # the second leaves it
    crops = np.concatenate(
        [
            crops_from_frame(frame, placement_from_boxes(boxes, CROP.from_box), CROP),
            rng.integers(0, 256, (1, SIZE_PX, SIZE_PX, 3), dtype=np.uint8),
        ]
    )
    return Golden(frame=frame, boxes=boxes, crops=crops, landmarks=_tiny_landmarks(crops))


@pytest.fixture(scope="session")
def tiny_manifest() -> Manifest:
    """Return the manifest of the tiny bundle, with no files yet."""
    return Manifest(
        schema_version=SCHEMA_VERSION,
        facealign_version="0.1.0",
        family="tiny",
        title="Means and slopes, for tests",
        scheme=WFLW98.name,
        landmark_count=N,
        hyperparameters={"depth": 1, "width": 9, "ratio": 0.5, "name": "tiny", "sizes": (1, 2)},
        inputs=(contract_input(SIZE_PX),),
        outputs=contract_outputs(N),
        crop=CROP,
        max_batch=4,
        graphs={
            "fp32": GraphEntry(
                file="model.fp32.onnx",
                opset=19,
                node_count=10,
                parameter_count=1994,
                mac_count=1764,
                parity=ParityEntry(
                    max_px=1e-5, p99_px=1e-6, crop_count=3, batch_sizes=(1, 3), bar_px=0.01
                ),
            )
        },
        probes=("features",),
        checkpoint=Fingerprint(name="tiny.pth", sha256="0" * 64),
        assets={"mean-shape": Fingerprint(name="ring.npz", sha256="1" * 64)},
        card=CardEntry(title="t", paper="p", code="c", code_licence="Apache-2.0", published="-"),
        golden=GoldenEntry(max_px=0.01, max_grey=4.0),
        tools={"numpy": "2.0"},
        options={"opset": "19"},
        files={},
    )


@pytest.fixture(scope="session")
def tiny_files(tiny_graph: bytes, tiny_golden: Golden, tiny_manifest: Manifest) -> dict[str, bytes]:
    """Return the files of the tiny bundle by name."""
    golden = files_from_golden(tiny_golden, tiny_manifest.golden)
    return {"model.fp32.onnx": tiny_graph, **golden}


@pytest.fixture
def tiny_bundle(tmp_path: Path, tiny_manifest: Manifest, tiny_files: dict[str, bytes]) -> Path:
    """Return the folder of a whole, valid bundle of some 20 kB that the test may break."""
    return write_bundle(tmp_path / "tiny.facealign", tiny_manifest, tiny_files)


def _tiny_weights() -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    angle = np.linspace(0, 2 * np.pi, N, endpoint=False)
    ring = 0.5 + 0.3 * np.stack([np.cos(angle), np.sin(angle)], axis=1)  # (N, 2)
    weight = 0.05 * np.random.default_rng(3).normal(size=(9, 2 * N))
    return weight.astype(np.float32), ring.reshape(-1).astype(np.float32)


def _tiny_landmarks(crops: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return what `tiny_graph` must give, in float64 until the end."""
    weight, bias = _tiny_weights()
    x = crops / 255.0
    ramp = np.linspace(-1, 1, SIZE_PX)
    slope_x = (x * ramp[None, None, :, None]).mean(axis=(1, 2))
    slope_y = (x * ramp[None, :, None, None]).mean(axis=(1, 2))
    features = np.concatenate([x.mean(axis=(1, 2)), slope_x, slope_y], axis=1)  # (K, 9)
    return (features @ weight + bias).reshape(-1, N, 2).astype(np.float32)
