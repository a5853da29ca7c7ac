from __future__ import annotations

import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper

from facealign.bundle import Golden, read_bundle
from facealign.errors import BackendError, GraphContractError, ShapeError, UsageError
from facealign.runtime import open_session
from facealign.runtime.engine import engine_names, open_engine

openvino = pytest.importorskip(
    "openvino", reason="OpenVINO is not installed; `pip install 'facealign[openvino]'`"
)

from facealign.runtime.openvino_engine import OpenvinoEngine  # noqa: E402  # needs openvino

SAME = 1e-6  # of the crop; measured 6e-8 between float32 here and float64 in the fixture


def open_tiny(
    graph: bytes, names: tuple[str, str] = ("image", "landmarks"), *, threads: int | None = 1
) -> OpenvinoEngine:
    return OpenvinoEngine(
        graph, input_name=names[0], output_names=names[1:], max_batch=4, threads=threads
    )


@pytest.fixture(scope="module")
def engine(tiny_graph: bytes) -> OpenvinoEngine:
    return open_tiny(tiny_graph)


def graph_of(operator: str, *, domain: str = "") -> bytes:
    """Return a graph of one node from crops to as many float32 numbers."""
    axes: list[str | int | None] = ["B", 16, 16, 3]
    node = helper.make_node(operator, ["image"], ["landmarks"], domain=domain)
    image = helper.make_tensor_value_info("image", TensorProto.UINT8, axes)
    landmarks = helper.make_tensor_value_info("landmarks", TensorProto.FLOAT, axes)
    opsets = [helper.make_opsetid("", 19), helper.make_opsetid("facealign", 1)]
    model = helper.make_model(
        helper.make_graph([node], "g", [image], [landmarks]), opset_imports=opsets, ir_version=9
    )
    return bytes(model.SerializeToString())


def test_openvino_is_among_the_engines() -> None:
    assert "openvino" in engine_names()


def test_openvino_session_passes_the_self_test_and_runs_a_frame(
    tiny_bundle: Path, frame: NDArray[np.uint8]
) -> None:
    boxes = [[10, 20, 60, 70], [40, 30, 90, 80], [5, 5, 50, 60], [70, 40, 150, 110], [0, 0, 50, 50]]

    with open_session(tiny_bundle, engine="openvino") as session:
        found = session.run(frame, boxes)

    with open_session(tiny_bundle, engine="onnxruntime") as peer:
        np.testing.assert_allclose(found.xy, peer.run(frame, boxes).xy, rtol=0, atol=1e-3)
    assert session.engine_name == "openvino"


def test_openvino_engine_gives_the_golden_landmarks(
    engine: OpenvinoEngine, tiny_golden: Golden
) -> None:
    outputs = engine.run(tiny_golden.crops)

    np.testing.assert_allclose(outputs["landmarks"], tiny_golden.landmarks, rtol=0, atol=SAME)
    assert outputs["landmarks"].dtype == np.float32


def test_openvino_engine_gives_a_crop_the_same_in_every_batch(
    engine: OpenvinoEngine, tiny_golden: Golden
) -> None:
    together = engine.run(tiny_golden.crops)["landmarks"]
    alone = engine.run(tiny_golden.crops[2:])["landmarks"]

    np.testing.assert_array_equal(together[2:], alone)


def test_openvino_engine_takes_strided_and_read_only_crops(
    engine: OpenvinoEngine, tiny_golden: Golden
) -> None:
    mirrored = tiny_golden.crops[:, :, ::-1]
    read_only = mirrored.copy()
    read_only.flags.writeable = False

    strided, fixed = (engine.run(crops)["landmarks"] for crops in (mirrored, read_only))

    np.testing.assert_array_equal(strided, fixed)


def test_openvino_engine_hands_out_arrays_that_later_runs_leave_alone(
    engine: OpenvinoEngine, tiny_golden: Golden
) -> None:
    first = engine.run(tiny_golden.crops[:1])["landmarks"]
    kept = first.copy()

    engine.run(tiny_golden.crops[1:2])

    np.testing.assert_array_equal(first, kept)


def test_openvino_engine_gives_the_same_in_several_threads(
    engine: OpenvinoEngine, tiny_golden: Golden
) -> None:
    expected = [engine.run(crop[None])["landmarks"] for crop in tiny_golden.crops]
    started = threading.Barrier(4)

    def work(index: int) -> list[NDArray[np.float32]]:
        started.wait()
        crop = tiny_golden.crops[index % 3][None]
        return [engine.run(crop)["landmarks"] for _ in range(20)]

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(work, range(4)))

    np.testing.assert_array_equal(
        np.array(found), np.array([[expected[index % 3]] * 20 for index in range(4)])
    )


def test_openvino_engine_keeps_requests_for_later_runs(
    tiny_graph: bytes, tiny_golden: Golden
) -> None:
    engine = open_tiny(tiny_graph)
    engine.run(tiny_golden.crops)
    requests = list(engine._idle)

    engine.run(tiny_golden.crops)

    assert len(requests) == 1
    assert engine._idle == requests


