"""One family at a time, tiny: its network, its graph, and one thread to run them on."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from facealign.models.family import Family, discover_families
from facealign.models.load import Model
from tests.conformance.tiny import tiny_graph, tiny_model


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> Iterator[None]:
    """Keep torch to one thread: on a busy machine two take ten times as long for a tiny map."""
    count = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(count)


@pytest.fixture(params=discover_families(), ids=lambda family: str(family.name))
def family(request: pytest.FixtureRequest) -> Family:
    found: Family = request.param
    return found


@pytest.fixture
def model(family: Family) -> Model:
    return tiny_model(family.name)


@pytest.fixture
def graph(family: Family) -> bytes:
    return tiny_graph(family.name)
