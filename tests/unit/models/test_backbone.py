"""Backbones: names and shapes alone tell which one it is, and the tiny ones keep every part."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from make_checkpoint import recipe_state_dict
from torch import nn

from facealign.models.backbone import (
    BackboneChoice,
    backbone_by_name,
    build_backbone,
    count_indices,
    detect_backbone,
    discover_backbones,
    shapes_under,
)

KEYS = Path(__file__).parents[2] / "golden" / "keys"
RELATIVE = 3e-5  # of the std; max measured 4.2e-6: exportable against network, all variants
SIZE_PX = 64
DESCRIPTIONS = {
    "efficientnet_b0_lgrl": ("EfficientNet-b0", (1280,)),
    "efficientnet_b1_lgrl": ("EfficientNet-b1", (1280,)),
    "hrnetw18_lgrl": ("HRNet-W18", (270,)),
    "hrnetw32_lgrl": ("HRNet-W32", (480,)),
    "mobilenetA_lgrl": ("MobileNetV2-A", (64, 96, 160, 320)),
    "mobilenetB_lgrl": ("MobileNetV2-B", (64, 128, 256, 512)),
    "mobilenetC_lgrl": ("MobileNetV2-C", (32, 64, 128, 256)),
    "preactresnet18_lgrl": ("PreActResNet-18", (64, 128, 256, 512)),
    "preactresnet34_antialiased_lgrl": (
        "PreActResNet-34 anti-aliased CoordConv IBN-a",
        (64, 128, 256, 512),
    ),
    "preactresnet34_coordconv_lgrl": ("PreActResNet-34 CoordConv IBN-a", (64, 128, 256, 512)),
    "preactresnet34_ibn_a_lgrl": ("PreActResNet-34 IBN-a", (64, 128, 256, 512)),
    "preactresnet50_lgrl": ("PreActResNet-50", (256, 512, 1024, 2048)),
    "resnet18_lgrl": ("ResNet-18", (64, 128, 256, 512)),
    "resnet34_coordconv_ibn_lgrl": ("ResNet-34 CoordConv IBN", (64, 128, 256, 512)),
    "resnet34_dynamic": ("ResNet-34", (64, 128, 256, 512)),
    "resnet34_lgrl": ("ResNet-34", (64, 128, 256, 512)),
    "vgg16_lgrl": ("VGG-16 BN", (512,)),
}
TINY = {
    f"{backbone.name}/{variant}": BackboneChoice(backbone.name, sizes)
    for backbone in discover_backbones()
    for variant, sizes in backbone.tiny().items()
}
each_model = pytest.mark.parametrize("model", DESCRIPTIONS)
each_tiny = pytest.mark.parametrize("choice", TINY.values(), ids=TINY.keys())


def authors_shapes(model: str) -> dict[str, tuple[int, ...]]:
    """Return the shapes of a state dict of the authors' code, head included."""
    keys: Mapping[str, Any] = json.loads((KEYS / f"sdfl_{model}.json").read_text("ascii"))
    return {key: tuple(entry["shape"]) for key, entry in keys.items()}


def own_shapes(network: nn.Module) -> dict[str, tuple[int, ...]]:
    return {key: tuple(value.shape) for key, value in network.state_dict().items()}


def recipe_network(choice: BackboneChoice) -> nn.Module:
    """Return a tiny backbone with weights, ready to run."""
    network = build_backbone(choice)
    network.load_state_dict(recipe_state_dict(network))
    return network.eval().requires_grad_(requires_grad=False)


@each_model
def test_detect_backbone_builds_the_names_and_shapes_of_the_authors(model: str) -> None:
    shapes = authors_shapes(model)

    choice = detect_backbone(shapes, "backbone.")
    with torch.device("meta"):
        network = build_backbone(choice)

    assert own_shapes(network) == shapes_under(shapes, "backbone.")


@each_model
def test_backbone_describes_itself_and_counts_its_channels(model: str) -> None:
    choice = detect_backbone(authors_shapes(model), "backbone.")

    backbone = backbone_by_name(choice.name)

    found = (backbone.describe(choice.sizes), backbone.channels(choice.sizes))
    assert found == DESCRIPTIONS[model]


@each_tiny
def test_detect_backbone_reads_what_the_network_was_built_from(choice: BackboneChoice) -> None:
    shapes = own_shapes(build_backbone(choice))

    found = detect_backbone({f"some.{key}": shape for key, shape in shapes.items()}, "some.")

    assert found == choice


