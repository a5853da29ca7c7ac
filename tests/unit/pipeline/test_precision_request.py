from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from facealign.errors import DatasetError, UsageError
from facealign.pipeline.faces import FaceRequest
from facealign.pipeline.precision_request import PrecisionRequest, check_precisions

ALL = ("fp32", "fp16", "int8")
SOMEWHERE = FaceRequest(Path("nowhere"))


@pytest.fixture
def request_(boxed_faces: Path) -> PrecisionRequest:
    return PrecisionRequest(ALL, faces=FaceRequest(boxed_faces), observer="min_max")


@pytest.mark.parametrize(
    ("request_", "stages"),
    [
        pytest.param(PrecisionRequest(), (), id="default"),
        pytest.param(PrecisionRequest(faces=SOMEWHERE), (), id="faces-for-nothing"),
        pytest.param(PrecisionRequest(("fp32", "fp16")), ("fp16",), id="fp16-alone"),
        pytest.param(
            PrecisionRequest(("fp32", "fp16"), faces=SOMEWHERE), ("faces", "fp16"), id="fp16"
        ),
        pytest.param(
            PrecisionRequest(("int8", "fp32"), faces=SOMEWHERE),
            ("faces", "calibrate", "int8"),
            id="int8",
        ),
        pytest.param(
            PrecisionRequest(ALL, faces=SOMEWHERE), ("faces", "fp16", "calibrate", "int8"), id="all"
        ),
    ],
)
def test_request_takes_these_stages(request_: PrecisionRequest, stages: tuple[str, ...]) -> None:
    assert request_.stages == stages


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        pytest.param(
            PrecisionRequest(("fp32", "int4")),
            r"there is no precision 'int4'; choose from fp32, fp16, int8",
            id="unknown",
        ),
        pytest.param(PrecisionRequest(("fp32", "")), r"there is no precision ''", id="empty"),
        pytest.param(
            PrecisionRequest(("fp16",)),
            r"FP32 is what the others are judged by; pass",
            id="no-fp32",
        ),
        pytest.param(
            PrecisionRequest(ALL),
            r"INT8 needs faces to calibrate on; pass `--calibration DIR`",
            id="no-faces",
        ),
        pytest.param(
            PrecisionRequest(("fp32", "int8"), faces=SOMEWHERE, rest="fp16"),
            r"`--int8-rest fp16` puts INT8 into the FP16 graph; pass `--precision fp32,fp16,int8`",
            id="rest-without-fp16",
        ),
        pytest.param(
            PrecisionRequest(budget_points=-0.1),
            r"`--budget-nme` must be 0 or more, got -0.1",
            id="negative",
        ),
        pytest.param(
            PrecisionRequest(budget_points=float("nan")),
            r"`--budget-nme` must be 0 or more, got nan",
            id="nan",
        ),
        pytest.param(
            PrecisionRequest(budget_points=float("inf")),
            r"`--budget-nme` must be .*, got inf",
            id="infinite",
        ),
    ],
)
def test_check_precisions_refuses(request_: PrecisionRequest, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        check_precisions(request_)


def test_check_precisions_looks_at_the_faces_before_a_minute_of_work(tmp_path: Path) -> None:
    request = PrecisionRequest(ALL, faces=FaceRequest(tmp_path))

    with pytest.raises(DatasetError, match="is no data set with a split 'test'"):
        check_precisions(request)


def test_check_precisions_accepts_what_can_be_made(request_: PrecisionRequest) -> None:
    check_precisions(request_)
    check_precisions(replace(request_, rest="fp16", budget_points=0.0))
