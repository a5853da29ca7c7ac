"""Graphics processors, from what the driver says."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from facealign.machine import gpu
from facealign.machine.gpu import Gpus, SmiGpu, ask_nvidia_smi, cuda_of_driver, read_gpus
from tests.unit.machine.machines import (
    pci_device,
    write_files,
    write_garbage,
    write_pc,
)


def test_read_gpus_of_a_pc(tmp_path: Path) -> None:
    assert read_gpus(write_pc(tmp_path)) == Gpus(
        vendors=("Intel", "NVIDIA"),
        models=("NVIDIA RTX A4000",),
        cards=(),
        driver="580.95.05",
        has_device_files=True,
        has_bus=True,
    )


@pytest.mark.parametrize(
    ("line", "version"),
    [
        ("NVRM version: NVIDIA UNIX Open Kernel Module for aarch64  540.4.0  Release", "540.4.0"),
        ("NVRM version: NVIDIA UNIX Kernel Module for aarch64  34.1.1  Release Build", "34.1.1"),
        ("NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.183.01  Sun May 12", "535.183.01"),
    ],
    ids=["JetPack 6.2", "JetPack 5.0", "PC"],
)
def test_the_driver_is_read_in_every_form(tmp_path: Path, line: str, version: str) -> None:
    root = write_files(tmp_path, {"proc/driver/nvidia/version": line})

    assert read_gpus(root).driver == version


def test_an_unknown_vendor_is_named_by_its_number(tmp_path: Path) -> None:
    root = write_files(tmp_path, pci_device("00:02.0", vendor="0x1234"))

    assert read_gpus(root).vendors == ("PCI vendor 0x1234",)
    assert not read_gpus(root).has_nvidia


def test_a_card_without_a_driver_is_seen_on_the_bus(tmp_path: Path) -> None:
    root = write_files(tmp_path, pci_device("01:00.0", vendor="0x10de", kind="0x030200"))

    assert (read_gpus(root).has_nvidia, read_gpus(root).driver) == (True, None)


def test_a_sound_device_of_nvidia_is_no_gpu(tmp_path: Path) -> None:
    root = write_files(tmp_path, pci_device("01:00.1", vendor="0x10de", kind="0x040300"))

    assert (read_gpus(root).has_nvidia, read_gpus(root).has_bus) == (False, True)


def test_read_gpus_of_garbage_has_no_nvidia(tmp_path: Path) -> None:
    gpus = read_gpus(write_garbage(tmp_path))

    assert (gpus.driver, gpus.has_nvidia, gpus.has_device_files) == (None, False, False)


@pytest.mark.parametrize(
    ("driver", "cuda"),
    [("580.65.06", 13), ("570.124.06", 12), ("525.60.13", 12), ("470.82.01", 11), ("390.1", None)],
)
def test_cuda_of_driver_is_the_newest_that_it_runs(driver: str, cuda: int | None) -> None:
    assert cuda_of_driver(driver) == cuda


_SMI = {
    "two cards": (
        "echo 'NVIDIA A100, 8.0, 40960, 550.54.15'; echo 'NVIDIA T4, 7.5, 15360, 550.54.15'",
        (
            SmiGpu("NVIDIA A100", "8.0", 40960 * 2**20, "550.54.15"),
            SmiGpu("NVIDIA T4", "7.5", 15360 * 2**20, "550.54.15"),
        ),
    ),
    "Jetson": (
        "echo 'Orin (nvgpu), [N/A], [N/A], N/A'",
        (SmiGpu("Orin (nvgpu)", None, None, None),),
    ),
    "no driver": ("echo 'NVIDIA-SMI has failed'; exit 9", ()),
    "nonsense": ("echo nonsense", ()),
    "old driver": (
        "echo 'Tesla K80, [Not Supported], [Unknown Error], 470.82.01'",
        (SmiGpu("Tesla K80", None, None, "470.82.01"),),
    ),
}


@pytest.mark.parametrize(("script", "expected"), _SMI.values(), ids=_SMI.keys())
def test_ask_nvidia_smi_reads_what_it_prints(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, expected: tuple[SmiGpu, ...]
) -> None:
    program = tmp_path / "nvidia-smi"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))

    assert ask_nvidia_smi() == expected


def test_an_nvidia_smi_that_hangs_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\nexec /bin/sleep 60\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(gpu, "_SMI_S", 0.1)
    started = time.perf_counter()

    assert ask_nvidia_smi() == ()
    assert time.perf_counter() - started < 30


def test_ask_nvidia_smi_says_nothing_where_it_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    assert ask_nvidia_smi() == ()
