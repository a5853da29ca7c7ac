"""A model repository for NVIDIA Triton Inference Server."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from facealign.serve.prototext import Field, Message, Symbol, prototext
from facealign.serve.served_model import ServedModel
from facealign.spec import BATCH, TensorSpec

__all__ = ["MODELS", "triton_files"]

MODELS = "models"  # what `tritonserver --model-repository` is given
_VERSION = "1"
_FILE_NAMES = {"onnxruntime": "model.onnx", "tensorrt": "model.plan"}
_DATA_TYPES = {"uint8": "TYPE_UINT8", "float32": "TYPE_FP32"}


def triton_files(models: Sequence[ServedModel]) -> dict[str, bytes]:
    """Return a model repository: per model its ``config.pbtxt`` and version 1 of its file.

    Returns:
        From path below the folder, such as ``models/demo_fp32/1/model.onnx``, to content.
    """
    files: dict[str, bytes] = {}
    for model in models:
        folder = f"{MODELS}/{model.name}"
        files[f"{folder}/config.pbtxt"] = _config(model).encode()
        files[f"{folder}/{_VERSION}/{_FILE_NAMES[model.backend]}"] = model.data
    return files


def _config(model: ServedModel) -> str:
    """Return ``config.pbtxt``.

    Source: `ModelConfig` of Triton's ``model_config.proto``, and its user guide: with a
    ``max_batch_size`` above 0 the server adds the batch axis, so ``dims`` must not name it.
    """
    return prototext(
        Message(
            (
                ("name", model.name),
                ("backend", model.backend),
                ("max_batch_size", model.max_batch),
                *(("input", _tensor(spec)) for spec in model.inputs),
                *(("output", _tensor(spec)) for spec in model.outputs),
                ("instance_group", _instance_group(model)),
                # Empty: what waits in the queue becomes one batch, and nothing waits for more.
                ("dynamic_batching", Message()),
                ("model_warmup", _warmup(model)),
                *_parameters(model),
            )
        )
    )


def _tensor(spec: TensorSpec) -> Message:
    return Message(
        (
            ("name", spec.name),
            ("data_type", Symbol(_DATA_TYPES[spec.dtype])),
            ("dims", _dims(spec)),
        )
    )


def _dims(spec: TensorSpec) -> tuple[int, ...]:
    """Return the shape behind the batch axis.

    Raises:
        ValueError: If the first axis is not the batch, or another one is free.
    """
    batch, *rest = spec.shape
    dims = tuple(axis for axis in rest if isinstance(axis, int))
    if batch != BATCH or len(dims) != len(rest):
        raise ValueError(f"`{spec.name}` must have a free batch and nothing else free: {spec}")
    return dims


def _instance_group(model: ServedModel) -> Message:
    kind = "KIND_AUTO"  # a GPU if the server has one, else the CPU
    if model.backend == "tensorrt":
        kind = "KIND_GPU"
    elif model.is_for_cpu:
        kind = "KIND_CPU"
    return Message((("count", 1), ("kind", Symbol(kind))))


def _warmup(model: ServedModel) -> Message:
    """Return one run of black crops, so that no client waits for the first run's allocations."""
    inputs = [
        (
            "inputs",
            Message(
                (
                    ("key", spec.name),
                    (
                        "value",
                        Message((*_tensor(spec).fields[1:], ("zero_data", True))),
                    ),
                )
            ),
        )
        for spec in model.inputs
    ]
    return Message((("name", "black"), ("batch_size", 1), *inputs))


def _parameters(model: ServedModel) -> Iterator[Field]:
    """Yield what a client needs to cut crops; the server gives it out with the configuration."""
    crop = msgspec.json.encode(model.crop).decode()
    for key, text in (("facealign.crop", crop), ("facealign.scheme", model.scheme)):
        value = Message((("string_value", text),))
        yield "parameters", Message((("key", key), ("value", value)))
