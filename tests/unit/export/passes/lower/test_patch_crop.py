from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import onnx_ir as ir
import pytest
from numpy.typing import NDArray

from facealign.export.graph import bytes_from_graph, check_onnx, node_counts
from facealign.export.passes.lower.patch_crop import CustomPatchCropPass
from tests.unit.export.passes.lower.sampling import border_grid, crop_text, patches_of, random_maps

Parse = Callable[[str], ir.Model]
Run = Callable[[ir.Model, Mapping[str, NDArray[np.generic]]], dict[str, NDArray[np.float32]]]

SAME = 1e-5  # issue 5; max measured 6.9e-7, to numpy: ONNX Runtime 1.31 on CPU
CROP = crop_text(2, 3)
BORDER = crop_text(*border_grid().shape[1:3])


def custom_of(model: ir.Model) -> ir.Node:
    return next(node for node in model.graph if node.op_type == "PatchCrop")


def test_custom_patch_crop_stands_for_grid_sample(model_from_text: Parse) -> None:
    result = CustomPatchCropPass()(model_from_text(CROP))

    node = custom_of(result.model)
    assert result.modified
    assert node_counts(result.model) == {"PatchCrop": 1, "Neg": 1}
    assert node.domain == "facealign"
    assert node.outputs[0].name == "patches"
    assert result.model.opset_imports["facealign"] == 1


def test_custom_patch_crop_says_under_which_name_its_plugin_registers(
    model_from_text: Parse,
) -> None:
    node = custom_of(CustomPatchCropPass()(model_from_text(CROP)).model)

    attributes = {name: attribute.value for name, attribute in node.attributes.items()}
    assert attributes == {"plugin_namespace": "facealign", "plugin_version": "1"}


def test_custom_patch_crop_keeps_type_and_shape_of_its_result(model_from_text: Parse) -> None:
    result = CustomPatchCropPass()(model_from_text(CROP))

    patches = custom_of(result.model).outputs[0]
    assert patches.dtype == ir.DataType.FLOAT
    assert patches.shape is not None
    assert list(patches.shape)[1:] == [3, 2, 3]


def test_custom_patch_crop_carries_its_body(model_from_text: Parse) -> None:
    result = CustomPatchCropPass()(model_from_text(CROP))

    assert list(result.model.functions) == [("facealign", "PatchCrop", "")]


def test_custom_patch_crop_holds_the_standard(model_from_text: Parse) -> None:
    result = CustomPatchCropPass()(model_from_text(CROP))

    check_onnx(result.model)


@pytest.mark.parametrize("batch", [1, 3])
def test_custom_patch_crop_runs_without_a_kernel(
    model_from_text: Parse, run: Run, rng: np.random.Generator, batch: int
) -> None:
    grid = np.repeat(border_grid(), batch, axis=0)
    feeds = {"features": random_maps(rng, batch), "grid": grid}
    before = run(model_from_text(BORDER), feeds)["y"]

    after = run(CustomPatchCropPass()(model_from_text(BORDER)).model, feeds)["y"]

    assert np.abs(after - before).max() <= SAME
    assert np.abs(after + patches_of(feeds["features"], grid)).max() <= SAME


def test_custom_patch_crop_runs_twice_without_change(model_from_text: Parse) -> None:
    once = CustomPatchCropPass()(model_from_text(CROP)).model
    data = bytes_from_graph(once)

    twice = CustomPatchCropPass()(once)

    assert not twice.modified
    assert bytes_from_graph(twice.model) == data


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(crop_text(2, 3, more=", align_corners = 1"), id="corners-aligned"),
        pytest.param(crop_text(2, 3, more=', padding_mode = "border"'), id="border-repeated"),
        pytest.param(crop_text(2, 3).replace("bilinear", "nearest"), id="nearest"),
        pytest.param("g (float[B, 2] x) => (float[B, 2] y) { y = Relu(x) }", id="none"),
    ],
)
def test_custom_patch_crop_leaves_alone(model_from_text: Parse, text: str) -> None:
    model = model_from_text(text)
    before = bytes_from_graph(model)

    result = CustomPatchCropPass()(model)

    assert not result.modified
    assert bytes_from_graph(result.model) == before


def border_repeated(node: ir.Node) -> None:
    node.attributes["padding_mode"] = ir.AttrString("padding_mode", "border")


def corners_aligned(node: ir.Node) -> None:
    node.attributes["align_corners"] = ir.AttrInt64("align_corners", 1)


def nearest(node: ir.Node) -> None:
    node.attributes["mode"] = ir.AttrString("mode", "nearest")


@pytest.mark.parametrize("plant", [border_repeated, corners_aligned, nearest])
def test_a_fault_in_the_body_is_seen(
    model_from_text: Parse, run: Run, rng: np.random.Generator, plant: Callable[[ir.Node], None]
) -> None:
    feeds = {"features": random_maps(rng, 1), "grid": border_grid()}
    before = run(model_from_text(BORDER), feeds)["y"]
    model = CustomPatchCropPass()(model_from_text(BORDER)).model

    plant(next(iter(next(iter(model.functions.values())))))

    assert np.abs(run(model, feeds)["y"] - before).max() > 1000 * SAME
