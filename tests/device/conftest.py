"""The device of this machine, by either back; without a GPU every test here is skipped."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from facealign.errors import BackendError
from facealign.runtime.tensorrt.device import Back, Device
from tests.device.machine import Machine, has, this_machine

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test of this folder: it needs a GPU."""
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.device)


@pytest.fixture(scope="session")
def machine() -> Machine:
    """Return what reaches this machine's GPU; skips without one."""
    try:
        return this_machine()
    except BackendError as error:
        pytest.skip(f"there is no GPU to test on: {error}")


@pytest.fixture(params=["ctypes", "pycuda"])
def back(request: pytest.FixtureRequest, machine: Machine) -> Back:
    """Return a back that this machine has."""
    found: Back = request.param
    if found == "pycuda" and (machine.is_double or not has("pycuda")):
        pytest.skip("pycuda is not installed, or this is the double, which only ctypes reaches")
    return found


@pytest.fixture
def device(machine: Machine, back: Back) -> Iterator[Device]:
    """Return the first device, open."""
    with machine.device(back) as opened:
        yield opened


@pytest.fixture
def trt(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Return TensorRT's module; skips without it."""
    try:
        module = machine.tensorrt()
    except BackendError as error:
        pytest.skip(f"there is no TensorRT to test: {error}")
    monkeypatch.setitem(sys.modules, "tensorrt", module)
    return module
