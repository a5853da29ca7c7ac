"""Networks for tests: with recipe weights, or as names and shapes alone."""

from __future__ import annotations

from typing import TypeVar

from make_checkpoint import model_keys, recipe_state_dict
from torch import nn

from facealign.models.family import Family

__all__ = ["published_shapes", "shapes_of", "tiny_network", "with_recipe_weights"]

Network = TypeVar("Network", bound=nn.Module)


def with_recipe_weights(network: Network) -> Network:
    """Return the network itself, ready for inference."""
    network.load_state_dict(recipe_state_dict(network))
    return network.eval().requires_grad_(requires_grad=False)


def tiny_network(family: Family, variant: str) -> nn.Module:
    """Return one of a family's tiny networks, with recipe weights and made-up side files."""
    sizes = family.tiny()[variant]
    return with_recipe_weights(family.build_network(sizes, family.made_up_assets(sizes)))


def shapes_of(network: nn.Module) -> dict[str, tuple[int, ...]]:
    return {key: tuple(value.shape) for key, value in network.state_dict().items()}


def published_shapes(model: str) -> dict[str, tuple[int, ...]]:
    """Return the shapes of a published checkpoint, such as ``hrnet_w18_wflw``."""
    return {key: tuple(entry["shape"]) for key, entry in model_keys(model).items()}
