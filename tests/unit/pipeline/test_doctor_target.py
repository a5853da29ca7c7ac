"""Which target of the lint a machine is."""

from __future__ import annotations

from pathlib import Path

import pytest

from facealign.machine.jetson import read_jetson
from facealign.pipeline.doctor_target import machine_targets, targets_text
from tests.unit.machine.machines import write_container, write_files, write_jetson

JETPACKS = {
    "5.1": "jetpack-5.1",
    "6.0": "jetpack-6.0",
    "6.1": "jetpack-6.2",
    "6.2": "jetpack-6.2",
    "7.0": "jetpack-7.1",
    "7.1": "jetpack-7.1",
    "7.2": "jetpack-7.2",
}


def _names(root: Path, tensorrt: str | None, *, has_onnxruntime: bool = False) -> list[str]:
    found = machine_targets(read_jetson(root), tensorrt=tensorrt, has_onnxruntime=has_onnxruntime)
    return [target.name for target in found]


@pytest.mark.parametrize(("jetpack", "target"), JETPACKS.items())
def test_a_jetson_is_the_target_of_its_jetpack(tmp_path: Path, jetpack: str, target: str) -> None:
    assert _names(write_jetson(tmp_path, jetpack), None) == [target]


@pytest.mark.parametrize(("jetpack", "target"), JETPACKS.items())
def test_its_own_tensorrt_does_not_change_that(tmp_path: Path, jetpack: str, target: str) -> None:
    root = write_jetson(tmp_path, jetpack)
    jetson = read_jetson(root)

    assert jetson is not None
    assert _names(root, jetson.tensorrt) == [target]


def test_another_tensorrt_on_a_jetpack_is_another_target(tmp_path: Path) -> None:
    assert _names(write_jetson(tmp_path, "7.2"), "11.4.1") == ["jetpack-7.2.2"]


def test_a_container_is_the_target_of_its_packages(tmp_path: Path) -> None:
    assert _names(write_container(tmp_path), "10.3.0") == ["jetpack-6.2"]


def test_an_unknown_release_is_told_by_its_tensorrt(tmp_path: Path) -> None:
    line = "# R41 (release), REVISION: 1.0, GCID: 1\n"
    root = write_files(tmp_path, {"etc/nv_tegra_release": line})

    assert _names(root, "10.16.2") == ["jetpack-7.2"]
    assert _names(root, None) == []
    assert _names(root, "99.1.0") == []


@pytest.mark.parametrize(
    ("tensorrt", "expected"),
    [("10.3.0", "tensorrt-10.3"), ("10.13.3.9", "tensorrt-10.13"), ("11.4.0.106", "tensorrt-11")],
)
def test_a_pc_is_the_target_of_its_tensorrt(tmp_path: Path, tensorrt: str, expected: str) -> None:
    assert _names(tmp_path, tensorrt) == [expected]


def test_a_pc_with_onnxruntime_alone_is_that_target(tmp_path: Path) -> None:
    assert _names(tmp_path, None, has_onnxruntime=True) == ["onnxruntime"]


def test_no_target_is_said_to_be_none(tmp_path: Path) -> None:
    found = machine_targets(read_jetson(tmp_path), tensorrt="nonsense", has_onnxruntime=False)

    assert targets_text(found) == "none that facealign knows"
