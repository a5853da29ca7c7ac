"""A plan that holds our plugin: the only test in which TensorRT itself runs it."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Literal

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from facealign.bundle import Golden, Manifest
from facealign.runtime.tensorrt.build_bundle import PlanBuilder
from facealign.runtime.tensorrt.build_options import BuildOptions
from facealign.runtime.tensorrt.device import Device
from facealign.runtime.tensorrt.engine import TensorrtEngine, engine_from_plan
from facealign.runtime.tensorrt.open_plan import contract_from_plan
from facealign.runtime.tensorrt.plan import Plan, read_plan
from facealign.runtime.tensorrt.plugins import register
from facealign.runtime.tensorrt.plugins.register import PATCH_CROP
from tests.device.machine import Machine, has

# Fractions of the crop. With FP16 maps the samples are rounded twice, to 2**-11 of 1 each.
SAME = {False: 1e-4, True: 2**-9}
OPTIONS = BuildOptions(max_batch=2)
Build = Callable[..., Plan]

pytestmark = pytest.mark.skipif(
    not (has("onnx") and has("onnx_ir") and has("onnxruntime")),
    reason="the graph is made with onnx and compared with ONNX Runtime",
)


@pytest.fixture(autouse=True)
def kernels(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Compile the kernels as the suite's machine does."""
    monkeypatch.setattr(
        register, "compiled_kernels", lambda text, info, **_: machine.image(text, info)
    )


@pytest.fixture
def build(
    tmp_path: Path, device: Device, trt: ModuleType, tiny_manifest: Manifest, tiny_golden: Golden
) -> Iterator[Build]:
    """Return a function that builds the plan of a form; its self-test is the bundle's."""
    from tests.patch_crop_bundle import patch_crop_bundle, patch_crop_graph

    # FP16 rounds a sample of up to 16 pixels by 1/256 px, twice.
    entry = msgspec.structs.replace(tiny_manifest.graphs["fp32"], golden_px=(0.01,) * 3)
    manifest = msgspec.structs.replace(tiny_manifest, graphs={"fp32": entry})

    def built(form: Literal["standard", "plugin"], *, has_half_maps: bool = False) -> Plan:
        graph = patch_crop_graph(form, has_half_maps=has_half_maps)
        bundle = patch_crop_bundle(tmp_path / form, form, manifest, tiny_golden, graph=graph)
        made = PlanBuilder(trt, device, partial(engine_of, device), bundle, OPTIONS).build("fp32")
        return read_plan(made.path)

    yield built
    gc.collect()  # what is left of TensorRT goes before the device


def landmarks_of(device: Device, plan: Plan, crops: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
    """Return what three runs give: the first is not captured, the others may be replayed."""
    with closing(engine_of(device, plan)) as engine:
        return [engine.run(crops)["landmarks"] for _ in range(3)]


def engine_of(device: Device, plan: Plan) -> TensorrtEngine:
    return engine_from_plan(contract_from_plan(plan, name="plan"), device)


@pytest.mark.parametrize("has_half_maps", [False, True], ids=["float32", "float16"])
def test_plan_with_the_plugin_gives_what_the_graph_gives(
    build: Build, device: Device, tiny_golden: Golden, *, has_half_maps: bool
) -> None:
    from facealign.runtime.ort_engine import run_graph
    from tests.patch_crop_bundle import patch_crop_graph

    plan = build("plugin", has_half_maps=has_half_maps)
    crops = tiny_golden.crops[:2]
    expected = run_graph(patch_crop_graph("standard", has_half_maps=has_half_maps), crops)

    found = landmarks_of(device, plan, crops)

    assert plan.record.plugins == (PATCH_CROP,)
    for_each = [expected["landmarks"]] * len(found)
    np.testing.assert_allclose(found, for_each, atol=SAME[has_half_maps], rtol=0)


def test_plans_of_both_forms_agree(build: Build, device: Device, tiny_golden: Golden) -> None:
    crops = tiny_golden.crops[:2]
    plans = [build("standard"), build("plugin")]

    standard, plugin = (landmarks_of(device, plan, crops)[0] for plan in plans)

    np.testing.assert_allclose(plugin, standard, atol=SAME[False], rtol=0)
