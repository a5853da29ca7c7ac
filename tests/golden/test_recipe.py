"""The recipe, and the checkpoint made of it, against the lists taken from the authors' own code."""

from __future__ import annotations

import importlib.util
import json
import zlib
from functools import cache
from pathlib import Path
from types import ModuleType

import make_checkpoint
import numpy as np
import pytest
import recipe
import torch

from facealign.models.checkpoint import read_checkpoint
from tests.reference import REFERENCE, needs_reference

RELATIVE_SUM = 1e-9  # max measured 1.1e-19 of the sum of absolute values, numpy 2.3
each_model = pytest.mark.parametrize("model", make_checkpoint.model_names())


def reference_module(name: str) -> ModuleType:
    """Return a script of the reference, which is no package."""
    spec = importlib.util.spec_from_file_location(f"reference_{name}", REFERENCE / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@each_model
def test_checkpoint_has_names_shapes_and_types_of_authors(model: str) -> None:
    with torch.device("meta"):
        state_dict = untrained(model).state_dict()

    found = {
        key: (list(value.shape), str(value.dtype).removeprefix("torch."))
        for key, value in state_dict.items()
    }

    expected = {
        key: (entry["shape"], entry["dtype"])
        for key, entry in make_checkpoint.model_keys(model).items()
    }
    assert found == expected


@each_model
def test_constants_of_checkpoint_are_those_of_authors(model: str) -> None:
    keys = make_checkpoint.model_keys(model)
    constants = {key: entry["crc32"] for key, entry in keys.items() if entry["kind"] == "constant"}
    state_dict = untrained(model).state_dict() if constants else {}

    found = {key: zlib.crc32(state_dict[key].numpy().tobytes()) for key in constants}

    assert found == constants


@each_model
def test_recipe_has_sums_of_authors(model: str) -> None:
    keys = make_checkpoint.model_keys(model)
    learned = {
        key: entry for key, entry in keys.items() if "sum" in entry and entry["kind"] != "constant"
    }

    deviations = {
        key: relative_deviation(key, tuple(entry["shape"]), entry["sum"])
        for key, entry in learned.items()
        if entry["kind"] != "counter"
    }

    assert max(deviations.values()) <= RELATIVE_SUM


def untrained(model: str) -> torch.nn.Module:
    detection = make_checkpoint.model_detection(model)
    family, hyperparameters = detection.family, detection.hyperparameters
    return family.build_network(hyperparameters, family.made_up_assets(hyperparameters))


def relative_deviation(key: str, shape: tuple[int, ...], expected: float) -> float:
    total, absolute = sums_of_tensor(key, shape)
    return abs(total - expected) / absolute


@cache
def sums_of_tensor(key: str, shape: tuple[int, ...]) -> tuple[float, float]:
    """Return the sum of a recipe tensor, and that of its absolute values."""
    tensor = recipe.tensor(key, shape)
    assert tensor is not None, key
    values = tensor.astype(np.float64)
    return float(values.sum()), float(np.abs(values).sum())


def test_tensor_refuses_vector_that_no_rule_covers() -> None:
    with pytest.raises(KeyError, match=r"no rule for `a\.gamma` of shape \(3,\); add one"):
        recipe.tensor("a.gamma", (3,))


def test_tensor_leaves_constants_alone() -> None:
    assert recipe.tensor("backbone.bn1.num_batches_tracked", ()) is None


@needs_reference
@pytest.mark.parametrize(
    "model",
    [
        pytest.param("slpt_98_dec6", id="slpt"),
        pytest.param("spiga_98", id="spiga"),
        pytest.param("sdfl_resnet34_scc", id="scc"),
        pytest.param("sdfl_efficientnet_b0_lgrl", id="sdfl-efficientnet"),
    ],
)
def test_tensor_is_reference_bit_for_bit(model: str) -> None:
    reference = reference_module("recipe")
    entries = json.loads((REFERENCE / "keys" / f"{model}.json").read_text(encoding="utf-8"))
    shapes = {key: tuple(entry["shape"]) for key, entry in entries.items()}

    different = [
        key
        for key, shape in shapes.items()
        if not np.array_equal(
            np.asarray(recipe.tensor(key, shape)), np.asarray(reference.tensor(key, shape))
        )
    ]

    assert different == []


@needs_reference
@pytest.mark.parametrize("seed", [0, 1, 17])
def test_image_is_reference_bit_for_bit(seed: int) -> None:
    reference = reference_module("recipe")

    picture = recipe.image(seed)

    assert picture.dtype == np.uint8
    np.testing.assert_array_equal(picture, reference.image(seed=seed)[0])


@needs_reference
@pytest.mark.parametrize("landmark_count", [98, 68, 29])
def test_face_model_is_reference(landmark_count: int) -> None:
    reference = reference_module("assets")

    points = recipe.face_model(landmark_count)

    np.testing.assert_array_equal(points, reference.face_model(landmark_count))


@needs_reference
@pytest.mark.parametrize("landmark_count", [98, 68, 29])
def test_edges_are_reference(landmark_count: int) -> None:
    reference = reference_module("assets")

    edges = recipe.edges(landmark_count)

    np.testing.assert_array_equal(edges, reference.edges(landmark_count))


@needs_reference
@pytest.mark.parametrize("landmark_count", [98, 68, 29])
def test_mean_shape_is_reference_as_fraction_of_crop(landmark_count: int) -> None:
    reference = reference_module("assets")

    shape = recipe.mean_shape(landmark_count)

    np.testing.assert_array_equal(256 * shape, reference.mean_shape(landmark_count))


@pytest.mark.parametrize(
    ("name", "arguments", "wrapper", "prefix"),
    [
        pytest.param("slpt.pt", [], None, "", id="bare"),
        pytest.param("slpt.pt", ["--wrapped"], "state_dict", "module.", id="wrapped"),
        pytest.param("slpt.pth.tar", [], "state_dict", "module.", id="pth-tar"),
        pytest.param("slpt.safetensors", [], None, "", id="safetensors"),
    ],
)
def test_main_writes_checkpoint_that_reads_back(
    tmp_path: Path, name: str, arguments: list[str], wrapper: str | None, prefix: str
) -> None:
    make_checkpoint.main([str(tmp_path / name), *arguments])

    checkpoint = read_checkpoint(tmp_path / name)
    assert (checkpoint.wrapper, checkpoint.prefix) == (wrapper, prefix)
    weight = checkpoint.state_dict["out_layer.weight"]
    assert torch.equal(weight, make_checkpoint.model_state_dict("slpt_98_dec6")["out_layer.weight"])


def test_main_writes_mean_shape_in_crop_pixels_into_a_new_folder(tmp_path: Path) -> None:
    make_checkpoint.main([str(tmp_path / "new" / "slpt.pt")])

    mean_shape = np.load(tmp_path / "new" / "mean_shape.npy")
    np.testing.assert_array_equal(mean_shape, 256 * recipe.mean_shape(98))


def test_main_refuses_wrapped_safetensors(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        make_checkpoint.main([str(tmp_path / "slpt.safetensors"), "--wrapped"])

    assert "a .safetensors file holds tensors only" in capsys.readouterr().err
