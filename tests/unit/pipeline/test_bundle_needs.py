"""What a bundle will need of a machine."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from facealign.bundle import Bundle, read_bundle
from facealign.pipeline.bundle_needs import BundleNeeds, build_seconds, bundle_needs
from facealign.runtime.tensorrt.build_options import BuildOptions

GIB = 2**30
ALL = 64 * GIB
RESNET = {"node_count": 176, "mac_count": 4_100_000_000}


@pytest.fixture
def bundle(tiny_bundle: Path) -> Bundle:
    return read_bundle(tiny_bundle)


def needs_of(
    bundle: Bundle, *, has_gpu: bool = True, memory: int | None = ALL, disk: int | None = ALL
) -> BundleNeeds:
    return bundle_needs(
        bundle, is_jetson=True, has_gpu=has_gpu, memory_bytes=memory, disk_bytes=disk
    )


def test_sizes_are_those_of_the_graph(bundle: Bundle) -> None:
    needs = needs_of(bundle)

    (graph,) = needs.graphs
    assert graph.activation_bytes is not None
    one, most = graph.activation_bytes
    assert graph.weight_bytes == 4 * (9 * 196 + 196 + 1 + 16 + 16) + 8 * (2 + 3)
    assert one < most <= needs.max_batch * one
    assert "alive at once" in needs.basis


def test_sizes_are_those_of_the_file_without_onnx(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)

    (graph,) = needs_of(bundle).graphs

    assert graph.weight_bytes == bundle.manifest.files["model.fp32.onnx"].size
    assert graph.activation_bytes is None


def test_without_a_gpu_no_plan_is_estimated(bundle: Bundle) -> None:
    needs = needs_of(bundle, has_gpu=False)

    assert needs.graphs[0].build_s is None
    assert (needs.build_memory_bytes, needs.disk_bytes) == (None, None)


def test_a_build_needs_its_workspace_and_more(bundle: Bundle) -> None:
    workspace = BuildOptions(max_batch=1).workspace_mib * 2**20

    needs = needs_of(bundle)

    assert needs.build_memory_bytes is not None
    assert workspace < needs.build_memory_bytes < workspace + 2 * GIB


def test_enough_of_everything_lacks_nothing(bundle: Bundle) -> None:
    assert needs_of(bundle).lacking == ()


def test_what_is_not_known_is_not_said_to_lack(bundle: Bundle) -> None:
    assert needs_of(bundle, memory=None, disk=None).lacking == ()


def test_too_little_memory_and_disk_are_told(bundle: Bundle) -> None:
    lacking = needs_of(bundle, memory=GIB, disk=2**20).lacking

    assert lacking == (
        "memory to build plans: 2.2 GiB wanted, 1.0 GiB there",
        "disk for plans: 4.0 MiB wanted, 1.0 MiB there",
    )


def test_too_little_memory_to_run_is_told(bundle: Bundle) -> None:
    lacking = needs_of(bundle, has_gpu=False, memory=1000).lacking

    assert [each.partition(":")[0] for each in lacking] == ["memory to run fp32"]


@pytest.mark.parametrize(("is_jetson", "measured_s"), [(False, 10.7), (True, 120.0)])
def test_the_graphs_that_the_times_are_from_are_within_the_range(
    is_jetson: bool, measured_s: float
) -> None:
    shortest, longest = build_seconds(**RESNET, is_jetson=is_jetson)

    assert shortest < measured_s < longest


def test_more_nodes_take_longer() -> None:
    short = build_seconds(**RESNET, is_jetson=True)
    long = build_seconds(node_count=352, mac_count=RESNET["mac_count"], is_jetson=True)

    assert long == (2 * short[0], 2 * short[1])


def test_heavier_nodes_raise_the_upper_end_alone() -> None:
    light = build_seconds(**RESNET, is_jetson=False)
    heavy = build_seconds(node_count=176, mac_count=2 * RESNET["mac_count"], is_jetson=False)

    assert heavy == (light[0], 2 * light[1])


def test_a_graph_without_nodes_takes_no_time() -> None:
    assert build_seconds(node_count=0, mac_count=0, is_jetson=True) == (0.0, 0.0)
