"""The patch crop by `tensorrt.plugin`'s decorators, for TensorRT from 10.6 on.

With `aot_impl`, which 10.13 has, the plan holds the kernel itself and runs without this code. Not
run on a GPU: the decorators of NVIDIA's bindings of 10.13 to 11.4 took the functions, which were
then called with the bindings' own tensors.
"""
# No `from __future__ import annotations`: the decorators read the annotations as they are.

from collections.abc import Callable

from facealign.runtime.tensorrt.plugins.launch import (
    CHANNELS,
    KERNELS,
    THREADS,
    CropSize,
    LentStream,
    PatchCropKernel,
)
from facealign.runtime.tensorrt.plugins.patch_crop_v3 import NAME, NAMESPACE

__all__ = ["PLUGIN_ID", "define_patch_crop"]

PLUGIN_ID = f"{NAMESPACE}::{NAME}"
_COMBINATIONS = ("FP32, FP32, FP32", "FP16, FP32, FP16")  # map, grid, patches


def define_patch_crop(
    open_kernel: Callable[[], PatchCropKernel],
    compile_ptx: Callable[[], bytes],
    *,
    lazy: bool = False,
) -> None:
    """Define ``tensorrt.plugin.op.facealign.PatchCrop``, once per process.

    Args:
        open_kernel: For plans without the kernel in them; called once, not while a stream is
            captured if the first run is before.
        compile_ptx: Gives the PTX that goes into a plan built with ``aot=True``.
        lazy: Whether TensorRT's registry gets it only when a network first uses it.
    """
    import tensorrt as trt
    import tensorrt.plugin as trtp

    @trtp.register(PLUGIN_ID, lazy_register=lazy)  # type: ignore[untyped-decorator]  # not typed
    def describe(features: trtp.TensorDesc, grid: trtp.TensorDesc) -> trtp.TensorDesc:
        patches = features.like()
        patches.shape_expr[2] = grid.shape_expr[1]
        patches.shape_expr[3] = grid.shape_expr[2]
        return patches

    @trtp.autotune(PLUGIN_ID)  # type: ignore[untyped-decorator]  # not typed
    def combinations(
        features: trtp.TensorDesc,  # noqa: ARG001  # the decorator wants these names
        grid: trtp.TensorDesc,  # noqa: ARG001
        outputs: tuple[trtp.TensorDesc],  # noqa: ARG001
    ) -> list[trtp.AutoTuneCombination]:
        return [trtp.AutoTuneCombination(types, "LINEAR") for types in _COMBINATIONS]

    kernels: list[PatchCropKernel] = []

    @trtp.impl(PLUGIN_ID)  # type: ignore[untyped-decorator]  # not typed
    def run(
        features: trtp.Tensor, grid: trtp.Tensor, outputs: tuple[trtp.Tensor], stream: int
    ) -> None:
        if not kernels:
            kernels.append(open_kernel())
        kernels[0].launch(
            LentStream(stream),
            CropSize.of(tuple(features.shape), tuple(grid.shape)),
            addresses=(features.data_ptr, grid.data_ptr, outputs[0].data_ptr),
            dtype="float16" if features.dtype == trt.DataType.HALF else "float32",
        )

    if not hasattr(trtp, "aot_impl"):
        return

    @trtp.aot_impl(PLUGIN_ID)  # type: ignore[untyped-decorator]  # not typed
    def compiled(
        features: trtp.TensorDesc,
        grid: trtp.TensorDesc,
        outputs: tuple[trtp.TensorDesc],  # noqa: ARG001
        tactic: int,
    ) -> tuple[str | bytes, str | bytes, trtp.KernelLaunchParams, trtp.SymIntExprs]:
        del tactic  # there is but one
        dtype = "float16" if features.dtype == trt.DataType.HALF else "float32"
        batch, channels, height, width = (features.shape_expr[axis] for axis in range(4))
        positions = grid.shape_expr[1] * grid.shape_expr[2]
        parameters = trtp.KernelLaunchParams()
        parameters.grid_x = trtp.cdiv(positions, THREADS)
        parameters.grid_y = trtp.cdiv(channels, CHANNELS)
        parameters.grid_z = batch
        parameters.block_x = THREADS
        numbers = trtp.SymIntExprs(4)
        for i, number in enumerate((channels, height, width, positions)):
            numbers[i] = trtp.SymInt32(number)
        return KERNELS[dtype], compile_ptx(), parameters, numbers
