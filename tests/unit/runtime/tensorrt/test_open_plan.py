"""From files to engines, on the doubles."""

from __future__ import annotations

import gc
import logging
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from facealign.bundle import Bundle, Golden, read_bundle
from facealign.errors import BackendError, IntegrityError, MissingLibraryError, TargetError
from facealign.runtime import open_session
from facealign.runtime.engine import engine_names
from facealign.runtime.tensorrt import bundle_engine, open_plan
from facealign.runtime.tensorrt.build_bundle import PlanBuilder
from facealign.runtime.tensorrt.build_options import BuildOptions
from facealign.runtime.tensorrt.device import open_device
from facealign.runtime.tensorrt.engine import engine_from_plan
from tests.doubles.host_device import HostDevice
from tests.doubles.tensorrt import TensorrtDouble

TOLERANCE = 1e-5


@pytest.fixture
def bundle(tiny_bundle: Path) -> Bundle:
    return read_bundle(tiny_bundle)


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch, device: HostDevice) -> HostDevice:
    """Return the device that is opened where none is given."""
    monkeypatch.setattr(bundle_engine, "open_device", lambda: device)
    monkeypatch.setattr(open_plan, "open_device", lambda: device)
    return device


@pytest.fixture
def plan(bundle: Bundle, double: TensorrtDouble, device: HostDevice) -> Path:
    """Return the plan that was built of the bundle."""
    builder = PlanBuilder(
        double.module,
        device,
        lambda plan: engine_from_plan(open_plan.contract_from_plan(plan, name="plan"), device),
        bundle,
        BuildOptions(max_batch=2),
    )
    return builder.build("fp32").path


def test_tensorrt_is_an_engine() -> None:
    assert "tensorrt" in engine_names()


@pytest.mark.usefixtures("plan")
def test_session_runs_the_plan_of_its_bundle(
    double: TensorrtDouble, here: HostDevice, bundle: Bundle, tiny_golden: Golden
) -> None:
    with open_session(bundle, engine="tensorrt") as session:
        landmarks = session.run_crops(tiny_golden.crops)["landmarks"]
        name = session.engine_name
    gc.collect()

    assert name == "tensorrt"
    np.testing.assert_allclose(landmarks, tiny_golden.landmarks, atol=TOLERANCE)
    assert (double.objects_alive(), here.things_alive(), here.is_closed) == ({}, {}, True)


@pytest.mark.usefixtures("here", "plan")
def test_two_sessions_of_one_bundle_run_side_by_side(bundle: Bundle, tiny_golden: Golden) -> None:
    sessions = [open_session(bundle, engine="tensorrt") for _ in range(2)]

    found = [session.run_crops(tiny_golden.crops)["landmarks"] for session in sessions]
    sessions[0].close()
    found.append(sessions[1].run_crops(tiny_golden.crops)["landmarks"])
    sessions[1].close()

    for landmarks in found:
        np.testing.assert_allclose(landmarks, tiny_golden.landmarks, atol=TOLERANCE)


@pytest.mark.usefixtures("here")
def test_open_session_says_how_to_build_what_is_absent(bundle: Bundle, plan: Path) -> None:
    plan.unlink()

    with pytest.raises(TargetError, match=r"has no fp32 plan .* run `facealign build .*` here"):
        open_session(bundle, engine="tensorrt")


@pytest.mark.usefixtures("here")
def test_open_session_refuses_a_changed_byte_before_tensorrt_sees_it(
    double: TensorrtDouble, bundle: Bundle, plan: Path
) -> None:
    data = bytearray(plan.read_bytes())
    data[100] ^= 1
    plan.write_bytes(data)
    double.reset_calls()

    with pytest.raises(IntegrityError, match="not what its sidecar was written for"):
        open_session(bundle, engine="tensorrt")

    assert double.calls == []


@pytest.mark.usefixtures("double")
def test_open_session_says_what_to_install_where_cuda_is_absent(
    monkeypatch: pytest.MonkeyPatch, bundle: Bundle
) -> None:
    monkeypatch.setattr(
        bundle_engine, "open_device", lambda: open_device(library="/nowhere/libcuda.so.1")
    )

    with pytest.raises(
        BackendError, match=r"cannot be loaded .*; install NVIDIA's driver"
    ) as raised:
        open_session(bundle, engine="tensorrt")

    assert raised.value.exit_code == 7
    assert "\n" not in str(raised.value)


def test_open_plan_needs_the_two_files_only(
    here: HostDevice, plan: Path, tiny_golden: Golden, tmp_path: Path
) -> None:
    alone = tmp_path / "alone"
    alone.mkdir()
    for path in (plan, plan.with_name(f"{plan.name}.json")):
        (alone / path.name).write_bytes(path.read_bytes())

    with closing(open_plan.open_plan(alone / plan.name)) as engine:
        landmarks = engine.run(tiny_golden.crops[:2])["landmarks"]

    np.testing.assert_allclose(landmarks, tiny_golden.landmarks[:2], atol=TOLERANCE)
    assert engine.max_batch == 2
    assert here.is_closed


def test_open_plan_leaves_a_device_that_it_was_given_open(plan: Path) -> None:
    device = HostDevice()

    engine = open_plan.open_plan(plan, device=device)
    engine.close()

    assert not device.is_closed


def test_open_plan_refuses_the_plan_of_another_machine(plan: Path) -> None:
    other = HostDevice()
    other.info = replace(other.info, name="another GPU")

    with pytest.raises(TargetError, match="built for GPU host double and this machine has GPU ano"):
        open_plan.open_plan(plan, device=other)


@pytest.mark.usefixtures("double")
def test_engine_offers_frames_where_the_kernel_compiles(
    monkeypatch: pytest.MonkeyPatch, here: HostDevice, plan: Path, bundle: Bundle
) -> None:
    monkeypatch.setattr(bundle_engine, "compiled_kernels", lambda *_: b"image")
    here.kernels["crop_squares"] = lambda *_: None
    engine = bundle_engine.open_engine(bundle, precision="fp32", threads=None)

    assert plan.exists()
    assert engine.crops_frames
    engine.close()


@pytest.mark.parametrize("failing", ["compiler", "driver"])
@pytest.mark.usefixtures("here", "plan")
def test_engine_says_why_it_takes_crops_only(
    monkeypatch: pytest.MonkeyPatch,
    bundle: Bundle,
    caplog: pytest.LogCaptureFixture,
    failing: str,
) -> None:
    compile_kernels = {"compiler": without_compiler, "driver": lambda *_: b"image"}[failing]
    monkeypatch.setattr(bundle_engine, "compiled_kernels", compile_kernels)

    with caplog.at_level(logging.INFO):
        engine = bundle_engine.open_engine(bundle, precision="fp32", threads=None)
    engine.close()

    assert not engine.crops_frames
    assert any("crops are cut on the CPU: " in record.message for record in caplog.records)


def without_compiler(*_: object) -> bytes:
    raise MissingLibraryError("there is no NVRTC")
