"""From a torch module to a graph; the only place that calls the exporter."""

from __future__ import annotations

import contextlib
import gc
import logging
import warnings
from collections.abc import Iterator
from typing import Any

import onnx_ir as ir
import torch

from facealign.errors import TraceError
from facealign.export.fold_batch_norms import with_folded_batch_norms
from facealign.export.graph import OPSET
from facealign.spec import BATCH

__all__ = ["trace"]

_MAX_TRACED_BATCH = 1024  # only bounds the symbol; no graph contains it


def trace(
    module: torch.nn.Module, *, size_px: int, output_names: tuple[str, ...], opset: int = OPSET
) -> ir.Model:
    """Return the graph of a module that takes uint8 BGR crops, with a dynamic batch.

    Batch normalisations go into the convolutions before them first: an HRNet is
    traced in half the time.

    Args:
        module: Takes ``(B, size_px, size_px, 3)`` uint8, returns a tuple of tensors.
        size_px: Side of the crop.
        output_names: One name per tensor returned.
        opset: ONNX operator set.

    Raises:
        TraceError: If torch cannot trace the module, or not with a dynamic batch.
    """
    # Two crops: with a batch of one, torch.export takes the batch for a constant.
    example = torch.zeros((2, size_px, size_px, 3), dtype=torch.uint8)
    batch = torch.export.Dim(BATCH, min=1, max=_MAX_TRACED_BATCH)
    try:
        with _quiet_exporter(), _rare_collections(), torch.no_grad():
            program: Any = torch.onnx.export(
                with_folded_batch_norms(module.eval(), example),
                (example,),
                dynamo=True,
                dynamic_shapes=({0: batch},),
                input_names=["image"],
                output_names=list(output_names),
                opset_version=opset,
                verbose=False,
            )
    except (torch.onnx.OnnxExporterError, RuntimeError, ValueError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise TraceError(
            f"torch {torch.__version__} cannot trace `{type(module).__name__}`: {reason}; "
            "report it with the checkpoint's family"
        ) from error
    model: ir.Model = program.model
    return model


@contextlib.contextmanager
def _quiet_exporter() -> Iterator[None]:
    """Keep the exporter's remarks off the user's terminal.

    torch 2.13 warns that torchvision is absent, and of deprecations inside torch itself.
    """
    exporter = logging.getLogger("torch.onnx")
    level = exporter.level
    exporter.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        exporter.setLevel(level)


@contextlib.contextmanager
def _rare_collections() -> Iterator[None]:
    """Look for garbage less often: the exporter keeps millions of objects, and makes little of it.

    At Python's own pace a tenth of the time and more goes into looking.
    """
    before = gc.get_threshold()
    gc.set_threshold(100_000, 50, 100)
    try:
        yield
    finally:
        gc.set_threshold(*before)
