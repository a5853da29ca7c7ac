"""The real bindings of each version, where they are at hand or may be downloaded."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from tests.contract.api import VERSIONS, Api, reduced_apis
from tests.contract.bindings import BindingsError, at_hand, fetch, real_api

MAY_DOWNLOAD = "FACEALIGN_CONTRACT"


@pytest.fixture(scope="session")
def apis() -> dict[str, Api]:
    """Return the project's own copy of the facts, by version."""
    return reduced_apis()


@pytest.fixture(scope="session", params=VERSIONS)
def bindings(request: pytest.FixtureRequest) -> tuple[str, Path]:
    """Return a version and the folder of its real bindings; skips where there are none."""
    version = str(request.param)
    folder = at_hand(version)
    if folder is None and not os.environ.get(MAY_DOWNLOAD):
        pytest.skip(f"the bindings of TensorRT {version} are not here; {MAY_DOWNLOAD}=1 gets them")
    started = time.monotonic()
    try:
        folder = fetch(version)
        real_api(version, folder)
    except BindingsError as error:
        pytest.skip(f"{error} (after {time.monotonic() - started:.0f} s)")
    return version, folder


@pytest.fixture(scope="session")
def real(bindings: tuple[str, Path]) -> Api:
    """Return what the real bindings of a version offer."""
    version, folder = bindings
    return real_api(version, folder)
