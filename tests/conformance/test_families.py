"""What every family must do, on its tiny networks; standing in `families/` is all it takes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from facealign.bundle import write_bundle
from facealign.export.divergence import first_divergence
from facealign.export.graph import bytes_from_graph, expose_values, graph_from_bytes
from facealign.export.lint import contract_problems
from facealign.export.parity import OutputFunction, measure_parity
from facealign.export.parity_report import PARITY_BAR_PX, ParityReport, check_parity
from facealign.models.checkpoint import Checkpoint
from facealign.models.detect import detect
from facealign.models.family import Exportable, Family
from facealign.models.load import Model
from facealign.pipeline.contents import bundle_files, bundle_manifest, golden_of
from facealign.pipeline.graphs import FULL, contract, full_graph
from facealign.runtime.ort_engine import OrtEngine, run_graph
from facealign.runtime.session import open_session
from tests.conformance.general_faults import GENERAL_FAULTS, Plant
from tests.conformance.network_faults import NETWORK_FAULTS
from tests.conformance.tiny import crops_of, tiny_checkpoint, traced_bytes

Outputs = dict[str, NDArray[Any]]
LandmarksPx = Callable[[NDArray[np.uint8]], NDArray[np.float32]]
Verdict = Callable[[OutputFunction], ParityReport]

LEAST_FAULTS = 16  # of those in `general_faults`, 16 need no special operator
LEAST_NETWORK_FAULTS = 12  # of those in `network_faults`, 12 need no side file
AUTHORS_CROP_PX = 256
# A trace takes up to 8 s, and the exporter is the same for all.
COMPILED_TWICE = ("scc/scc", "sdfl/l-grl")
SAME_PX = 1e-3  # max measured 1.2e-5 px: batches of 1 and 8, ONNX Runtime 1.31 on CPU
LEAST_MOVE_PX = 0.1  # mean measured: slpt 0.75 px


@pytest.fixture
def checkpoint(name: str) -> Checkpoint:
    return tiny_checkpoint(name)


@pytest.fixture
def crops(model: Model) -> NDArray[np.uint8]:
    return np.stack([crop.pixels for crop in crops_of(model.crop.size_px)[:8]])


@pytest.fixture(scope="module")
def run(model: Model, graph: bytes) -> OutputFunction:
    return runner(model, graph)


@pytest.fixture(scope="module")
def parity(model: Model, run: OutputFunction) -> ParityReport:
    crops = crops_of(model.crop.size_px)
    return measure_parity(model.points, run, crops, exact=model.exact_points)


@pytest.fixture
def landmarks_px(model: Model, run: OutputFunction) -> LandmarksPx:
    return lambda crops: run(crops)["landmarks"] * model.crop.size_px


def test_family_is_detected_from_its_own_keys(family: Family, checkpoint: Checkpoint) -> None:
    detection = detect(checkpoint.shapes)

    assert detection.family is family


def test_family_reads_its_sizes_from_shapes(family: Family, checkpoint: Checkpoint) -> None:
    sizes = detect(checkpoint.shapes).hyperparameters

    rebuilt = family.build_network(sizes, family.made_up_assets(sizes)).state_dict()
    assert {key: tuple(value.shape) for key, value in rebuilt.items()} == checkpoint.shapes


def test_landmark_count_is_that_of_scheme(model: Model, crops: NDArray[np.uint8]) -> None:
    assert model.landmarks(crops).shape == (8, model.scheme.landmark_count, 2)


def test_reference_has_every_point_of_exportable(model: Model, crops: NDArray[np.uint8]) -> None:
    assert set(model.output_names) <= set(model.points(crops))


def test_tiny_network_tells_crops_apart(model: Model, crops: NDArray[np.uint8]) -> None:
    moves = model.landmarks(crops).std(axis=0) * model.crop.size_px

    assert moves.mean() >= LEAST_MOVE_PX


def test_graph_holds_contract(model: Model, graph: bytes) -> None:
    assert contract_problems(graph_from_bytes(graph), *contract(model)) == []


def test_graph_keeps_every_probe_by_name(model: Model, graph: bytes) -> None:
    names = {value.name for node in graph_from_bytes(graph).graph for value in node.outputs}

    assert set(model.output_names) <= names


def test_graph_names_its_family(family: Family, graph: bytes) -> None:
    assert graph_from_bytes(graph).metadata_props["facealign.family"] == family.name


def test_graph_agrees_with_module(parity: ParityReport) -> None:
    check_parity(parity)


def test_graph_agrees_with_module_at_every_probe(
    model: Model, graph: bytes, crops: NDArray[np.uint8]
) -> None:
    found = run_graph(expose_values(graph, model.output_names), crops)

    divergence = first_divergence(
        graph, expected=model.exact_points(crops), found=found, names=model.output_names
    )

    assert divergence is None


def test_graph_takes_no_notice_of_neighbours_in_batch(
    landmarks_px: LandmarksPx, crops: NDArray[np.uint8]
) -> None:
    alone = np.concatenate([landmarks_px(crop[None]) for crop in crops])

    together = landmarks_px(crops)

    assert np.abs(alone - together).max() <= SAME_PX


def test_graph_takes_no_notice_of_order_in_batch(
    landmarks_px: LandmarksPx, crops: NDArray[np.uint8]
) -> None:
    backward = landmarks_px(crops[::-1].copy())

    forward = landmarks_px(crops)

    assert np.abs(forward - backward[::-1]).max() <= SAME_PX


def test_graph_repeats_itself(graph: bytes, crops: NDArray[np.uint8]) -> None:
    first = run_graph(graph, crops, ["landmarks"])["landmarks"]

    second = run_graph(graph, crops, ["landmarks"])["landmarks"]

    np.testing.assert_array_equal(first, second)


@pytest.mark.slow
@pytest.mark.parametrize("name", COMPILED_TWICE, indirect=True)
def test_compiling_twice_gives_same_bytes(
    model: Model, checkpoint: Checkpoint, graph: bytes
) -> None:
    assert traced_bytes(model, checkpoint) == graph


def test_bundle_gives_landmarks_of_module(
    tmp_path: Path,
    model: Model,
    checkpoint: Checkpoint,
    graph: bytes,
    parity: ParityReport,
) -> None:
    shipped = graph_from_bytes(graph)
    graphs = {FULL: full_graph(shipped, shipped, parity)}
    manifest = bundle_manifest(model, checkpoint, graphs, options={})
    files = bundle_files(model, graphs, golden_of(model), None)
    folder = write_bundle(tmp_path / "tiny.facealign", manifest, files)
    crops = np.stack([crop.pixels for crop in crops_of(model.crop.size_px)[8:19]])

    with open_session(folder) as session:
        landmarks = session.run_crops(crops)["landmarks"]

    distance_px = np.abs(landmarks - model.landmarks(crops)).max() * model.crop.size_px
    assert distance_px <= SAME_PX


@pytest.fixture(scope="module")
def verdict(model: Model) -> Verdict:
    """Return a function from a candidate to its parity, on a twelfth of the crops."""
    known: dict[bytes, Outputs] = {}

    def points(pixels: NDArray[np.uint8]) -> Outputs:
        key = pixels.tobytes()
        if key not in known:  # the same crops come with every fault
            known[key] = model.exact_points(pixels)
        return known[key]

    def measure(candidate: OutputFunction) -> ParityReport:
        bar_px = PARITY_BAR_PX * model.crop.size_px / AUTHORS_CROP_PX
        return measure_parity(points, candidate, crops_of(model.crop.size_px)[2::12], bar_px=bar_px)

    return measure


def test_parity_catches_every_general_fault(model: Model, graph: bytes, verdict: Verdict) -> None:
    spoiled = {name: planted(graph, plant) for name, plant in GENERAL_FAULTS.items()}

    reports = {
        name: verdict(runner(model, found)) for name, found in spoiled.items() if found is not None
    }

    assert len(reports) >= LEAST_FAULTS
    assert [name for name, report in reports.items() if report.passed] == []


def test_parity_catches_every_network_fault(model: Model, verdict: Verdict) -> None:
    spoiled = {name: fault(model) for name, fault in NETWORK_FAULTS.items()}

    reports = {
        name: verdict(torch_runner(model, found))
        for name, found in spoiled.items()
        if found is not None
    }

    assert len(reports) >= LEAST_NETWORK_FAULTS
    assert [name for name, report in reports.items() if report.passed] == []


def test_stricter_parity_passes_what_is_intact(run: OutputFunction, verdict: Verdict) -> None:
    assert verdict(run).passed


def test_stricter_parity_passes_intact_rewrite(model: Model, verdict: Verdict) -> None:
    assert verdict(torch_runner(model, model.exportable)).passed


def planted(graph: bytes, plant: Plant) -> bytes | None:
    """Return the spoiled graph, or nothing where there is nothing to spoil."""
    model = graph_from_bytes(graph)
    return bytes_from_graph(model) if plant(model) else None


def runner(model: Model, graph: bytes) -> OutputFunction:
    """Return what gives the contract's outputs of a graph."""
    names = [spec.name for spec in contract(model)[1]]
    return OrtEngine(graph, input_name="image", output_names=names, max_batch=8, threads=1).run


def torch_runner(model: Model, exportable: Exportable) -> OutputFunction:
    """Return what gives the contract's outputs of a rewritten network, before any trace."""
    names = [spec.name for spec in contract(model)[1]]

    def run(crops: NDArray[np.uint8]) -> Outputs:
        with torch.no_grad():
            outputs = exportable(torch.from_numpy(crops.copy()))
        return {name: output.numpy() for name, output in zip(names, outputs, strict=False)}

    return run
