"""Graphs with a patch crop, from the export's bytes to landmarks, on doubles of TensorRT."""

from __future__ import annotations

import gc
import hashlib
import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from facealign.bundle import Bundle, Golden, Manifest
from facealign.errors import BackendError, IntegrityError, MissingLibraryError, TargetError
from facealign.export.passes.lower import Form
from facealign.runtime import open_session
from facealign.runtime.ort_engine import run_graph
from facealign.runtime.tensorrt import build_bundle, bundle_engine
from facealign.runtime.tensorrt.build import BuiltPlan, GraphToBuild, build_plan
from facealign.runtime.tensorrt.build_bundle import BundlePlan, open_builder
from facealign.runtime.tensorrt.build_options import BuildOptions
from facealign.runtime.tensorrt.device import DeviceInfo, open_device
from facealign.runtime.tensorrt.open_plan import open_plan
from facealign.runtime.tensorrt.plan import read_plan, write_plan
from facealign.runtime.tensorrt.plugins import register
from facealign.runtime.tensorrt.plugins.register import PATCH_CROP
from facealign.spec import contract_input, contract_outputs
from tests.doubles.cuda import Double
from tests.doubles.host_device import HostDevice
from tests.doubles.host_patch_crop import IMAGE, PatchCropDevice
from tests.doubles.libcuda_memory import LibcudaMemory
from tests.doubles.tensorrt import VERSIONS, Plan, TensorrtDouble, plan_from_bytes
from tests.patch_crop_bundle import patch_crop_bundle, patch_crop_graph
from tests.unit.runtime.tensorrt.plugins.conftest import cpu_image

__all__ = ["cpu_image"]

SAME = 1e-5  # fractions of the crop; see plugins/test_launch.py
HALF = 2**-10  # ONNX Runtime may round between the two samplings otherwise
OPTIONS = BuildOptions(max_batch=2)
BODY_WINS, PLUGIN_WINS = "10.3", "10.13"  # where the graph has both
NO_COMPILER = "NVRTC, which compiles kernels, cannot be loaded"
MakeBundle = Callable[[Form], Bundle]


@pytest.fixture
def device() -> PatchCropDevice:
    return PatchCropDevice()


