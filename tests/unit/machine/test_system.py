"""The operating system."""

from __future__ import annotations

from pathlib import Path

import pytest

from facealign.machine.system import read_system
from tests.unit.machine.machines import (
    write_container,
    write_files,
    write_garbage,
    write_jetson,
)


def test_read_system_of_a_jetson(tmp_path: Path) -> None:
    system = read_system(write_jetson(tmp_path, "6.2"))

    assert (system.name, system.kernel) == ("Ubuntu 22.04.5 LTS", "5.15.148-tegra")
    assert system.container is None


def test_a_docker_container_is_told_by_its_mark(tmp_path: Path) -> None:
    assert read_system(write_container(tmp_path)).container == "Docker"


@pytest.mark.parametrize(
    ("files", "kind"),
    [
        ({"run/.containerenv": ""}, "Podman"),
        ({"proc/1/cgroup": "0::/kubepods/besteffort/pod1\n"}, "Kubernetes"),
        ({"proc/1/cgroup": "0::/init.scope\n"}, None),
    ],
    ids=["Podman", "Kubernetes", "none"],
)
def test_containers_are_told_apart(
    tmp_path: Path, files: dict[str, str | bytes], kind: str | None
) -> None:
    assert read_system(write_files(tmp_path, files)).container == kind


def test_read_system_of_garbage_names_nothing(tmp_path: Path) -> None:
    assert read_system(write_garbage(tmp_path)).name is None
