"""Plans of every family and precision: built here, and compared with the golden landmarks.

Bundles come from the folder that `FACEALIGN_BUNDLES` names; without it, tiny networks are made.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import closing
from types import ModuleType

import numpy as np
import pytest
from numpy.typing import NDArray

from facealign.bundle import Bundle
from facealign.runtime import Session
from facealign.runtime.self_test import check_golden
from facealign.runtime.tensorrt.build_bundle import PlanBuilder
from facealign.runtime.tensorrt.build_options import BuildOptions
from facealign.runtime.tensorrt.device import Device
from facealign.runtime.tensorrt.engine import TensorrtEngine, engine_from_plan
from facealign.runtime.tensorrt.open_plan import contract_from_plan
from facealign.runtime.tensorrt.plan import Plan, read_plan
from tests.device.bundles import PRECISIONS, bundle_names, bundle_of

MAX_BATCH = 4
SOAK_RUNS = 300
# Fractions of the crop: another batch size may take other kernels. Golden landmarks judge FP16 and
# INT8; 1e-3 of 256 px is a quarter pixel.
SAME = {"fp32": 1e-4, "fp16": 1e-2, "int8": 5e-2}

pytestmark = pytest.mark.parametrize("name", bundle_names(), scope="module")

Open = Callable[..., TensorrtEngine]


@pytest.fixture(scope="module")
def bundle(name: str, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return bundle_of(name, tmp_path_factory.mktemp("bundle"))


@pytest.fixture
def open_engine(bundle: Bundle, device: Device, trt: ModuleType) -> Iterator[Open]:
    """Return a function that builds the plan of a precision, or takes it from the bundle."""
    if not {"fp32", "fp16", "int8"} & set(bundle.manifest.graphs):
        pytest.skip("the bundle has no graph for TensorRT")

    def engine_of(plan: Plan, *, uses_graphs: bool = True) -> TensorrtEngine:
        contract = contract_from_plan(plan, name="plan")
        return engine_from_plan(contract, device, uses_graphs=uses_graphs)

    def opened(precision: str, *, uses_graphs: bool = True) -> TensorrtEngine:
        if precision not in bundle.manifest.graphs:
            pytest.skip(f"the bundle has no {precision} graph")
        options = BuildOptions(max_batch=MAX_BATCH)
        built = PlanBuilder(trt, device, engine_of, bundle, options).build(precision)
        return engine_of(read_plan(built.path), uses_graphs=uses_graphs)

    yield opened
    gc.collect()  # what is left of TensorRT goes before the device


@pytest.mark.parametrize("precision", PRECISIONS)
def test_plan_gives_the_golden_landmarks(precision: str, bundle: Bundle, open_engine: Open) -> None:
    with Session(open_engine(precision), bundle.manifest) as session:
        distance = check_golden(bundle, precision=precision, run_crops=session.run_crops)

    assert distance.max_px <= distance.allowed_px
    assert distance.crop_count > 0


@pytest.mark.parametrize("precision", PRECISIONS)
def test_plan_keeps_the_images_of_a_batch_apart(
    precision: str, bundle: Bundle, open_engine: Open
) -> None:
    crops = bundle.golden().crops[:MAX_BATCH]

    with closing(open_engine(precision)) as engine:
        together = engine.run(crops)["landmarks"]
        alone = np.concatenate([engine.run(crop[None])["landmarks"] for crop in crops])

    is_decided = decided(bundle)
    np.testing.assert_allclose(
        together[is_decided], alone[is_decided], rtol=0, atol=SAME[precision]
    )


@pytest.mark.parametrize("precision", PRECISIONS)
def test_replayed_graphs_give_what_plain_runs_give(
    precision: str, bundle: Bundle, open_engine: Open
) -> None:
    crops = bundle.golden().crops[:MAX_BATCH]

    with closing(open_engine(precision)) as engine:
        replayed = [engine.run(crops)["landmarks"] for _ in range(3)]
    with closing(open_engine(precision, uses_graphs=False)) as engine:
        plain = engine.run(crops)["landmarks"]

    is_decided = decided(bundle)
    for found in replayed:
        np.testing.assert_allclose(found[is_decided], plain[is_decided], rtol=0, atol=1e-5)


def test_hundreds_of_runs_stay_the_same(bundle: Bundle, open_engine: Open) -> None:
    golden = bundle.golden().crops
    batches = [golden[: 1 + i % min(MAX_BATCH, len(golden))] for i in range(MAX_BATCH)]

    with closing(open_engine("fp32")) as engine:
        first = [engine.run(crops)["landmarks"] for crops in batches]
        differing = sum(
            not np.array_equal(
                engine.run(batches[i % MAX_BATCH])["landmarks"], first[i % MAX_BATCH]
            )
            for i in range(SOAK_RUNS)
        )

    assert differing == 0


def test_submitted_crops_come_back_in_their_order(bundle: Bundle, open_engine: Open) -> None:
    crops = bundle.golden().crops[:2]

    with closing(open_engine("fp32")) as engine:
        expected = [engine.run(crop[None])["landmarks"] for crop in crops]
        tickets = [engine.submit(crop[None]) for crop in crops]
        found = [engine.collect(ticket)["landmarks"] for ticket in tickets]

    np.testing.assert_array_equal(found, expected)


def decided(bundle: Bundle) -> NDArray[np.bool_]:
    """Return which landmarks of the first crops are not a choice between two equal peaks."""
    golden = bundle.golden().landmarks[:MAX_BATCH]
    return np.asarray(~np.isnan(golden).any(axis=2))
