"""The schemas that configurations are read back with, by protobuf's own strict reader.

Triton's is the one that NVIDIA ships in `tritonclient`. DeepStream's is in no package, so the part
of it that is used was written down here, by names, numbers and types of its documents (Gst-
nvinferserver, 6.0 to 9.2). Both refuse a field, a type or a value of an enum that they do not know.
"""
# ruff: noqa: ANN401  # protobuf makes its classes when it runs

from __future__ import annotations

import importlib
import importlib.util
import warnings
from pathlib import Path
from typing import Any

import pytest

__all__ = ["read_deepstream", "read_triton"]

_NUMBERS = {"string": 9, "int32": 5, "int64": 3, "uint32": 13, "bool": 8, "float": 2}
_REPEATED, _SINGLE = 3, 1
_MESSAGE, _ENUM = 11, 14
_PACKAGE = "nvdsinferserver.config"
_ENUMS = {
    "MediaFormat": "MEDIA_FORMAT_NONE IMAGE_FORMAT_RGB IMAGE_FORMAT_BGR IMAGE_FORMAT_GRAY",
    "TensorOrder": "TENSOR_ORDER_NONE TENSOR_ORDER_LINEAR TENSOR_ORDER_NHWC",
    "FrameScalingHW": "FRAME_SCALING_HW_DEFAULT FRAME_SCALING_HW_GPU FRAME_SCALING_HW_VIC",
    "MemoryType": "MEMORY_TYPE_DEFAULT MEMORY_TYPE_CPU MEMORY_TYPE_GPU",
    "ProcessMode": "PROCESS_MODE_DEFAULT PROCESS_MODE_FULL_FRAME PROCESS_MODE_CLIP_OBJECTS",
}
# Name, number and type of each field; `*` repeats it.
_MESSAGES = {
    "InputLayer": "name 1 string; dims 2 int32*",
    "OutputLayer": "name 1 string",
    "TritonModelRepo": "root 1 string*; log_level 2 uint32; strict_model_config 3 bool",
    "TritonParams": "model_name 1 string; version 2 int64; model_repo 4 TritonModelRepo",
    "BackendParams": "inputs 1 InputLayer*; outputs 2 OutputLayer*; triton 4 TritonParams; "
    "output_mem_type 5 MemoryType",
    "ScaleNormalize": "scale_factor 1 float; channel_offsets 2 float*",
    "PreProcessParams": "network_format 1 MediaFormat; tensor_order 2 TensorOrder; "
    "tensor_name 3 string; maintain_aspect_ratio 4 int32; frame_scaling_hw 5 FrameScalingHW; "
    "frame_scaling_filter 6 uint32; normalize 7 ScaleNormalize; symmetric_padding 8 int32",
    "OtherNetworkParams": "type_name 1 string",
    "PostProcessParams": "labelfile_path 1 string; other 5 OtherNetworkParams",
    "InferenceConfig": "unique_id 1 uint32; gpu_ids 2 int32*; max_batch_size 3 uint32; "
    "backend 4 BackendParams; preprocess 5 PreProcessParams; postprocess 6 PostProcessParams",
    "InputControl": "process_mode 1 ProcessMode; operate_on_gie_id 2 int32; "
    "operate_on_class_ids 3 int32*; interval 4 uint32",
    "OutputControl": "output_tensor_meta 1 bool",
    "PluginControl": "infer_config 1 InferenceConfig; input_control 2 InputControl; "
    "output_control 3 OutputControl",
}


def read_triton(text: str) -> Any:
    """Return the `ModelConfig`; skips the test where `tritonclient` is not installed."""
    return _text_format().Parse(text, _triton_module().ModelConfig())


def read_deepstream(text: str) -> Any:
    """Return the `PluginControl` of nvinferserver."""
    factory = importlib.import_module("google.protobuf.message_factory")
    pool = importlib.import_module("google.protobuf.descriptor_pool").DescriptorPool()
    pool.Add(_deepstream_file())
    kind = factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.PluginControl"))
    return _text_format().Parse(text, kind())


def _text_format() -> Any:
    return importlib.import_module("google.protobuf.text_format")


def _triton_module() -> Any:
    """Load one file of the package: its `__init__` wants grpc, which nothing here needs."""
    found = importlib.util.find_spec("tritonclient")
    if found is None or not found.submodule_search_locations:
        pytest.skip("tritonclient, which has Triton's schema, is not installed")
    path = Path(found.submodule_search_locations[0]) / "grpc" / "model_config_pb2.py"
    spec = importlib.util.spec_from_file_location("triton_model_config_pb2", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a protobuf that is one version newer says so
        spec.loader.exec_module(module)
    return module


def _deepstream_file() -> Any:
    descriptor = importlib.import_module("google.protobuf.descriptor_pb2")
    file = descriptor.FileDescriptorProto(name="plugin.proto", package=_PACKAGE, syntax="proto3")
    for name, values in _ENUMS.items():
        kind = file.enum_type.add(name=name)
        for number, value in enumerate(values.split()):
            kind.value.add(name=value, number=number)
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for field in fields.split("; "):
            _add_field(message, *field.split())
    return file


def _add_field(message: Any, name: str, number: str, kind: str) -> None:
    plain = kind.rstrip("*")
    field = message.field.add(
        name=name, number=int(number), label=_REPEATED if kind.endswith("*") else _SINGLE
    )
    if plain in _NUMBERS:
        field.type = _NUMBERS[plain]
        return
    field.type = _ENUM if plain in _ENUMS else _MESSAGE
    field.type_name = f".{_PACKAGE}.{plain}"