@pytest.fixture(autouse=True)
def image(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compile the kernels to what the device takes."""
    monkeypatch.setattr(register, "compiled_kernels", lambda *_, **__: IMAGE)


@pytest.fixture
def no_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> bytes:
        raise MissingLibraryError(NO_COMPILER)

    monkeypatch.setattr(register, "compiled_kernels", fail)


@pytest.fixture
def double(
    request: pytest.FixtureRequest, device: PatchCropDevice, monkeypatch: pytest.MonkeyPatch
) -> TensorrtDouble:
    double = TensorrtDouble(getattr(request, "param", BODY_WINS), device)
    monkeypatch.setitem(sys.modules, "tensorrt", double.module)
    for module in (build_bundle, bundle_engine):
        monkeypatch.setattr(module, "open_device", lambda: device)
    return double


@pytest.fixture
def make_bundle(tmp_path: Path, tiny_manifest: Manifest, tiny_golden: Golden) -> MakeBundle:
    return lambda form: patch_crop_bundle(tmp_path / form, form, tiny_manifest, tiny_golden)


def build_graph(double: TensorrtDouble, form: Form) -> BuiltPlan:
    data = patch_crop_graph(form)
    graph = GraphToBuild(
        data, hashlib.sha256(data).hexdigest(), (contract_input(16),), contract_outputs(98)
    )
    return build_plan(double.module, PatchCropDevice(), graph, OPTIONS)


def opened(double: TensorrtDouble, built: BuiltPlan) -> Plan:
    return plan_from_bytes(built.data, version=double.api.version)


def build_bundle_plan(bundle: Bundle, device: HostDevice) -> BundlePlan:
    with open_builder(bundle, OPTIONS, timing_cache=bundle.folder / "timing") as builder:
        plan = builder.build("fp32")
    device.is_closed = False  # it stands for the next one that is opened too
    return plan


def is_registered(double: TensorrtDouble) -> bool:
    return double.registry.get_creator("PatchCrop", "1", "facealign") is not None


@pytest.mark.parametrize("version", VERSIONS)
def test_graph_without_body_is_built_with_the_plugin(version: str) -> None:
    double = TensorrtDouble(version)

    built = build_graph(double, "plugin")

    assert built.plugins == (PATCH_CROP,)
    assert built.notes == ()
    assert [kept["node"] for kept in opened(double, built).plugins] == ["first", "second"]
    assert not is_registered(double)


def test_graph_with_body_is_built_with_the_plugin_where_it_wins() -> None:
    double = TensorrtDouble(PLUGIN_WINS)

    built = build_graph(double, "function")

    assert (built.plugins, built.notes) == ((PATCH_CROP,), ())
    assert opened(double, built).plugins


def test_graph_with_body_says_that_this_tensorrt_prefers_the_body() -> None:
    double = TensorrtDouble(BODY_WINS)

    built = build_graph(double, "function")

    assert built.plugins == ()
    assert opened(double, built).plugins == []
    (note,) = built.notes
    assert "the patch crop runs by its ONNX function: this TensorRT prefers it" in note


@pytest.mark.usefixtures("no_compiler")
def test_graph_with_body_is_built_without_a_compiler_and_says_so() -> None:
    built = build_graph(TensorrtDouble(PLUGIN_WINS), "function")

    assert built.plugins == ()
    assert built.notes == (f"the patch crop runs by its ONNX function: {NO_COMPILER}",)


@pytest.mark.usefixtures("no_compiler")
def test_graph_without_body_is_not_built_without_a_compiler() -> None:
    double = TensorrtDouble()

    with pytest.raises(MissingLibraryError, match=NO_COMPILER):
        build_graph(double, "plugin")

    assert double.calls == []


@pytest.mark.usefixtures("no_compiler")
def test_graph_without_patch_crop_is_built_without_any_plugin() -> None:
    built = build_graph(TensorrtDouble(), "standard")

    assert (built.plugins, built.notes) == ((), ())


def test_graph_without_body_is_refused_below_10_3() -> None:
    double = TensorrtDouble()
    double.module.__version__ = "8.6.2"

    with pytest.raises(TargetError, match=r"is for TensorRT 10\.3 and later, and this is 8\.6\.2"):
        build_graph(double, "plugin")


def test_a_failed_build_leaves_no_plugin_behind() -> None:
    double = TensorrtDouble()
    double.refused = {"Transpose": "no Transpose"}

    with pytest.raises(TargetError, match="no Transpose"):
        build_graph(double, "plugin")

    gc.collect()
    assert not is_registered(double)


@pytest.mark.parametrize("double", VERSIONS, indirect=True)
def test_plan_with_the_plugin_gives_the_landmarks_of_the_bundle(
    double: TensorrtDouble, device: PatchCropDevice, make_bundle: MakeBundle, tiny_golden: Golden
) -> None:
    bundle = make_bundle("plugin")
    plan = build_bundle_plan(bundle, device)
    device.launches.clear()

    with open_session(bundle, engine="tensorrt") as session:
        was_registered = is_registered(double)
        found = session.run_crops(tiny_golden.crops)["landmarks"]
    gc.collect()

    expected = run_graph(patch_crop_graph("standard"), tiny_golden.crops)["landmarks"]
    np.testing.assert_allclose(found, expected, atol=SAME, rtol=0)
    assert plan.record.plugins == (PATCH_CROP,)
    assert set(device.launches) == {"patch_crop_fp32"}
    assert (was_registered, is_registered(double)) == (True, False)
    assert (double.objects_alive(), device.things_alive()) == ({}, {})


@pytest.mark.usefixtures("double")
def test_plan_with_the_plugin_keeps_maps_of_float16(
    device: PatchCropDevice,
    tmp_path: Path,
    tiny_manifest: Manifest,
    tiny_golden: Golden,
) -> None:
    graph = patch_crop_graph("plugin", has_half_maps=True)
    bundle = patch_crop_bundle(tmp_path / "half", "plugin", tiny_manifest, tiny_golden, graph=graph)

    path = build_bundle_plan(bundle, device).path
    device.launches.clear()
    with closing(open_plan(path, device=device)) as engine:
        found = engine.run(tiny_golden.crops[:2])["landmarks"]

    np.testing.assert_allclose(
        found, run_graph(graph, tiny_golden.crops[:2])["landmarks"], atol=HALF
    )
    assert set(device.launches) == {"patch_crop_fp16"}


@pytest.mark.usefixtures("double")
def test_plan_with_the_plugin_replays_as_a_cuda_graph(
    device: PatchCropDevice, make_bundle: MakeBundle, tiny_golden: Golden
) -> None:
    plan = build_bundle_plan(make_bundle("plugin"), device)
    crops = tiny_golden.crops
    expected = run_graph(patch_crop_graph("standard"), crops)["landmarks"]

    with closing(open_plan(plan.path, device=device)) as engine:
        engine.warm_up([1])
        found = [engine.run(crops[i : i + 1])["landmarks"][0] for i in range(len(crops))]
        batches = engine.graph_batches

    assert batches == {1}
    np.testing.assert_allclose(found, expected, atol=SAME, rtol=0)


def test_sessions_share_the_plugin_until_the_last_is_closed(
    double: TensorrtDouble, device: PatchCropDevice, make_bundle: MakeBundle, tiny_golden: Golden
) -> None:
    path = build_bundle_plan(make_bundle("plugin"), device).path
    first, second = open_plan(path, device=device), open_plan(path, device=device)
    crops = tiny_golden.crops[:2]

    first.close()
    found = second.run(crops)["landmarks"]
    was_registered = is_registered(double)
    second.close()

    expected = run_graph(patch_crop_graph("standard"), crops)["landmarks"]
    np.testing.assert_allclose(found, expected, atol=SAME, rtol=0)
    assert (was_registered, is_registered(double)) == (True, False)


def test_each_plan_runs_the_kernel_of_its_own_device(
    double: TensorrtDouble, device: PatchCropDevice, make_bundle: MakeBundle, tiny_golden: Golden
) -> None:
    path = build_bundle_plan(make_bundle("plugin"), device).path
    others = [PatchCropDevice(), PatchCropDevice()]
    launches = []

    for other in others:
        double.cuda = other
        with closing(open_plan(path, device=other)) as engine:
            engine.run(tiny_golden.crops[:1])
        launches.append(len(other.launches))

    assert min(launches) > 0


@pytest.mark.usefixtures("double", "no_compiler")
def test_engine_says_in_one_line_that_nothing_compiles_the_plugin(
    device: PatchCropDevice, make_bundle: MakeBundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = make_bundle("plugin")
    with monkeypatch.context() as there:
        there.setattr(register, "compiled_kernels", lambda *_, **__: IMAGE)
        build_bundle_plan(bundle, device)

    with pytest.raises(MissingLibraryError, match=f"^{NO_COMPILER}$"):
        open_session(bundle, engine="tensorrt")

    assert device.is_closed


@pytest.mark.usefixtures("double")
def test_engine_refuses_a_plan_of_a_plugin_that_there_is_not(
    device: PatchCropDevice, make_bundle: MakeBundle
) -> None:
    path = build_bundle_plan(make_bundle("plugin"), device).path
    plan = read_plan(path)
    write_plan(
        path, replace(plan, record=replace(plan.record, plugins=("facealign::PatchCrop/9",)))
    )

    with pytest.raises(
        IntegrityError, match=r"needs the plugin `facealign::PatchCrop/9`, and this"
    ):
        open_plan(path, device=device)


def test_double_does_not_open_a_plan_whose_plugin_is_not_registered(
    double: TensorrtDouble, device: PatchCropDevice, make_bundle: MakeBundle
) -> None:
    path = build_bundle_plan(make_bundle("plugin"), device).path
    plan = read_plan(path)
    write_plan(path, replace(plan, record=replace(plan.record, plugins=())))

    with pytest.raises(BackendError, match="corresponding IPluginCreator not found"):
        open_plan(path, device=device)

    assert not is_registered(double)


def test_plan_with_the_plugin_runs_its_own_kernel_source(
    cuda: Double,
    cpu_image: bytes,
    tmp_path: Path,
    tiny_manifest: Manifest,
    tiny_golden: Golden,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The real `patch_crop.cu`, launched by the plugin, on the doubles of TensorRT and libcuda."""
    images: list[DeviceInfo] = []

    def compiled(_: str, info: DeviceInfo, **__: object) -> bytes:
        images.append(info)
        return cpu_image

    double = TensorrtDouble("10.3", LibcudaMemory(cuda))
    monkeypatch.setitem(sys.modules, "tensorrt", double.module)
    monkeypatch.setattr(register, "compiled_kernels", compiled)
    for module in (build_bundle, bundle_engine):
        monkeypatch.setattr(module, "open_device", lambda: open_device(library=str(cuda.path)))
    bundle = patch_crop_bundle(tmp_path / "real", "plugin", tiny_manifest, tiny_golden)

    with open_builder(bundle, OPTIONS, timing_cache=tmp_path / "timing") as builder:
        built = builder.build("fp32")
    with open_session(bundle, engine="tensorrt") as session:
        found = session.run_crops(tiny_golden.crops)["landmarks"]
    gc.collect()

    expected = run_graph(patch_crop_graph("standard"), tiny_golden.crops)["landmarks"]
    np.testing.assert_allclose(found, expected, atol=SAME, rtol=0)
    assert built.record.plugins == (PATCH_CROP,)
    assert len(images) == 3  # the build, its self-test, and the session
    assert (double.objects_alive(), cuda.live()) == ({}, 0)
