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
    l4t_from_release,
    machine_from_device,
)
from tests.unit.runtime.tensorrt.made_plans import ORIN

PLAIN = BuildOptions(max_batch=8)
DEVICE = DeviceInfo("Orin", (8, 7), is_integrated=True, memory_bytes=2**33, driver_version=(12, 6))
# First lines as devices have them, quoted in public reports; from R36 on three more lines follow.
_OOT = (
    "\n# KERNEL_VARIANT: oot\nTARGET_USERSPACE_LIB_DIR=nvidia\n"
    "TARGET_USERSPACE_LIB_DIR_PATH=usr/lib/aarch64-linux-gnu/nvidia\n"
)
RELEASES = {
    "JetPack 4.6.1": (
        (
            "# R32 (release), REVISION: 7.1, GCID: 29689809, BOARD: t186ref, EABI: aarch64, "
            "DATE: Wed Feb  2 21:33:23 UTC 2022\n"
        ),
        "32.7.1",
    ),
    "JetPack 5.0.1": (
        (
            "# R34 (release), REVISION: 1.1, GCID: 30414990, BOARD: t186ref, EABI: aarch64, "
            "DATE: Tue May 17 04:20:55 UTC 2022\n"
        ),
        "34.1.1",
    ),
    "JetPack 5.1.2": (
        (
            "# R35 (release), REVISION: 4.1, GCID: 33958178, BOARD: t186ref, EABI: aarch64, "
            "DATE: Tue Aug  1 19:57:35 UTC 2023\n"
        ),
        "35.4.1",
    ),
    "JetPack 6.0": (
        "# R36 (release), REVISION: 3.0, GCID: 36923193, BOARD: generic, EABI: aarch64, "
        "DATE: Fri Jul 19 23:24:25 UTC 2024" + _OOT,
        "36.3.0",
    ),
    "JetPack 6.1": (
        "# R36 (release), REVISION: 4.0, GCID: 37537400, BOARD: generic, EABI: aarch64, "
        "DATE: Fri Sep 13 04:36:44 UTC 2024" + _OOT,
        "36.4.0",
    ),
    "JetPack 6.2.1": (
        "# R36 (release), REVISION: 4.7, GCID: 42132812, BOARD: generic, EABI: aarch64, "
        "DATE: Thu Sep 18 22:54:44 UTC 2025" + _OOT,
        "36.4.7",
    ),
    "JetPack 6.2.2": (
        "# R36 (release), REVISION: 5.0, GCID: 43688277, BOARD: generic, EABI: aarch64, "
        "DATE: Fri Jan 16 03:50:45 UTC 2026" + _OOT,
        "36.5.0",
    ),
    "JetPack 7.0": (
        "# R38 (release), REVISION: 2.0, GCID: 41844464, BOARD: generic, EABI: aarch64, "
        "DATE: Fri Aug 22 00:55:42 UTC 2025" + _OOT + "INSTALL_TYPE=\n",
        "38.2.0",
    ),
    "JetPack 7.2": (
        "# R39 (release), REVISION: 2.0, GCID: 45755727, BOARD: generic, EABI: aarch64, "
        "DATE: Mon Jun  1 09:28:48 PM UTC 2026" + _OOT,
        "39.2.0",
    ),
    "JetPack 7.2.1": (
        "# R39 (release), REVISION: 2.1, GCID: 46758480, BOARD: generic, EABI: aarch64, "
        "DATE: Fri Aug 7 05:54:22 AM UTC 2026" + _OOT,
        "39.2.1",
    ),
}
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


@pytest.mark.parametrize(("text", "version"), RELEASES.values(), ids=RELEASES.keys())
def test_l4t_from_release_reads_the_file_of_every_jetpack(text: str, version: str) -> None:
    assert l4t_from_release(text) == version


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("# L4T 40, nightly\nmore", "L4T 40, nightly"),
        ("\x1b[31m# odd\n", "[31m# odd"),
        ("", None),
        ("\n", None),
    ],
    ids=["another form", "control characters", "empty", "blank"],
)
def test_l4t_from_release_keeps_a_line_of_another_form(text: str, expected: str | None) -> None:
    assert l4t_from_release(text) == expected


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
