from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from facealign.errors import TargetError
from facealign.runtime.tensorrt.build_options import BuildOptions
from facealign.runtime.tensorrt.device.protocol import DeviceInfo
from facealign.runtime.tensorrt.plan_machine import (
    Machine,
    check_machine,
    machine_from_device,
)
from tests.unit.runtime.tensorrt.made_plans import ORIN

PLAIN = BuildOptions(max_batch=8)
DEVICE = DeviceInfo("Orin", (8, 7), is_integrated=True, memory_bytes=2**33, driver_version=(12, 6))
OTHERS = {
    "gpu": "Thor",
    "compute_capability": "11.0",
    "board": "NVIDIA Jetson AGX Thor Developer Kit",
    "tensorrt": "10.16.2",
    "cuda_driver": "13.2",
    "l4t": "39.2.0",
}
NAMES = {
    "gpu": "GPU Orin and this machine has GPU Thor;",
    "compute_capability": r"capability 8\.7 and this machine has compute capability 11\.0;",
    "board": r"board NVIDIA Jetson Orin Nano .* and this machine has board NVIDIA .* Thor .*;",
    "tensorrt": r"TensorRT 10\.3\.0 and this machine has TensorRT 10\.16\.2;",
    "cuda_driver": r"CUDA driver 12\.6 and this machine has CUDA driver 13\.2;",
    "l4t": r"L4T 36\.4\.3 and this machine has L4T 39\.2\.0;",
}


def test_machine_from_device_reads_a_jetson(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "nv_tegra_release").write_text(
        "# R36 (release), REVISION: 4.3, GCID: 38968081, BOARD: generic\n"
    )
    (tmp_path / "proc" / "device-tree").mkdir(parents=True)
    model = b"NVIDIA Jetson Orin Nano Developer Kit\0"
    (tmp_path / "proc" / "device-tree" / "model").write_bytes(model)

    assert machine_from_device(DEVICE, tensorrt="10.3.0", root=tmp_path) == ORIN


def test_machine_from_device_reads_a_pc(tmp_path: Path) -> None:
    found = machine_from_device(DEVICE, tensorrt="11.4.0.106", root=tmp_path)

    assert (found.board, found.l4t, found.tensorrt) == (None, None, "11.4.0.106")


def test_check_machine_accepts_the_same_machine() -> None:
    check_machine(ORIN, ORIN, PLAIN)


@pytest.mark.parametrize("name", OTHERS)
def test_check_machine_refuses_another_machine_and_names_both(name: str) -> None:
    here = replace(ORIN, **{name: OTHERS[name]})

    with pytest.raises(TargetError, match=f"{NAMES[name]} run `facealign build BUNDLE` here"):
        check_machine(ORIN, here, PLAIN)


def test_check_machine_says_so_where_a_fact_is_missing() -> None:
    with pytest.raises(TargetError, match=r"L4T 36\.4\.3 and this machine has L4T \(none\);"):
        check_machine(ORIN, replace(ORIN, l4t=None), PLAIN)


def test_check_machine_names_all_that_differs() -> None:
    with pytest.raises(TargetError, match=r"for GPU Orin, .* and L4T 36.4.3 and this machine has"):
        check_machine(ORIN, Machine(**OTHERS), PLAIN)


@pytest.mark.parametrize("name", ["tensorrt", "cuda_driver", "l4t"])
def test_a_version_compatible_plan_runs_on_later_software(name: str) -> None:
    here = replace(ORIN, **{"tensorrt": "10.16.2", name: OTHERS[name]})

    check_machine(ORIN, here, replace(PLAIN, version_compatible=True))


@pytest.mark.parametrize(("built", "here"), [("8.6.2", "10.3.0"), ("10.3.0", "11.4.1")])
def test_a_version_compatible_plan_runs_on_the_next_major(built: str, here: str) -> None:
    options = replace(PLAIN, version_compatible=True)

    check_machine(replace(ORIN, tensorrt=built), replace(ORIN, tensorrt=here), options)


def test_a_version_compatible_plan_does_not_run_on_an_earlier_tensorrt() -> None:
    with pytest.raises(TargetError, match=r"TensorRT 10\.3\.0 .* TensorRT 10\.2\.9"):
        check_machine(
            ORIN, replace(ORIN, tensorrt="10.2.9"), replace(PLAIN, version_compatible=True)
        )


@pytest.mark.parametrize("name", ["gpu", "compute_capability", "board"])
def test_a_hardware_compatible_plan_runs_on_another_gpu(name: str) -> None:
    here = replace(ORIN, **{name: OTHERS[name]})

    check_machine(ORIN, here, replace(PLAIN, hardware_compatible=True))


@pytest.mark.parametrize(
    ("option", "change"),
    [
        ("hardware_compatible", {"tensorrt": "10.16.2"}),
        ("version_compatible", {"gpu": "Thor"}),
        ("version_compatible", {"tensorrt": "12.0.0"}),
        ("version_compatible", {"l4t": None}),
        ("hardware_compatible", {"gpu": "Xavier", "compute_capability": "7.2"}),
    ],
    ids=["another version", "another gpu", "two majors on", "no Jetson", "before Ampere"],
)
def test_a_compatible_plan_runs_nowhere_else(option: str, change: dict[str, str]) -> None:
    with pytest.raises(TargetError, match="was built for"):
        check_machine(ORIN, replace(ORIN, **change), replace(PLAIN, **{option: True}))