@pytest.mark.parametrize(
    ("asked", "variable"), [(1, "2"), (None, "1")], ids=["argument first", "then environment"]
)
def test_openvino_engine_takes_its_threads_from_argument_or_environment(
    tiny_graph: bytes, monkeypatch: pytest.MonkeyPatch, asked: int | None, variable: str
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", variable)

    engine = open_tiny(tiny_graph, threads=asked)

    assert engine._compiled is not None
    assert engine._compiled.get_property("INFERENCE_NUM_THREADS") == 1


def test_openvino_engine_runs_in_fp32_on_one_unpinned_stream(engine: OpenvinoEngine) -> None:
    assert engine._compiled is not None

    settings = {
        name: engine._compiled.get_property(name)
        for name in ("INFERENCE_PRECISION_HINT", "NUM_STREAMS", "ENABLE_CPU_PINNING")
    }

    assert settings == {
        "INFERENCE_PRECISION_HINT": openvino.Type.f32,
        "NUM_STREAMS": 1,
        "ENABLE_CPU_PINNING": False,
    }


@pytest.mark.parametrize("graph", [b"", b"no graph at all"], ids=["empty", "garbage"])
def test_openvino_engine_says_what_is_wrong_with_a_graph_in_one_line(
    graph: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(BackendError, match=r"^openvino [\d.]+ cannot open the graph: .+$"):
        open_tiny(graph)

    assert capfd.readouterr() == ("", "")


def test_openvino_engine_says_what_to_do_about_an_operator_of_ours() -> None:
    message = r"operations: facealign\.PatchCrop; it runs .*`--patch-crop standard`$"

    with pytest.raises(BackendError, match=message):
        open_tiny(graph_of("PatchCrop", domain="facealign"))


def test_openvino_engine_rejects_crops_of_another_size(
    engine: OpenvinoEngine, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(BackendError, match=r"cannot run the graph: .*expecting \[1,16,16,3\]"):
        engine.run(np.zeros((1, 8, 8, 3), np.uint8))

    assert capfd.readouterr() == ("", "")


def test_openvino_engine_runs_on_after_crops_of_another_size(
    engine: OpenvinoEngine, tiny_golden: Golden
) -> None:
    with pytest.raises(BackendError):
        engine.run(np.zeros((1, 8, 8, 3), np.uint8))

    landmarks = engine.run(tiny_golden.crops)["landmarks"]

    np.testing.assert_allclose(landmarks, tiny_golden.landmarks, rtol=0, atol=SAME)


def test_openvino_engine_rejects_crops_that_it_would_cast(engine: OpenvinoEngine) -> None:
    with pytest.raises(ShapeError, match=r"crops must be uint8, got float32; use `\.astype"):
        engine.run(np.zeros((1, 16, 16, 3), np.float32))


@pytest.mark.parametrize(
    ("names", "message"),
    [
        pytest.param(("crop", "landmarks"), r"no input 'crop', it has \['image'\]", id="input"),
        pytest.param(("image", "pose"), r"no output 'pose', it has \['landm", id="output"),
    ],
)
def test_openvino_engine_rejects_a_graph_that_breaks_the_contract(
    tiny_graph: bytes, names: tuple[str, str], message: str
) -> None:
    with pytest.raises(GraphContractError, match=message):
        open_tiny(tiny_graph, names)


@pytest.mark.parametrize(
    ("devices", "precision", "message"),
    [
        pytest.param(
            ["GPU.0"], "f32", r"\['CPU'\] in f32, .* gave \['GPU.0'\] in f32", id="device"
        ),
        pytest.param(["CPU"], "bf16", r"gave \['CPU'\] in bf16", id="precision"),
    ],
)
def test_openvino_engine_refuses_another_device_or_precision_than_it_asked_for(
    tiny_graph: bytes,
    monkeypatch: pytest.MonkeyPatch,
    devices: list[str],
    precision: str,
    message: str,
) -> None:
    gives = {
        "EXECUTION_DEVICES": devices,
        "INFERENCE_PRECISION_HINT": getattr(openvino.Type, precision),
    }
    monkeypatch.setattr(openvino.CompiledModel, "get_property", lambda _, name: gives[name])

    with pytest.raises(BackendError, match=message):
        open_tiny(tiny_graph)


def test_openvino_engine_says_that_it_is_closed(tiny_graph: bytes, tiny_golden: Golden) -> None:
    engine = open_tiny(tiny_graph)
    engine.close()
    engine.close()

    with pytest.raises(UsageError, match="the engine is closed; open a new one"):
        engine.run(tiny_golden.crops)


def test_openvino_engine_finishes_a_run_that_close_interrupts(
    tiny_graph: bytes, tiny_golden: Golden
) -> None:
    engine = open_tiny(tiny_graph)

    with engine._request() as request:
        engine.close()
        outputs = engine._run_one(request, tiny_golden.crops[:1])

    np.testing.assert_allclose(outputs["landmarks"], tiny_golden.landmarks[:1], rtol=0, atol=SAME)
    assert engine._idle == []


def test_open_engine_names_the_extra_when_openvino_is_absent(
    tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    monkeypatch.delitem(sys.modules, "facealign.runtime.openvino_engine", raising=False)

    with pytest.raises(BackendError, match=r"cannot be imported .*\"facealign\[openvino\]\""):
        open_engine(read_bundle(tiny_bundle), name="openvino", precision="fp32")