@each_tiny
def test_backbone_ends_at_stride_32_with_the_channels_it_states(choice: BackboneChoice) -> None:
    network = build_backbone(choice).eval()

    with torch.no_grad():
        outputs = network(torch.zeros(2, 3, SIZE_PX, SIZE_PX))

    channels = backbone_by_name(choice.name).channels(choice.sizes)
    assert isinstance(outputs, tuple)
    assert tuple(maps.shape[1] for maps in outputs) == channels
    assert outputs[-1].shape == (2, channels[-1], SIZE_PX // 32, SIZE_PX // 32)
    assert [maps.shape[-1] for maps in outputs] == sorted(
        (maps.shape[-1] for maps in outputs), reverse=True
    )


@each_tiny
def test_exportable_backbone_gives_the_same_maps(choice: BackboneChoice) -> None:
    network = recipe_network(choice)
    image = torch.randn(2, 3, SIZE_PX, SIZE_PX, generator=torch.Generator().manual_seed(1))

    exportable = backbone_by_name(choice.name).exportable(network, SIZE_PX)

    for found, expected in zip(exportable(image), network(image), strict=True):
        torch.testing.assert_close(found, expected, rtol=0, atol=RELATIVE * float(expected.std()))


@each_tiny
def test_unused_keys_of_a_backbone_change_nothing(choice: BackboneChoice) -> None:
    backbone, network = backbone_by_name(choice.name), recipe_network(choice)
    image = torch.randn(1, 3, SIZE_PX, SIZE_PX, generator=torch.Generator().manual_seed(1))
    before = network(image)[-1]

    for key, tensor in network.state_dict().items():
        if backbone.is_unused(key, tensor.shape):
            tensor.fill_(torch.nan)

    assert torch.equal(network(image)[-1], before)


@pytest.mark.parametrize(
    ("name", "variant", "unused"),
    [
        ("resnet", "plain", {"fc.weight", "fc.bias"}),
        ("resnet", "coordconv-ibn", {"fc.weight", "fc.bias"}),
        ("res2net", "bottleneck", {"fc.weight", "fc.bias"}),
        ("preact_resnet", "plain", set()),
    ],
)
def test_only_the_classifier_is_unused(name: str, variant: str, unused: set[str]) -> None:
    shapes = own_shapes(build_backbone(TINY[f"{name}/{variant}"]))

    found = {key for key, shape in shapes.items() if backbone_by_name(name).is_unused(key, shape)}

    assert found == unused


def test_constants_of_backbones_are_the_filters_of_blur_pool() -> None:
    found = {
        key.rsplit(".", 1)[-1]
        for choice in TINY.values()
        for key, tensor in build_backbone(choice).state_dict().items()
        if backbone_by_name(choice.name).is_constant(key, tensor.shape)
    }

    assert found == {"filt"}


def test_detect_backbone_says_that_none_is_known() -> None:
    with pytest.raises(KeyError, match=r"backbone\.\* of one known backbone \(found: none\)"):
        detect_backbone({"backbone.stem.weight": (3, 3, 3, 3)}, "backbone.")


def test_detect_backbone_names_both_that_fit() -> None:
    shapes = authors_shapes("vgg16_lgrl") | authors_shapes("efficientnet_b0_lgrl")

    with pytest.raises(KeyError, match=r"found: `efficientnet`, `vgg`"):
        detect_backbone(shapes, "backbone.")


@pytest.mark.parametrize(
    ("model", "lost", "named"),
    [
        ("resnet34_lgrl", "layer3.0.conv1.weight", "layer3.0.conv1.weight"),
        ("preactresnet34_coordconv_lgrl", "conv1.conv.weight", "conv1.weight"),
        (
            "hrnetw18_lgrl",
            "stage3.0.branches.0.0.conv1.weight",
            "stage3.0.branches.0.0.conv1.weight",
        ),
        ("efficientnet_b0_lgrl", "_blocks.3._se_reduce.weight", "_blocks.3._se_reduce.weight"),
        ("mobilenetC_lgrl", "layer4.0.conv.0.0.weight", "layer4.0.conv.0.0.weight"),
        ("vgg16_lgrl", "features.34.weight", "features.34.weight"),
    ],
)
def test_detect_backbone_names_the_missing_key_with_its_prefix(
    model: str, lost: str, named: str
) -> None:
    shapes = authors_shapes(model)
    del shapes[f"backbone.{lost}"]

    with pytest.raises(KeyError) as caught:
        detect_backbone(shapes, "backbone.")

    assert caught.value.args == (f"backbone.{named}",)


def test_count_indices_stops_at_the_first_gap() -> None:
    shapes = {"block.0.weight": (1,), "block.1.weight": (1,), "block.3.weight": (1,)}

    assert count_indices(shapes, "block.{}.weight") == 2


def test_count_indices_names_the_first_key_if_there_is_none() -> None:
    with pytest.raises(KeyError, match=r"block\.0\.weight"):
        count_indices({}, "block.{}.weight")
