"""Triton's model repository, read back with Triton's own schema."""

from __future__ import annotations

import json

import pytest

from facealign.serve import triton_files
from facealign.spec import TensorSpec
from tests.unit.serve.models import served_model
from tests.unit.serve.schemas import read_triton

CONFIG = "models/demo_fp32/config.pbtxt"
# Planted faults: each is a change of the written text that a strict reader must refuse.
FAULTS = {
    "field": ("max_batch_size:", "max_batch:"),
    "dtype": ("TYPE_UINT8", "TYPE_U8"),
    "enum": ("KIND_AUTO", "KIND_TPU"),
    "quoted_number": ("max_batch_size: 8", 'max_batch_size: "8"'),
    "nested_field": ("zero_data:", "zeros:"),
    "brace": ("dynamic_batching {", "dynamic_batching"),
}


def _config(**changes: object) -> str:
    model = served_model(**changes)
    return triton_files([model])[f"models/{model.name}/config.pbtxt"].decode()


@pytest.mark.parametrize(
    ("backend", "file"), [("onnxruntime", "model.onnx"), ("tensorrt", "model.plan")]
)
def test_triton_files_lay_out_a_model_repository(backend: str, file: str) -> None:
    files = triton_files([served_model(backend=backend)])

    assert set(files) == {CONFIG, f"models/demo_fp32/1/{file}"}
    assert files[f"models/demo_fp32/1/{file}"] == b"graph"


def test_config_says_the_contract_without_the_batch_axis() -> None:
    config = read_triton(_config())

    (image,) = config.input
    assert (image.name, list(image.dims)) == ("image", [256, 256, 3])
    assert [(o.name, list(o.dims)) for o in config.output] == [
        ("landmarks", [98, 2]),
        ("pose", [6]),
        ("score", [98]),
    ]
    assert config.max_batch_size == 8
    assert config.HasField("dynamic_batching")


def test_config_gives_types_by_tritons_names() -> None:
    config = read_triton(_config())

    kinds = config.input[0].DESCRIPTOR.fields_by_name["data_type"].enum_type.values_by_number
    assert kinds[config.input[0].data_type].name == "TYPE_UINT8"
    assert {kinds[output.data_type].name for output in config.output} == {"TYPE_FP32"}


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({}, "KIND_AUTO"),
        ({"is_for_cpu": True}, "KIND_CPU"),
        ({"backend": "tensorrt"}, "KIND_GPU"),
    ],
    ids=["graph", "cpu_graph", "plan"],
)
def test_config_puts_a_model_where_it_can_run(changes: dict[str, object], kind: str) -> None:
    (group,) = read_triton(_config(**changes)).instance_group

    kinds = group.DESCRIPTOR.fields_by_name["kind"].enum_type.values_by_number
    assert (group.count, kinds[group.kind].name) == (1, kind)


def test_config_warms_up_with_an_input_of_the_contract() -> None:
    (warmup,) = read_triton(_config()).model_warmup

    image = warmup.inputs["image"]
    assert (warmup.batch_size, list(image.dims), image.zero_data) == (1, [256, 256, 3], True)


def test_config_tells_clients_the_crop_rule() -> None:
    parameters = read_triton(_config()).parameters

    crop = json.loads(parameters["facealign.crop"].string_value)
    assert crop["from_box"] == {"side_factor": 1.15, "centre": "integer"}
    assert parameters["facealign.scheme"].string_value == "wflw98"


@pytest.mark.parametrize("fault", FAULTS)
def test_schema_refuses_a_planted_fault(fault: str) -> None:
    old, new = FAULTS[fault]
    text = _config()

    read_triton(text)
    with pytest.raises(Exception, match=r"\d+:\d+ :"):  # line and column, as ParseError says
        read_triton(text.replace(old, new, 1))


def test_triton_files_refuse_a_tensor_without_a_batch() -> None:
    fixed = (TensorSpec("image", "uint8", (1, 256, 256, 3)),)

    with pytest.raises(ValueError, match="must have a free batch"):
        triton_files([served_model(inputs=fixed)])
