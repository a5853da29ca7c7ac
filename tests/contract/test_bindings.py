from __future__ import annotations

from pathlib import Path

import pytest

from tests.contract import bindings
from tests.contract.bindings import BindingsError, at_hand, fetch, python_over_stub


@pytest.fixture
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FACEALIGN_TENSORRT_BINDINGS", str(tmp_path))
    return tmp_path


def test_fetch_says_that_the_registry_has_no_such_wheel(
    empty_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(empty_cache))
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")

    with pytest.raises(BindingsError, match=r"registry gave no tensorrt-cu12-bindings 11\.4"):
        fetch("11.4")

    assert at_hand("11.4") is None


def test_at_hand_finds_what_lies_in_the_cache(empty_cache: Path) -> None:
    folder = bindings.cache_folder() / "10.3.0"
    folder.mkdir(parents=True)

    assert at_hand("10.3") == folder
    assert at_hand("10.13") is None
    assert empty_cache in folder.parents


def test_stub_says_that_there_is_no_compiler(
    empty_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.which", lambda _: None)

    with pytest.raises(BindingsError, match="no C compiler"):
        python_over_stub("10.3", "dump.py", str(empty_cache / "out.json"))
