"""One model as a server sees it: a graph or a plan, and its contract."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from facealign.spec import CropSpec, TensorSpec

__all__ = ["ServedModel", "model_name"]

_NO_NAME = re.compile(r"[^A-Za-z0-9_]+")


@dataclass(frozen=True, slots=True, eq=False)
class ServedModel:
    """A file that a server runs, and what it must know of it.

    Attributes:
        name: Of the model in the server; letters, digits and underscores.
        backend: ``onnxruntime`` for a graph, ``tensorrt`` for a plan.
        data: The file; whoever makes one of these has checked it.
        inputs: By name; their first axis is the batch.
        outputs: Likewise.
        max_batch: Most crops of one run.
        crop: How the input is cut out of a frame; the server's clients do that.
        scheme: Landmark set.
        is_for_cpu: Whether a GPU has no use for it, as for ``int8-cpu``.
    """

    name: str
    backend: Literal["onnxruntime", "tensorrt"]
    data: bytes
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    max_batch: int
    crop: CropSpec
    scheme: str
    is_for_cpu: bool = False


def model_name(bundle_name: str, precision: str, *, suffix: str = "") -> str:
    """Return a name that every server and file system takes: ``demo_fp16`` or ``demo_fp16_plan``.

    Args:
        bundle_name: Name of the bundle's folder; the ending ``.bundle`` is left out.
        precision: Such as ``int8-cpu``.
        suffix: Tells a plan from the graph of the same precision.
    """
    parts = (bundle_name.removesuffix(".bundle"), precision, suffix)
    words = [_NO_NAME.sub("_", part).strip("_") for part in parts]
    return "_".join(word for word in words if word)
