from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import msgspec
import numpy as np
import pytest
import torch

from facealign.bundle import (
    Fingerprint,
    Golden,
    GoldenEntry,
    Manifest,
    files_from_golden,
    npy_from_array,
    read_bundle,
    write_bundle,
)
from facealign.errors import BackendError, UsageError
from facealign.geometry import crops_from_frame, placement_from_boxes
from facealign.pipeline.bench_subject import BundleSubject, SubjectSpec, open_subject
from facealign.pipeline.contents import golden_of
from facealign.runtime import Landmarks, Session
from facealign.runtime.tensorrt.engine import engine_from_plan
from facealign.runtime.tensorrt.plan_contract import PlanContract
from facealign.spec import contract_input, contract_outputs
from tests.conformance.tiny import tiny_checkpoint, tiny_model
from tests.doubles.host_device import HostDevice
from tests.doubles.tensorrt import TensorrtDouble
from tests.unit.runtime.tensorrt.conftest import contract, device, double, install

__all__ = ["contract", "device", "double", "install"]

_NETWORK = "sdfl/l-grl-vgg-bn"
_BATCH = 3
_SIZE_PX = 16


def _line(bundle: Path, **changes: object) -> bytes:
    spec = {"bundle": str(bundle), "engine": "onnxruntime", "precision": "fp32", "batch": _BATCH}
    return msgspec.json.encode(SubjectSpec(**{**spec, **changes}))  # type: ignore[arg-type]  # of one mapping


@pytest.fixture
def subject(tiny_bundle: Path) -> Iterator[BundleSubject]:
    opened = open_subject(_line(tiny_bundle))
    yield opened
    opened.close()


@pytest.fixture
def network_bundle(tmp_path: Path, tiny_manifest: Manifest, tiny_graph: bytes) -> Path:
    """Return a bundle of a tiny SDFL whose graph nobody opens, and ``tiny.pt`` beside it."""
    model = tiny_model(_NETWORK)
    torch.save(dict(tiny_checkpoint(_NETWORK).state_dict), tmp_path / "tiny.pt")
    golden = golden_of(model)
    count = golden.landmarks.shape[1]
    manifest = msgspec.structs.replace(
        tiny_manifest,
        family=model.family.name,
        scheme=model.scheme.name,
        landmark_count=count,
        inputs=(contract_input(model.crop.size_px),),
        outputs=contract_outputs(count),
        crop=model.crop,
        golden=GoldenEntry(max_px=0.02, max_grey=2.0),
        assets={n: Fingerprint(name=a.file_name, sha256=a.sha256) for n, a in model.assets.items()},
        options={"targets": "jetpack-6"},  # no setting of a network
    )
    assets = {f"assets/{name}.npy": npy_from_array(a.array) for name, a in model.assets.items()}
    files = {"model.fp32.onnx": tiny_graph, **files_from_golden(golden, manifest.golden), **assets}
    return write_bundle(tmp_path / "network.bundle", manifest, files)


def test_open_subject_runs_the_engine_and_the_session(subject: BundleSubject) -> None:
    assert list(subject.runs) == ["forward", "end to end"]


def test_subject_of_one_crop_cuts_it_alone_too(tiny_bundle: Path, tiny_golden: Golden) -> None:
    rule = read_bundle(tiny_bundle).manifest.crop
    placement = placement_from_boxes(tiny_golden.boxes[:1], rule.from_box)

    with closing(open_subject(_line(tiny_bundle, batch=1))) as subject:
        crop = subject.runs["crop"]()

    np.testing.assert_array_equal(crop, crops_from_frame(tiny_golden.frame, placement, rule))


def test_subject_times_the_crops_that_the_session_cuts(
    subject: BundleSubject, tiny_bundle: Path, tiny_golden: Golden
) -> None:
    bundle = read_bundle(tiny_bundle)
    boxes = tiny_golden.boxes[[0, 0, 0]]  # the other reaches out of the frame

    forward, end_to_end = (run() for run in subject.runs.values())

    placement = placement_from_boxes(boxes, bundle.manifest.crop.from_box)
    assert isinstance(end_to_end, Landmarks)
    np.testing.assert_array_equal(end_to_end.boxes, boxes)
    assert isinstance(forward, dict)
    expected = placement.centre[:, None] + placement.side[:, None, None] * (
        forward["landmarks"] - 0.5
    )
    np.testing.assert_allclose(end_to_end.xy, expected, atol=1e-4)


