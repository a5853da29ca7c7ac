"""One variant at a time, tiny: its network, its graph, and one thread to run them on."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from facealign.models.family import Family
from facealign.models.load import Model
from tests.conformance.tiny import tiny_detection, tiny_graph, tiny_model, tiny_names


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> Iterator[None]:
    """Keep torch to one thread: on a busy machine two take ten times as long for a tiny map."""
    count = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(count)


@pytest.fixture(params=tiny_names(), scope="module")
def name(request: pytest.FixtureRequest) -> str:
    found: str = request.param
    return found


@pytest.fixture(scope="module")
def family(name: str) -> Family:
    return tiny_detection(name).family


@pytest.fixture(scope="module")
def model(name: str) -> Model:
    return tiny_model(name)


@pytest.fixture(scope="module")
def graph(name: str) -> bytes:
    return tiny_graph(name)
