from __future__ import annotations

import sys
from pathlib import Path

import pytest

from facealign.bundle import read_bundle
from facealign.errors import BackendError, UsageError
from facealign.runtime.engine import engine_names, open_engine


def test_engine_names_lists_what_can_be_asked_for() -> None:
    assert "onnxruntime" in engine_names()


def test_open_engine_opens_the_one_asked_for(tiny_bundle: Path) -> None:
    engine = open_engine(read_bundle(tiny_bundle), name="onnxruntime", precision="fp32")

    assert engine.name == "onnxruntime"
    assert engine.max_batch == 4


@pytest.mark.parametrize(
    ("name", "message"),
    [
        pytest.param(
            "onnxruntme", r"no engine 'onnxruntme'; did you mean 'onnxruntime'\?", id="typo"
        ),
        pytest.param("zzz", r"no engine 'zzz'; choose from onnxruntime", id="unknown"),
        pytest.param("", r"no engine ''; choose from onnxruntime", id="empty"),
    ],
)
def test_open_engine_rejects_an_unknown_name(tiny_bundle: Path, name: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        open_engine(read_bundle(tiny_bundle), name=name, precision="fp32")


def test_open_engine_rejects_a_precision_that_the_bundle_has_not(tiny_bundle: Path) -> None:
    with pytest.raises(UsageError, match=r"has no 'fp16' graph; choose from fp32"):
        open_engine(read_bundle(tiny_bundle), name="onnxruntime", precision="fp16")


@pytest.mark.parametrize("threads", [0, -1])
def test_open_engine_rejects_a_number_of_threads_below_one(tiny_bundle: Path, threads: int) -> None:
    with pytest.raises(UsageError, match=f"`threads` must be at least 1, got {threads}"):
        open_engine(read_bundle(tiny_bundle), name="onnxruntime", precision="fp32", threads=threads)


def test_open_engine_names_the_extra_when_the_library_is_absent(
    tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    monkeypatch.delitem(sys.modules, "facealign.runtime.ort_engine", raising=False)

    with pytest.raises(BackendError, match=r"cannot be imported .*pip install \"facealign\[ort\]"):
        open_engine(read_bundle(tiny_bundle), name="onnxruntime", precision="fp32")
