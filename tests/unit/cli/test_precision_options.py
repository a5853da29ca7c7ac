from __future__ import annotations

from pathlib import Path

from facealign.cli.precision_options import face_request, precision_request
from facealign.pipeline.faces import FaceRequest
from facealign.pipeline.precision_request import PrecisionRequest


def test_face_request_has_what_was_asked_for() -> None:
    found = face_request(Path("faces"), crops_from="landmarks", count=33)

    assert found == FaceRequest(
        Path("faces"), crops_from="landmarks", calibration_count=33, held_out_count=33
    )


def test_there_are_no_faces_without_a_folder() -> None:
    assert face_request(None, crops_from="box", count=33) is None


def test_precision_request_has_what_was_asked_for() -> None:
    faces = FaceRequest(Path("faces"))

    found = precision_request(
        "fp32, int8", faces, budget_points=0.2, observer="mse", rest="fp16", quantizer="modelopt"
    )

    assert found == PrecisionRequest(
        precisions=("fp32", "int8"),
        is_required=True,
        faces=faces,
        budget_points=0.2,
        observer="mse",
        rest="fp16",
        quantizer="modelopt",
    )


def test_with_faces_all_precisions_are_tried_and_none_is_required() -> None:
    found = precision_request(
        None, FaceRequest(Path("faces")), budget_points=None, observer="entropy", rest="fp32"
    )

    assert (found.precisions, found.is_required) == (("fp32", "fp16", "int8"), False)


def test_without_faces_there_is_fp32_alone() -> None:
    found = precision_request(None, None, budget_points=None, observer="entropy", rest="fp32")

    assert found.precisions == ("fp32",)
