"""Libraries on the loader's path."""

from __future__ import annotations

from pathlib import Path

import pytest

from facealign.machine.libraries import cuda_version, library_names, tensorrt_version
from tests.unit.machine.machines import JETSONS, write_files, write_garbage, write_jetson

LIB = "usr/lib/x86_64-linux-gnu"


@pytest.mark.parametrize("jetpack", JETSONS)
def test_versions_of_a_jetson_are_read(tmp_path: Path, jetpack: str) -> None:
    root = write_jetson(tmp_path, jetpack)

    assert tensorrt_version(root) == JETSONS[jetpack].nvinfer
    assert cuda_version(root) == JETSONS[jetpack].cuda


def test_the_newest_library_counts_and_links_to_it_do_not(tmp_path: Path) -> None:
    names = ("libnvinfer.so.10", "libnvinfer.so.10.3.0", "libnvinfer.so.10.16.1")
    root = write_files(tmp_path, {f"{LIB}/{name}": "" for name in names})

    assert tensorrt_version(root) == "10.16.1"


def test_library_names_are_those_asked_for(tmp_path: Path) -> None:
    files = ("libcudart.so.12", "libcudartx.so.12", "libcudart.a", "notes.so.txt")
    root = write_files(tmp_path, {f"{LIB}/{name}": "" for name in files})

    assert library_names(("libcudart",), root) == ("libcudart.so.12",)


def test_folders_that_the_loader_is_told_of_are_searched(tmp_path: Path) -> None:
    root = write_files(
        tmp_path,
        {
            "etc/ld.so.conf": "include /etc/ld.so.conf.d/*.conf\ninclude ld.so.conf\n",
            "etc/ld.so.conf.d/trt.conf": "# TensorRT\n/opt/tensorrt/lib\n",
            "opt/tensorrt/lib/libnvinfer.so.11.4.0": "",
        },
    )

    assert tensorrt_version(root) == "11.4.0"


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"usr/local/cuda/version.json": '{"cuda": {"name": "CUDA SDK", "version": "12.6'}, None),
        ({"usr/local/cuda/version.txt": "CUDA Version 10.2.89\n"}, "10.2.89"),
        ({"usr/local/cuda/lib64/libcudart.so.12.6.68": ""}, "12.6.68"),
        ({}, None),
    ],
    ids=["cut off", "old form", "library alone", "none"],
)
def test_cuda_version_is_read_from_what_is_there(
    tmp_path: Path, files: dict[str, str | bytes], expected: str | None
) -> None:
    assert cuda_version(write_files(tmp_path, files)) == expected


def test_garbage_has_no_versions(tmp_path: Path) -> None:
    root = write_garbage(tmp_path)

    assert (tensorrt_version(root), cuda_version(root)) == (None, None)
