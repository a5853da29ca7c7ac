"""What cannot be put under the roof is said, and costs nothing that was measured."""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec
import pytest

from facealign.bench.result import CandidateResult
from facealign.bundle import read_bundle
from facealign.errors import BackendError
from facealign.pipeline import roofline
from facealign.pipeline.bench_rooflines import rooflines_of, rooflines_text
from tests.unit.report_data import bench_result

RESULT = bench_result()
PLAN = RESULT.candidates[-1]
GRAPHS = RESULT.candidates[:1]


def test_rooflines_of_says_why_a_plan_has_no_layers(tiny_bundle: Path) -> None:
    assert PLAN.gpu is not None
    gpu = msgspec.structs.replace(PLAN.gpu, layers=(), no_layers="TensorRT reports no layers")
    skipped: list[str] = []

    found = rooflines_of(
        read_bundle(tiny_bundle), [msgspec.structs.replace(PLAN, gpu=gpu)], skipped
    )

    assert found == (None, ())
    assert skipped == [
        "the layers of tensorrt fp16 at batch 1 were not timed: TensorRT reports no layers",
        "the roofline was not measured: onnxruntime was not among the candidates",
    ]


def test_rooflines_of_says_that_onnx_is_absent(
    tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "facealign.pipeline.roofline", None)

    skipped = _skipped(tiny_bundle, GRAPHS)

    assert skipped[0].startswith("the roofline was not measured: it reads graphs with `onnx` (")
    assert skipped[0].endswith('); run `pip install "facealign[compile]"`')


def test_rooflines_of_says_what_failed(tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise BackendError("onnxruntime left a profile that cannot be read")

    monkeypatch.setattr(roofline, "rooflines", refuse)

    assert _skipped(tiny_bundle, GRAPHS) == [
        "the roofline was not measured: onnxruntime left a profile that cannot be read"
    ]


def test_rooflines_text_has_roof_and_shares() -> None:
    text = rooflines_text(RESULT.roof, RESULT.rooflines[:1])

    assert text == "fp32 118 GFLOP/s, int8 402 GFLOP/s, 17 GB/s; reached: fp32 26%"
    assert rooflines_text(None, ()) == "not measured"


def _skipped(bundle: Path, results: tuple[CandidateResult, ...]) -> list[str]:
    skipped: list[str] = []
    assert rooflines_of(read_bundle(bundle), results, skipped) == (None, ())
    return skipped
