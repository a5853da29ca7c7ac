from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest

from facealign.errors import BackendError, IntegrityError, MissingLibraryError, TargetError
from facealign.runtime.tensorrt.device import Device, DeviceInfo
from facealign.runtime.tensorrt.kernels.nvrtc import Nvrtc
from facealign.runtime.tensorrt.plugins import register
from facealign.runtime.tensorrt.plugins.launch import KERNELS
from facealign.runtime.tensorrt.plugins.patch_crop_v3 import patch_crop_creator
from facealign.runtime.tensorrt.plugins.register import (
    PATCH_CROP,
    patch_crop_ptx,
    register_plugins,
)
from tests.doubles.cuda import NvrtcDouble
from tests.doubles.tensorrt import TensorrtDouble


@pytest.fixture
def double() -> TensorrtDouble:
    return TensorrtDouble("10.3")


@pytest.fixture
def trt(double: TensorrtDouble) -> ModuleType:
    return double.module


def creator_of(double: TensorrtDouble) -> Any:  # noqa: ANN401  # of a class made at run time
    return double.registry.get_creator("PatchCrop", "1", "facealign")


def test_register_gives_tensorrt_a_creator_whose_plugins_have_the_kernel(
    double: TensorrtDouble, trt: ModuleType, device: Device, nvrtc: NvrtcDouble
) -> None:
    plugins = register_plugins(trt, [PATCH_CROP], device, nvrtc=str(nvrtc.path))

    with plugins.making():
        made = creator_of(double).create_plugin("crop", [], trt.TensorRTPhase.BUILD)

    assert made._kernel._kernels.keys() == KERNELS.keys()
    assert made.clone()._kernel is made.attach_to_context(None)._kernel is made._kernel
    assert plugins.made == {PATCH_CROP}


def test_register_asks_nothing_of_tensorrt_without_a_plugin(device: Device) -> None:
    plugins = register_plugins(ModuleType("none"), [], device)

    plugins.close()

    assert plugins.made == set()


def test_two_users_share_the_creator_until_both_are_closed(
    double: TensorrtDouble, trt: ModuleType, device: Device, nvrtc: NvrtcDouble
) -> None:
    first, second = (
        register_plugins(trt, [PATCH_CROP], device, nvrtc=str(nvrtc.path)) for _ in range(2)
    )

    first.close()
    first.close()
    is_shared = creator_of(double) is not None
    second.close()

    assert is_shared
    assert creator_of(double) is None


def test_register_refuses_a_plugin_of_that_name_that_is_not_ours(
    double: TensorrtDouble, trt: ModuleType, device: Device, nvrtc: NvrtcDouble
) -> None:
    other = patch_crop_creator(trt, lambda: None)  # type: ignore[arg-type, return-value]  # never
    double.registry.register_creator(other, "facealign")

    with pytest.raises(BackendError, match=r"`facealign::PatchCrop`: it has another one already"):
        register_plugins(trt, [PATCH_CROP], device, nvrtc=str(nvrtc.path))

    assert creator_of(double) is other


def test_creator_gives_a_thread_of_tensorrt_the_kernel_of_the_only_user(
    double: TensorrtDouble, trt: ModuleType, device: Device, nvrtc: NvrtcDouble
) -> None:
    plugins = register_plugins(trt, [PATCH_CROP], device, nvrtc=str(nvrtc.path))

    made = creator_of(double).create_plugin("crop", [], trt.TensorRTPhase.BUILD)

    assert made._kernel is plugins.open_kernel()
    assert plugins.made == {PATCH_CROP}


def test_creator_does_not_guess_between_two_users(
    double: TensorrtDouble, trt: ModuleType, device: Device, nvrtc: NvrtcDouble
) -> None:
    users = [register_plugins(trt, [PATCH_CROP], device, nvrtc=str(nvrtc.path)) for _ in range(2)]

    with pytest.raises(BackendError, match="that no plan of ours asked for"):
        creator_of(double).create_plugin("crop", [], trt.TensorRTPhase.BUILD)

    assert [user.made for user in users] == [set(), set()]


def test_creator_makes_nothing_for_a_plan_that_asked_for_no_plugin(
    double: TensorrtDouble, trt: ModuleType, device: Device, nvrtc: NvrtcDouble
) -> None:
    register_plugins(trt, [PATCH_CROP], device, nvrtc=str(nvrtc.path))

    with (
        register_plugins(trt, [], device).making(),
        pytest.raises(BackendError, match="that no plan of ours asked for"),
    ):
        creator_of(double).create_plugin("crop", [], trt.TensorRTPhase.BUILD)


def test_register_refuses_a_plugin_that_there_is_none_of(trt: ModuleType, device: Device) -> None:
    with pytest.raises(
        IntegrityError, match=r"needs the plugin `other::Crop/1`, and this facealig"
    ):
        register_plugins(trt, [PATCH_CROP, "other::Crop/1"], device)


def test_register_refuses_tensorrt_before_10_3(trt: ModuleType, device: Device) -> None:
    vars(trt)["__version__"] = "10.2.0"

    with pytest.raises(
        TargetError, match=r"for TensorRT 10\.3 and later, and this is 10\.2\.0; exp"
    ):
        register_plugins(trt, [PATCH_CROP], device)


def test_register_says_that_nothing_compiles(
    double: TensorrtDouble, trt: ModuleType, device: Device
) -> None:
    with pytest.raises(MissingLibraryError, match="NVRTC"):
        register_plugins(trt, [PATCH_CROP], device, nvrtc="/nowhere/libnvrtc.so")

    assert creator_of(double) is None


def test_ptx_is_asked_for_a_virtual_architecture(
    device: Device, nvrtc: NvrtcDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    architecture = register._PtxCompiler._architecture

    def watched(self: register._PtxCompiler, capability: tuple[int, int]) -> str:
        asked.append(architecture(self, capability))
        return asked[-1]

    monkeypatch.setattr(register._PtxCompiler, "_architecture", watched)

    ptx = patch_crop_ptx(device.info, nvrtc=str(nvrtc.path))

    major, minor = device.info.compute_capability
    assert asked == [f"compute_{major}{minor}"]
    assert ptx
    assert nvrtc.calls("nvrtcGetPTX") == 1
    assert nvrtc.calls("nvrtcGetCUBIN") == 0


@pytest.mark.parametrize("capability", [(8, 7), (9, 0), (11, 0)], ids=["Orin", "Hopper", "Thor"])
def test_real_nvrtc_compiles_ptx_with_the_conversions_of_float16(
    capability: tuple[int, int],
) -> None:
    try:
        Nvrtc()
    except MissingLibraryError as error:
        pytest.skip(str(error))
    info = DeviceInfo(
        "any", capability, is_integrated=False, memory_bytes=1, driver_version=(13, 0)
    )

    ptx = patch_crop_ptx(info)

    assert all(f".entry {name}(".encode() in ptx for name in KERNELS.values())
    assert b"cvt.f32.f16" in ptx
    assert b"cvt.rn.f16.f32" in ptx
