"""Configurations of DeepStream's nvinferserver, read back with its schema."""

from __future__ import annotations

import pytest

from facealign.errors import TargetError
from facealign.serve import check_deepstream, deepstream_files
from facealign.spec import CropSpec, SquareRule
from tests.unit.serve.models import served_model
from tests.unit.serve.schemas import read_deepstream

CONFIG = "config_demo_fp32.txt"
EXACT = SquareRule(1.6, "exact")
FAULTS = {
    "field": ("max_batch_size:", "batch-size:"),
    "enum": ("TENSOR_ORDER_NHWC", "TENSOR_ORDER_HWC"),
    "type": ("operate_on_gie_id: 1", "operate_on_gie_id: true"),
    "fraction": ("frame_scaling_filter: 1", "frame_scaling_filter: 1.5"),
    "place": ("output_tensor_meta:", "process_mode:"),
}


def _text(**changes: object) -> str:
    return deepstream_files([served_model(**changes)])[CONFIG].decode()


def test_deepstream_files_hold_a_model_repository_and_a_configuration() -> None:
    files = deepstream_files([served_model()])

    assert set(files) == {
        CONFIG,
        "models/demo_fp32/config.pbtxt",
        "models/demo_fp32/1/model.onnx",
    }


def test_config_asks_for_pixels_as_the_graph_takes_them() -> None:
    config = read_deepstream(_text()).infer_config

    preprocess = config.preprocess
    formats = preprocess.DESCRIPTOR.fields_by_name["network_format"].enum_type.values_by_number
    orders = preprocess.DESCRIPTOR.fields_by_name["tensor_order"].enum_type.values_by_number
    assert formats[preprocess.network_format].name == "IMAGE_FORMAT_BGR"
    assert orders[preprocess.tensor_order].name == "TENSOR_ORDER_NHWC"
    assert preprocess.normalize.scale_factor == 1.0
    assert list(preprocess.normalize.channel_offsets) == []


def test_config_names_the_model_in_the_repository_beside_it() -> None:
    config = read_deepstream(_text()).infer_config

    triton = config.backend.triton
    assert (triton.model_name, list(triton.model_repo.root)) == ("demo_fp32", ["models"])
    assert [layer.name for layer in config.backend.outputs] == ["landmarks", "pose", "score"]
    assert config.max_batch_size == 8


def test_config_runs_on_objects_and_hands_out_tensors() -> None:
    control = read_deepstream(_text())

    modes = control.input_control.DESCRIPTOR.fields_by_name["process_mode"].enum_type
    mode = modes.values_by_number[control.input_control.process_mode].name
    assert (mode, control.output_control.output_tensor_meta) == ("PROCESS_MODE_CLIP_OBJECTS", True)


@pytest.mark.parametrize(("interpolation", "number"), [("nearest", 0), ("bilinear", 1)])
def test_config_reads_pixels_by_the_crop_rule(interpolation: str, number: int) -> None:
    crop = CropSpec(256, EXACT, EXACT, interpolation=interpolation)  # type: ignore[arg-type]  # both are

    text = _text(crop=crop)

    assert read_deepstream(text).infer_config.preprocess.frame_scaling_filter == number


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        (SquareRule(1.15, "integer"), "int(v + 0.5)"),
        (EXACT, "centre = the middle of the box"),
    ],
    ids=["integer", "exact"],
)
def test_config_tells_in_comments_what_it_cannot_express(rule: SquareRule, words: str) -> None:
    text = _text(crop=CropSpec(256, rule, rule))

    comments = [line for line in text.splitlines() if line.startswith("#")]
    assert any(words in line for line in comments)
    assert any(f"side = {rule.side_factor:g} * max(w, h)" in line for line in comments)
    assert any("leave such faces out" in line for line in comments)


def test_deepstream_files_leave_out_what_is_for_a_cpu() -> None:
    files = deepstream_files([served_model(), served_model(name="demo_int8_cpu", is_for_cpu=True)])

    assert not [name for name in files if "int8_cpu" in name]


def test_deepstream_refuses_a_border_that_is_not_black() -> None:
    crop = CropSpec(256, EXACT, EXACT, border_value=127)

    with pytest.raises(TargetError, match="with 127 and DeepStream with black; serve with Triton"):
        check_deepstream(crop)


@pytest.mark.parametrize("fault", FAULTS)
def test_schema_refuses_a_planted_fault(fault: str) -> None:
    old, new = FAULTS[fault]
    text = _text()

    read_deepstream(text)
    with pytest.raises(Exception, match=r"\d+:\d+ :"):
        read_deepstream(text.replace(old, new, 1))
