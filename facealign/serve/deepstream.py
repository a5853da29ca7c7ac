"""Configurations for DeepStream's ``nvinferserver``, running on objects of a face detector.

Not ``nvinfer``: what it makes of pixels is always float, as its documents say, and the library that
comes with ``nvdspreprocess`` makes float or half; our input is uint8. ``nvinferserver`` runs Triton
inside the pipeline and makes uint8 in the order of our input.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from facealign.errors import TargetError
from facealign.serve.prototext import Message, Symbol, prototext
from facealign.serve.served_model import ServedModel
from facealign.serve.triton import MODELS, triton_files
from facealign.spec import CropSpec

__all__ = ["check_deepstream", "deepstream_files"]

_GIE_ID = 2  # of this element; the detector in front of it has 1, as in NVIDIA's examples
_DETECTOR_ID = 1
_FILTERS = {"nearest": 0, "bilinear": 1}  # `NvBufSurfTransform_Inter`


def check_deepstream(crop: CropSpec) -> None:
    """Check that DeepStream can fill what lies outside the frame as the crop rule does.

    Raises:
        TargetError: If not.
    """
    if crop.border_value != 0:
        raise TargetError(
            f"the crop rule fills what lies outside the frame with {crop.border_value} and "
            "DeepStream with black; serve with Triton, whose clients cut the crops"
        )


def deepstream_files(models: Sequence[ServedModel]) -> dict[str, bytes]:
    """Return a model repository, and beside it one configuration per model that a GPU can run.

    Returns:
        From path below the folder, such as ``config_demo_fp16.txt``, to content.

    Raises `TargetError` as `check_deepstream`.
    """
    models = [model for model in models if not model.is_for_cpu]
    for model in models:
        check_deepstream(model.crop)
    configs = {f"config_{model.name}.txt": _text(model).encode() for model in models}
    return {**triton_files(models), **configs}


def _text(model: ServedModel) -> str:
    comments = "".join(f"# {line}\n" for line in _comments(model.crop))
    return comments + prototext(_config(model))


def _comments(crop: CropSpec) -> Iterator[str]:
    """Yield what the element cannot express, for whoever writes the pipeline around it."""
    rule = crop.from_box
    yield "For nvinferserver, behind a face detector with unique id 1. Not run on a GPU."
    yield "A probe in front of this element must set each face's rect_params to the crop's square:"
    if rule.centre == "integer":
        yield "  each corner v of the box becomes int(v + 0.5); then, with w and h of that box,"
        yield "  centre = (x0 + (w + 1) // 2, y0 + (h + 1) // 2)"
    else:
        yield "  centre = the middle of the box, w and h its width and height"
    yield f"  side = {rule.side_factor:g} * max(w, h); left, top = centre - side / 2"
    yield "DeepStream then cuts to even pixels and to the frame; of a face that reaches over the"
    yield "left or upper edge it makes another crop than facealign does, so leave such faces out."
    yield "A landmark (x, y) of the output lies at (left + x * side, top + y * side) of the frame,"
    yield "with left, top and the longer side of the rectangle that was cut. How DeepStream places"
    yield "pixels in between was not compared with facealign's crops."


def _config(model: ServedModel) -> Message:
    """Return the configuration.

    Source: `PluginControl` of DeepStream's ``nvdsinferserver_plugin.proto``, 6.0 to 9.2.
    """
    return Message(
        (
            ("infer_config", _infer_config(model)),
            (
                "input_control",
                Message(
                    (
                        ("process_mode", Symbol("PROCESS_MODE_CLIP_OBJECTS")),
                        ("operate_on_gie_id", _DETECTOR_ID),
                    )
                ),
            ),
            # Landmarks are no class that nvinferserver knows: a probe reads the tensors.
            ("output_control", Message((("output_tensor_meta", True),))),
        )
    )


def _infer_config(model: ServedModel) -> Message:
    return Message(
        (
            ("unique_id", _GIE_ID),
            ("gpu_ids", (0,)),
            ("max_batch_size", model.max_batch),
            ("backend", _backend(model)),
            ("preprocess", _preprocess(model)),
            ("postprocess", Message((("other", Message()),))),
        )
    )


def _backend(model: ServedModel) -> Message:
    repository = Message((("root", MODELS), ("strict_model_config", True)))
    triton = Message(
        (("model_name", model.name), ("version", -1), ("model_repo", repository))  # -1: the latest
    )
    return Message(
        (
            *(("inputs", Message((("name", spec.name),))) for spec in model.inputs),
            *(("outputs", Message((("name", spec.name),))) for spec in model.outputs),
            ("triton", triton),
            ("output_mem_type", Symbol("MEMORY_TYPE_CPU")),
        )
    )


def _preprocess(model: ServedModel) -> Message:
    return Message(
        (
            ("network_format", Symbol("IMAGE_FORMAT_BGR")),
            ("tensor_order", Symbol("TENSOR_ORDER_NHWC")),
            ("tensor_name", model.inputs[0].name),
            # Right and lower edge: what lies outside the frame is black there, as in our crops.
            ("maintain_aspect_ratio", 1),
            ("frame_scaling_hw", Symbol("FRAME_SCALING_HW_DEFAULT")),
            ("frame_scaling_filter", _FILTERS[model.crop.interpolation]),
            # Pixels as they are: normalisation is in the graph.
            ("normalize", Message((("scale_factor", 1.0),))),
        )
    )
