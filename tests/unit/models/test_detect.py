"""Detection of the family, and strict loading, on the tiny SLPT network and its variants."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import pytest
import torch

from facealign.errors import StateDictError, UnknownFamilyError, UsageError
from facealign.models.detect import detect, load_weights
from facealign.models.families.slpt import FAMILY
from facealign.models.families.slpt.hyperparameters import SlptHyperparameters
from facealign.models.families.slpt.network import Slpt
from facealign.models.family import Family, KeySignature, Shapes

_QUERY = "Transformer.landmark_query"
_PATCHES = "feature_extractor.weight"
_SLPT = KeySignature(required=(_QUERY, _PATCHES), excluded=("visual_cnn.weight",))


def _family(name: str, signature: KeySignature) -> Family:
    return dataclasses.replace(FAMILY, name=name, signatures=(signature,))


@pytest.fixture
def slpt() -> Family:
    return _family("slpt", _SLPT)


@pytest.fixture
def spiga() -> Family:
    return _family("spiga", KeySignature(required=("visual_cnn.weight", "theta", "gcn.query")))


@pytest.fixture
def network() -> Slpt:
    return Slpt(SlptHyperparameters.tiny(), torch.zeros(98, 2))


@pytest.fixture
def shapes(network: Slpt) -> dict[str, tuple[int, ...]]:
    return {key: tuple(tensor.shape) for key, tensor in network.state_dict().items()}


def test_detect_gives_family_and_hyperparameters(
    shapes: Shapes, slpt: Family, spiga: Family
) -> None:
    detection = detect(shapes, families=[spiga, slpt])

    tiny = SlptHyperparameters.tiny()
    assert detection.family is slpt
    assert detection.hyperparameters.landmark_count == tiny.landmark_count
    assert detection.hyperparameters.backbone == tiny.backbone


def test_detect_finds_slpt_among_all_families(shapes: Shapes) -> None:
    detection = detect(shapes)

    assert detection.family is FAMILY


def test_detect_hands_settings_to_family(shapes: Shapes) -> None:
    def read(_: Shapes, settings: Mapping[str, int]) -> object:
        return dict(settings)

    family = dataclasses.replace(FAMILY, read_hyperparameters=read)

    detection = detect(shapes, settings={"heads": 4}, families=[family])

    assert detection.hyperparameters == {"heads": 4}


def test_detect_says_how_near_each_family_came(
    shapes: dict[str, tuple[int, ...]], slpt: Family, spiga: Family
) -> None:
    shapes["Transformer.landmark_querry"] = shapes.pop(_QUERY)

    with pytest.raises(UnknownFamilyError) as caught:
        detect(shapes, families=[spiga, slpt])

    text = str(caught.value)
    assert f"no family fits the {len(shapes)} keys of the checkpoint (expected one)" in text
    near = (
        f"slpt: 1 of 2 keys that mark it, lacks `{_QUERY}` (nearest `Transformer.landmark_querry`)"
    )
    assert near in text
    assert "spiga: 0 of 3 keys that mark it, lacks `visual_cnn.weight`" in text
    assert text.index("slpt") < text.index("spiga")


def test_detect_names_key_that_family_never_has(
    shapes: dict[str, tuple[int, ...]], slpt: Family
) -> None:
    shapes["visual_cnn.weight"] = (1,)

    with pytest.raises(
        UnknownFamilyError, match=r"2 of 2 keys that mark it, has `visual_cnn\.weight`, which it"
    ):
        detect(shapes, families=[slpt])


def test_detect_lists_at_most_three_missing_keys() -> None:
    family = _family("slpt", KeySignature(required=("a1", "b2", "c3", "d4", "e5")))

    with pytest.raises(UnknownFamilyError, match="lacks `a1`, `b2`, `c3` and 2 more; check"):
        detect({"zzz": (1,)}, families=[family])


def test_detect_refuses_two_families_that_fit(shapes: Shapes, slpt: Family) -> None:
    twin = _family("twin", KeySignature(required=(_QUERY,)))

    with pytest.raises(
        UnknownFamilyError, match=r"2 families fit .*: `slpt`, `twin`; pass `--family`"
    ):
        detect(shapes, families=[slpt, twin])


def test_detect_takes_named_family_when_two_fit(shapes: Shapes, slpt: Family) -> None:
    twin = _family("twin", KeySignature(required=(_QUERY,)))

    detection = detect(shapes, family="twin", families=[slpt, twin])

    assert detection.family is twin


def test_detect_suggests_family_name(shapes: Shapes, slpt: Family, spiga: Family) -> None:
    with pytest.raises(UnknownFamilyError, match=r"no family `sltp`; did you mean `slpt`\?"):
        detect(shapes, family="sltp", families=[slpt, spiga])


def test_detect_lists_families_when_no_name_is_near(
    shapes: Shapes, slpt: Family, spiga: Family
) -> None:
    with pytest.raises(UnknownFamilyError, match=r"`xyz`; there are `slpt`, `spiga`"):
        detect(shapes, family="xyz", families=[slpt, spiga])


def test_detect_lists_settings_when_one_is_unknown(shapes: Shapes, slpt: Family) -> None:
    with pytest.raises(
        UsageError,
        match=r"no setting `head`; did you mean `heads`\? it has `heads` \(attention heads",
    ):
        detect(shapes, settings={"head": 4}, families=[slpt])


def test_detect_names_key_that_hyperparameters_need(
    shapes: dict[str, tuple[int, ...]], slpt: Family
) -> None:
    first_layer = "Transformer.Transformer_block.layers.0.linear1.weight"
    del shapes[first_layer]

    with pytest.raises(
        UnknownFamilyError, match=rf"no whole `slpt`: it lacks `{first_layer}` \(nearest `"
    ):
        detect(shapes, families=[slpt])


def test_detect_says_when_shapes_have_other_dimensions(
    shapes: dict[str, tuple[int, ...]], slpt: Family
) -> None:
    shapes[_PATCHES] = (1, 2)

    with pytest.raises(UnknownFamilyError, match="is no `slpt`: its tensors have other numbers of"):
        detect(shapes, families=[slpt])


def test_load_weights_copies_every_tensor(network: Slpt) -> None:
    state_dict = {key: torch.ones_like(value) for key, value in network.state_dict().items()}

    load_weights(network, state_dict, FAMILY)

    assert all(bool((value == 1).all()) for value in network.state_dict().values())


def test_load_weights_does_without_batch_norm_counters(network: Slpt) -> None:
    state_dict = {
        key: value
        for key, value in network.state_dict().items()
        if not key.endswith("num_batches_tracked")
    }

    load_weights(network, state_dict, FAMILY)

    assert len(state_dict) < len(network.state_dict())


def test_load_weights_lists_missing_and_surplus_keys_with_nearest(network: Slpt) -> None:
    state_dict = network.state_dict()
    state_dict["out_layers.weight"] = state_dict.pop("out_layer.weight")

    with pytest.raises(
        StateDictError,
        match=r"does not fit `Slpt`: 1 missing key: `out_layer\.weight` \(nearest "
        r"`out_layers\.weight`\); 1 surplus key: `out_layers\.weight` \(nearest `out_layer\.w",
    ):
        load_weights(network, state_dict, FAMILY)


def test_load_weights_lists_at_most_three_keys_of_each_kind(network: Slpt) -> None:
    state_dict = {f"zzz{index}": torch.ones(1) for index in range(5)}
    lackable = ("num_batches_tracked", "feature_norm.weight", "feature_norm.bias")
    tensors = [key for key in network.state_dict() if not key.endswith(lackable)]

    with pytest.raises(StateDictError) as caught:
        load_weights(network, state_dict, FAMILY)

    text = str(caught.value)
    assert f"{len(tensors)} missing keys: " in text
    assert f" and {len(tensors) - 3} more" in text
    assert "5 surplus keys: `zzz0`, `zzz1`, `zzz2` and 2 more" in text


def test_load_weights_gives_expected_and_actual_shape(network: Slpt) -> None:
    state_dict = network.state_dict()
    state_dict["out_layer.bias"] = torch.ones(3)

    with pytest.raises(
        StateDictError,
        match=r"1 key of another shape: `out_layer\.bias` \(expected \(2,\), got \(3,\)",
    ):
        load_weights(network, state_dict, FAMILY)


def test_load_weights_leaves_network_alone_when_it_refuses(network: Slpt) -> None:
    before = {key: value.clone() for key, value in network.state_dict().items()}
    state_dict = {key: torch.ones_like(value) for key, value in before.items()}
    state_dict["surplus"] = torch.ones(1)

    with pytest.raises(StateDictError, match="1 surplus key: `surplus`"):
        load_weights(network, state_dict, FAMILY)

    assert all(torch.equal(before[key], value) for key, value in network.state_dict().items())


_MAP = "backbone.conv1.weight"


def test_load_weights_does_without_what_is_never_used(network: Slpt) -> None:
    state_dict = network.state_dict()
    del state_dict["feature_norm.weight"]

    load_weights(network, state_dict, FAMILY)

    assert "feature_norm.weight" in network.state_dict()


@pytest.fixture
def with_constant() -> Family:
    return dataclasses.replace(FAMILY, is_constant=lambda key, _: key == _MAP)


def test_load_weights_does_without_constant(network: Slpt, with_constant: Family) -> None:
    state_dict = network.state_dict()
    del state_dict[_MAP]

    load_weights(network, state_dict, with_constant)

    assert _MAP in network.state_dict()


def test_load_weights_refuses_other_value_of_constant(network: Slpt, with_constant: Family) -> None:
    state_dict = {key: value.clone() for key, value in network.state_dict().items()}
    state_dict[_MAP][0, 0, 0, 0] += 1e-3

    with pytest.raises(StateDictError, match=f"`{_MAP}` hold other values than this network comp"):
        load_weights(network, state_dict, with_constant)


def test_detect_takes_family_of_which_one_of_several_signatures_fits(
    shapes: Shapes, slpt: Family
) -> None:
    other = KeySignature(required=("visual_cnn.weight",))
    family = dataclasses.replace(slpt, signatures=(other, _SLPT))

    assert detect(shapes, families=[family]).family is family
