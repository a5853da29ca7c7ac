"""Probes of engines, as the process of a proof runs them."""

from __future__ import annotations

from pathlib import Path

import pytest

from facealign.bundle import read_bundle, write_bundle
from facealign.pipeline.probe_bundle import write_probe_bundle
from facealign.pipeline.proving import prove_all


@pytest.fixture
def other_bundle(tmp_path: Path) -> Path:
    """Return a bundle that is whole, and whose graph is none that an engine opens."""
    bundle = read_bundle(write_probe_bundle(tmp_path / "probe.bundle"))
    files = {each: bundle.read_file(each) for each in bundle.manifest.files}
    return write_bundle(
        tmp_path / "other.bundle", bundle.manifest, {**files, "model.onnx": b"nonsense"}
    )


def test_a_bundle_that_fails_on_an_engine_that_works_is_told(other_bundle: Path) -> None:
    proof = prove_all([("onnxruntime", str(other_bundle))])["onnxruntime"]

    assert proof.text.startswith("it works, and other.bundle does not on it: ")
    assert (proof.passed, proof.is_unfit) == (False, True)


def test_an_engine_that_works_on_nothing_is_not_excused_by_the_bundle(
    other_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "onnxruntime.py").write_text("raise ImportError('libonnx.so: not found')")
    monkeypatch.syspath_prepend(tmp_path)

    proof = prove_all([("onnxruntime", str(other_bundle))])["onnxruntime"]

    assert (proof.passed, proof.is_unfit) == (False, False)
    assert "libonnx.so: not found" in proof.text
