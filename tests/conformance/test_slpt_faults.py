"""Can the checks fail? Every planted fault must be caught, by the right check, at its place."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from functools import cache
from typing import TypeVar

import numpy as np
import onnx_ir as ir
import pytest
import torch
from numpy.typing import NDArray

from facealign.errors import GraphContractError, ParityError
from facealign.export.crops import parity_crops
from facealign.export.divergence import first_divergence
from facealign.export.graph import bytes_from_graph, expose_values, graph_from_bytes
from facealign.export.lint import check_contract, contract_problems
from facealign.export.parity import measure_parity
from facealign.export.parity_report import PARITY_BAR_PX, ParityReport, check_parity
from facealign.models.families.slpt.exportable import ExportableSlpt
from facealign.models.families.slpt.network import Slpt
from facealign.pipeline.graphs import contract
from facealign.runtime.ort_engine import OrtEngine
from tests.conformance.slpt_faults import MODULE_FAULTS, NETWORK_FAULTS, Fault, Spoil
from tests.conformance.slpt_graph_faults import FORM_FAULTS, GRAPH_FAULTS
from tests.conformance.tiny import tiny_graph, tiny_model

Target = TypeVar("Target")
Points = dict[str, NDArray[np.float32]]
Candidate = Callable[[NDArray[np.uint8]], Points]

SLPT = "slpt/slpt"
SIZE_PX = 64
CROPS = parity_crops(SIZE_PX)[2::3]  # every fault shows on a third of them, in less time
# The bar of a 256 crop as the same fraction of the tiny one. Measured: the intact graph is within
# 2e-5 px, the weakest fault (weights of one convolution in half precision) at 0.005 px.
BAR_PX = PARITY_BAR_PX * SIZE_PX / 256
CLEARLY_PX = 1.5 * BAR_PX


def each(faults: Sequence[Fault[Target]]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(
        "fault", [pytest.param(fault, id=fault.name) for fault in faults]
    )


@each(NETWORK_FAULTS)
def test_parity_catches_fault_in_network(fault: Fault[Slpt]) -> None:
    assert_parity_catches(network_candidate(fault.spoil))


@each(MODULE_FAULTS)
def test_parity_catches_fault_in_rewrite(fault: Fault[ExportableSlpt]) -> None:
    assert_parity_catches(module_candidate(fault.spoil))


@each(GRAPH_FAULTS)
def test_parity_catches_fault_in_graph(fault: Fault[ir.Model]) -> None:
    assert_parity_catches(graph_candidate(fault.spoil))


@each(FORM_FAULTS)
def test_contract_catches_fault_in_form(fault: Fault[ir.Model]) -> None:
    graph = graph_from_bytes(tiny_graph(SLPT))
    fault.spoil(graph)

    with pytest.raises(GraphContractError, match=f"the graph breaks its contract: .*{fault.sign}"):
        check_contract(graph, *contract(tiny_model(SLPT)))


@each(FORM_FAULTS)
def test_contract_complains_of_fault_in_form_once(fault: Fault[ir.Model]) -> None:
    graph = graph_from_bytes(tiny_graph(SLPT))
    fault.spoil(graph)

    assert len(contract_problems(graph, *contract(tiny_model(SLPT)))) == 1


@each(NETWORK_FAULTS)
def test_first_divergence_names_point_behind_fault_in_network(fault: Fault[Slpt]) -> None:
    assert point_of_divergence(network_candidate(fault.spoil)) == fault.sign


@each(MODULE_FAULTS)
def test_first_divergence_names_point_behind_fault_in_rewrite(
    fault: Fault[ExportableSlpt],
) -> None:
    assert point_of_divergence(module_candidate(fault.spoil)) == fault.sign


@each(GRAPH_FAULTS)
def test_first_divergence_names_point_behind_fault_in_graph(fault: Fault[ir.Model]) -> None:
    assert point_of_divergence(graph_candidate(fault.spoil)) == fault.sign


@pytest.fixture(params=["network", "module", "graph"])
def intact(request: pytest.FixtureRequest) -> Candidate:
    candidates: dict[str, Callable[[Spoil[object]], Candidate]] = {
        "network": network_candidate,
        "module": module_candidate,
        "graph": graph_candidate,
    }
    return candidates[request.param](lambda _: None)


def test_parity_passes_what_is_intact(intact: Candidate) -> None:
    check_parity(parity(intact))


def test_first_divergence_finds_none_in_what_is_intact(intact: Candidate) -> None:
    assert point_of_divergence(intact) is None


def test_contract_holds_for_what_is_intact() -> None:
    check_contract(graph_from_bytes(tiny_graph(SLPT)), *contract(tiny_model(SLPT)))


def test_padding_of_grid_sample_is_no_fault_as_no_sample_leaves_the_map() -> None:
    def pad_with_border(graph: ir.Model) -> None:
        for node in graph.graph:
            if node.op_type == "GridSample":
                node.attributes["padding_mode"] = ir.AttrString("padding_mode", "border")

    check_parity(parity(graph_candidate(pad_with_border)))


@cache
def network_candidate(spoil: Spoil[Slpt]) -> Candidate:
    """Return the points of the rewritten module of a spoiled network."""
    network = copy.deepcopy(tiny_model(SLPT).network)
    assert isinstance(network, Slpt)
    with torch.no_grad():
        spoil(network)
    return _points_of(ExportableSlpt(network))


@cache
def module_candidate(spoil: Spoil[ExportableSlpt]) -> Candidate:
    """Return the points of a spoiled rewritten module."""
    module = copy.deepcopy(tiny_model(SLPT).exportable)
    assert isinstance(module, ExportableSlpt)
    with torch.no_grad():
        spoil(module)
    return _points_of(module)


@cache
def graph_candidate(spoil: Spoil[ir.Model]) -> Candidate:
    """Return the points of a spoiled graph."""
    graph = graph_from_bytes(tiny_graph(SLPT))
    spoil(graph)
    names = tiny_model(SLPT).output_names
    engine = OrtEngine(
        expose_values(bytes_from_graph(graph), names),
        input_name="image",
        output_names=names,
        max_batch=8,
        threads=1,
    )
    return engine.run


def _points_of(module: ExportableSlpt) -> Candidate:
    def points(crops: NDArray[np.uint8]) -> Points:
        with torch.no_grad():
            outputs = module(torch.from_numpy(crops.copy()))
        return {
            name: output.numpy() for name, output in zip(module.output_names, outputs, strict=True)
        }

    return points


def assert_parity_catches(candidate: Candidate) -> None:
    report = parity(candidate)

    with pytest.raises(ParityError, match=r"graph and module differ by .* px at landmark \d+ of"):
        check_parity(report)
    assert report.max_px >= CLEARLY_PX


def point_of_divergence(candidate: Candidate) -> str | None:
    """Return where the candidate leaves the network, as `verify_graph` asks for it."""
    crops = {crop.name: crop.pixels for crop in CROPS}
    worst = parity(candidate).worst_crop
    first, second, *_ = crops.values()
    batch = np.stack([first, crops[worst], second])
    names = tiny_model(SLPT).output_names
    divergence = first_divergence(
        tiny_graph(SLPT),
        expected=tiny_model(SLPT).points(batch),
        found=candidate(batch),
        names=(*names[1:], names[0]),
    )
    return divergence.point if divergence else None


@cache
def parity(candidate: Candidate) -> ParityReport:
    return measure_parity(
        lambda crops: {"landmarks": _expected(crops.tobytes(), len(crops))},
        lambda crops: {"landmarks": candidate(crops)["landmarks"]},
        CROPS,
        bar_px=BAR_PX,
    )


@cache
def _expected(pixels: bytes, count: int) -> NDArray[np.float32]:
    """Return the landmarks of the network; the same crops come with every fault."""
    crops = np.frombuffer(pixels, np.uint8).reshape(count, SIZE_PX, SIZE_PX, 3)
    return tiny_model(SLPT).landmarks(crops)