def test_subject_gives_landmarks_in_crop_pixels(
    subject: BundleSubject, tiny_golden: Golden
) -> None:
    found = subject.landmarks_px()

    expected = _SIZE_PX * tiny_golden.landmarks[[0, 0, 0]]
    np.testing.assert_allclose(found, expected, atol=0.01)


def test_subject_runs_frames_with_as_many_faces_as_asked(subject: BundleSubject) -> None:
    found = subject.frame_run(5)()  # more than the engine takes at a time

    assert isinstance(found, Landmarks)
    assert len(found) == 5


def test_subject_without_a_gpu_has_no_times_of_one(subject: BundleSubject) -> None:
    assert subject.gpu_times(3) is None


@pytest.mark.usefixtures("double")
def test_subject_on_tensorrt_has_the_times_that_trtexec_prints(
    tiny_bundle: Path,
    device: HostDevice,  # the fixture of that name
    contract: PlanContract,  # likewise
) -> None:
    bundle = read_bundle(tiny_bundle)
    engine = engine_from_plan(contract, device)
    session = Session(engine, bundle.manifest)
    subject = BundleSubject(bundle, engine, session, precision="fp32", batch=2)

    found = subject.gpu_times(4)

    assert found is not None
    assert found.gpu_compute_time.count == 4
    # The double's clock ticks once between two events.
    parts = (found.h2d_latency, found.gpu_compute_time, found.d2h_latency)
    assert [part.median_ms for part in parts] == [1.0, 1.0, 1.0]
    assert found.latency.median_ms == 3.0
    assert found.enqueue_time.min_ms > 0
    assert (found.cuda_graph, found.data_transfers) == (True, True)
    # The double takes 0.25 ms longer for each node of the graph than for the one before.
    gemm = next(layer for layer in found.layers if layer.operator == "Gemm")
    assert (gemm.name, gemm.average_ms, gemm.median_ms) == ("node_of_flat", 2.25, 2.25)
    assert sum(layer.percentage for layer in found.layers) == pytest.approx(100)
    assert found.no_layers is None


def test_subject_on_tensorrt_says_why_there_are_no_layers(
    double: TensorrtDouble,  # the fixture of that name
    tiny_bundle: Path,
    device: HostDevice,  # likewise
    contract: PlanContract,  # likewise
) -> None:
    bundle = read_bundle(tiny_bundle)
    engine = engine_from_plan(contract, device)
    session = Session(engine, bundle.manifest)
    subject = BundleSubject(bundle, engine, session, precision="fp32", batch=2)
    before = device.things_alive()
    double.reset_calls()
    subject.gpu_times(1)
    double.reset_calls(fail_at=double.calls.index("ICudaEngine.create_engine_inspector"))

    found = subject.gpu_times(1)

    assert found is not None
    assert found.layers == ()
    assert (found.no_layers or "").startswith("TensorRT cannot tell its layers: ")
    assert device.things_alive() == before


def test_open_subject_runs_the_module_of_the_checkpoint(network_bundle: Path) -> None:
    checkpoint = str(network_bundle.parent / "tiny.pt")
    golden = read_bundle(network_bundle).golden()

    subject = open_subject(_line(network_bundle, engine="pytorch", checkpoint=checkpoint, batch=1))

    expected = golden.landmarks[:1] * golden.crops.shape[1]
    np.testing.assert_allclose(subject.landmarks_px(), expected, atol=0.02)
    subject.close()


def test_open_subject_refuses_the_checkpoint_of_another_network(
    network_bundle: Path, tmp_path: Path
) -> None:
    state_dict = {
        name: value + 0.1 if value.is_floating_point() else value
        for name, value in tiny_checkpoint(_NETWORK).state_dict.items()
    }
    torch.save(state_dict, tmp_path / "other.pt")
    expected = r"other.pt` is not the network of this bundle, which was compiled from `tiny.pth`: "

    with pytest.raises(UsageError, match=expected):
        open_subject(_line(network_bundle, engine="pytorch", checkpoint=str(tmp_path / "other.pt")))


def test_open_subject_needs_the_checkpoint_for_pytorch(tiny_bundle: Path) -> None:
    with pytest.raises(UsageError, match=r"PyTorch needs the checkpoint; pass `--checkpoint FILE`"):
        open_subject(_line(tiny_bundle, engine="pytorch"))


def test_open_subject_says_that_tensorrt_is_absent(
    tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tensorrt", None)

    with pytest.raises(BackendError, match=r"TensorRT is not installed"):
        open_subject(_line(tiny_bundle, engine="tensorrt"))
