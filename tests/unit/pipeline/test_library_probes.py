"""Probes of the workstation's libraries."""

from __future__ import annotations

import sys
from importlib import metadata
from types import ModuleType
from typing import Any

import onnx
import pytest

from facealign.pipeline.library_probes import _PROBES, probe_library
from facealign.pipeline.probes import LIBRARY_PROBES

# Those whose import takes no second; the slow ones are proved by `facealign doctor` itself.
QUICK = {
    "h5py": "h5py",
    "jinja2": "jinja2",
    "matplotlib": "matplotlib",
    "onnx": "onnx",
    "onnx_ir": "onnx-ir",
    "safetensors": "safetensors",
}


def test_every_library_has_a_probe() -> None:
    assert set(LIBRARY_PROBES) == set(_PROBES)


@pytest.mark.parametrize("module", QUICK)
def test_a_library_shows_its_version(module: str) -> None:
    steps = list[str]()

    text = probe_library(module, steps.append)

    assert text.startswith(metadata.version(QUICK[module]))
    assert steps == [f"import {module}"]


def _onnxsim(*, is_same: bool) -> ModuleType:
    module: Any = ModuleType("onnxsim")
    module.__version__ = "v0.1"

    def simplify(model: onnx.ModelProto) -> tuple[onnx.ModelProto, bool]:
        return model, is_same

    module.simplify = simplify
    return module  # type: ignore[no-any-return]  # Any, so that attributes can be set


def test_onnxsim_is_asked_to_simplify(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxsim", _onnxsim(is_same=True))

    assert probe_library("onnxsim", lambda _: None) == "0.1, 8 nodes left of a probe"


def test_an_onnxsim_that_changes_values_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxsim", _onnxsim(is_same=False))

    with pytest.raises(ArithmeticError, match="other values"):
        probe_library("onnxsim", lambda _: None)
