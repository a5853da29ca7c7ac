from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace

import pytest

from facealign.errors import BackendError, MissingLibraryError
from facealign.runtime.tensorrt.device import Device, DeviceInfo
from facealign.runtime.tensorrt.kernels.nvrtc import Nvrtc
from facealign.runtime.tensorrt.plugins import register
from facealign.runtime.tensorrt.plugins.launch import KERNELS
from facealign.runtime.tensorrt.plugins.register import patch_crop_ptx, register_patch_crop
from tests.doubles.cuda import NvrtcDouble


class Registry:
    """Stands for TensorRT's, of which the bindings have none without a library."""

    def __init__(self) -> None:
        self.creators: list[object] = []

    def register_creator(self, creator: object, plugin_namespace: str = "") -> bool:
        is_new = not self.creators and plugin_namespace == "facealign"
        self.creators += [creator] if is_new else []
        return is_new

    def deregister_creator(self, creator: object) -> bool:
        self.creators.remove(creator)
        return True


@pytest.fixture
def registry() -> Registry:
    return Registry()


@pytest.fixture
def trt(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Return a module with the registry only; what a creator is, the contract suite shows."""
    monkeypatch.setattr(register, "patch_crop_creator", lambda _, opened: SimpleNamespace(k=opened))
    module = ModuleType("tensorrt")
    monkeypatch.setattr(module, "get_plugin_registry", lambda: registry, raising=False)
    monkeypatch.setitem(sys.modules, "tensorrt", module)
    return module


def test_register_gives_tensorrt_a_creator_whose_kernel_opens(
    trt: ModuleType, registry: Registry, device: Device, nvrtc: NvrtcDouble
) -> None:
    register_patch_crop(trt, device, nvrtc=str(nvrtc.path))

    (creator,) = registry.creators
    assert creator.k()._kernels.keys() == KERNELS.keys()  # type: ignore[attr-defined]  # a stand-in


def test_register_refuses_a_second_one_until_the_first_is_closed(
    trt: ModuleType, registry: Registry, device: Device, nvrtc: NvrtcDouble
) -> None:
    first = register_patch_crop(trt, device, nvrtc=str(nvrtc.path))

    with pytest.raises(BackendError, match=r"`facealign::PatchCrop`: it has one already; close"):
        register_patch_crop(trt, device, nvrtc=str(nvrtc.path))
    first.close()
    first.close()
    register_patch_crop(trt, device, nvrtc=str(nvrtc.path))

    assert len(registry.creators) == 1


def test_register_says_that_nothing_compiles(trt: ModuleType, device: Device) -> None:
    with pytest.raises(MissingLibraryError, match="NVRTC"):
        register_patch_crop(trt, device, nvrtc="/nowhere/libnvrtc.so")


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
