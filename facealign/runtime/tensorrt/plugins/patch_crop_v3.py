"""The patch crop as an `IPluginV3`, for TensorRT from 10.3 on.

Not run on a GPU: its classes were made from, and its methods called with, the objects of NVIDIA's
own bindings of 10.3 to 11.4, whose libraries were not there.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from facealign.errors import IntegrityError, TargetError
from facealign.runtime.tensorrt.plugins.launch import CropSize, LentStream, PatchCropKernel

if TYPE_CHECKING:
    import tensorrt

__all__ = ["CONTRACT", "NAME", "NAMESPACE", "VERSION", "patch_crop_creator"]

# As the pass `CustomPatchCropPass` writes the node.
NAME = "PatchCrop"
NAMESPACE = "facealign"
VERSION = "1"
# Kept in a plan, which holds none of this code: a plan made for another kernel is refused.
CONTRACT = 1
_FIELD = "contract"
# The bindings of 10.3 crash the process where Python frees an IPluginV3, an empty one too; seen
# over a stub of their library. Those of 10.13 do not. Before, a plugin, some 1 kB, is never freed.
_FREES_PLUGINS = (10, 13)


def patch_crop_creator(trt: ModuleType, open_kernel: Callable[[], PatchCropKernel]) -> Any:  # noqa: ANN401  # of a class made here
    """Return an `IPluginCreatorV3One`, to be given to ``trt.get_plugin_registry()``.

    Args:
        trt: The module `tensorrt`, 10.3 or later.
        open_kernel: Called where TensorRT parses a graph or opens a plan, in that thread, once
            per plugin; never while a stream is captured. The kernel must be of the device that the
            plan is for, and is that of all copies, in execution contexts too.
    """
    plugin_class = _plugin_class(trt)

    class PatchCropCreator(trt.IPluginCreatorV3One):  # type: ignore[misc, name-defined]  # found at run time
        def __init__(self) -> None:
            trt.IPluginCreatorV3One.__init__(self)
            self.name = NAME
            self.plugin_namespace = NAMESPACE
            self.plugin_version = VERSION
            self.field_names = trt.PluginFieldCollection([])  # no attributes of the node

        def create_plugin(
            self,
            _name: str,
            field_collection: tensorrt.PluginFieldCollection,
            phase: tensorrt.TensorRTPhase,
        ) -> Any:  # noqa: ANN401
            if phase == trt.TensorRTPhase.RUNTIME:
                _check_contract({field.name: field.data for field in field_collection})
            return plugin_class(open_kernel())

    return PatchCropCreator()


def _plugin_class(trt: ModuleType) -> Any:  # noqa: ANN401, C901  # many methods, no branches
    half, single = trt.DataType.HALF, trt.DataType.FLOAT
    must_live = _version(trt) < _FREES_PLUGINS

    class PatchCropPlugin(
        trt.IPluginV3,  # type: ignore[misc, name-defined]  # found at run time
        trt.IPluginV3OneCore,  # type: ignore[misc, name-defined]
        trt.IPluginV3OneBuild,  # type: ignore[misc, name-defined]
        trt.IPluginV3OneRuntime,  # type: ignore[misc, name-defined]
    ):
        def __init__(self, kernel: PatchCropKernel) -> None:
            # pybind: one call for each base, as super() reaches only the first.
            trt.IPluginV3.__init__(self)
            trt.IPluginV3OneCore.__init__(self)
            trt.IPluginV3OneBuild.__init__(self)
            trt.IPluginV3OneRuntime.__init__(self)
            self.plugin_name = NAME
            self.plugin_namespace = NAMESPACE
            self.plugin_version = VERSION
            self.num_outputs = 1
            # Kept, as the field: TensorRT reads all of it after the call that gave it.
            self._contract = np.array([CONTRACT], np.int32)
            self._kernel = kernel
            if must_live:
                ctypes.pythonapi.Py_IncRef(ctypes.py_object(self))

        def get_capability_interface(self, _type: tensorrt.PluginCapabilityType) -> Any:  # noqa: ANN401
            return self

        def clone(self) -> Any:  # noqa: ANN401
            return PatchCropPlugin(self._kernel)

        def get_fields_to_serialize(self) -> Any:  # noqa: ANN401
            self._field = trt.PluginField(_FIELD, self._contract, trt.PluginFieldType.INT32)
            self._fields = trt.PluginFieldCollection([self._field])
            return self._fields

        def get_output_data_types(self, input_types: list[tensorrt.DataType]) -> Any:  # noqa: ANN401
            return [input_types[0]]

        def get_output_shapes(
            self,
            inputs: list[tensorrt.DimsExprs],
            _shape_inputs: list[tensorrt.DimsExprs],
            _expr_builder: tensorrt.IExprBuilder,
        ) -> Any:  # noqa: ANN401
            features, grid = inputs
            if (len(features), len(grid)) != (4, 4):
                raise TargetError(
                    f"`{NAME}` takes a map (B, C, H, W) and a grid (B, P, N, 2), got "
                    f"{len(features)} and {len(grid)} axes; export the graph again"
                )
            shape = trt.DimsExprs(4)
            for axis, size in enumerate((features[0], features[1], grid[1], grid[2])):
                shape[axis] = size
            return [shape]

        def supports_format_combination(
            self,
            pos: int,
            in_out: list[tensorrt.DynamicPluginTensorDesc],
            _num_inputs: int,
        ) -> bool:
            """Dense FP32 or FP16 for the map and the patches alike, and FP32 for the grid."""
            here, features = in_out[pos].desc, in_out[0].desc
            if here.format != trt.TensorFormat.LINEAR:
                return False
            wanted = {0: (half, single), 1: (single,), 2: (features.type,)}
            return here.type in wanted[pos]

        def configure_plugin(
            self,
            _in: list[tensorrt.DynamicPluginTensorDesc],
            _out: list[tensorrt.DynamicPluginTensorDesc],
        ) -> None:
            """Nothing depends on the profile."""

        def on_shape_change(
            self, _in: list[tensorrt.PluginTensorDesc], _out: list[tensorrt.PluginTensorDesc]
        ) -> None:
            """Nothing is kept of a shape."""

        def get_workspace_size(
            self,
            _in: list[tensorrt.DynamicPluginTensorDesc],
            _out: list[tensorrt.DynamicPluginTensorDesc],
        ) -> int:
            return 0

        def get_valid_tactics(self) -> list[int]:
            return []

        def set_tactic(self, _tactic: int) -> None:
            """There is but one."""

        def attach_to_context(
            self,
            _resource_context: tensorrt.IPluginResourceContext,
        ) -> Any:  # noqa: ANN401
            return PatchCropPlugin(self._kernel)

        def enqueue(
            self,
            input_desc: list[tensorrt.PluginTensorDesc],
            _output_desc: list[tensorrt.PluginTensorDesc],
            inputs: list[int],
            outputs: list[int],
            _workspace: int,
            stream: int,
        ) -> None:
            features, grid = input_desc
            self._kernel.launch(
                LentStream(stream),
                CropSize.of(tuple(features.dims), tuple(grid.dims)),
                addresses=(inputs[0], inputs[1], outputs[0]),
                dtype="float16" if features.type == half else "float32",
            )

    return PatchCropPlugin


def _version(trt: ModuleType) -> tuple[int, int]:
    major, minor = str(trt.__version__).split(".")[:2]
    return int(major), int(minor)


def _check_contract(fields: dict[str, Any]) -> None:
    """Refuse what a plan keeps of a kernel that is not ours.

    Raises:
        IntegrityError: If it is of another version.
    """
    found = [int(number) for number in np.ravel(fields.get(_FIELD, ()))]
    if found != [CONTRACT]:
        raise IntegrityError(
            f"the plan holds `{NAME}` of contract {found or 'none'}, this is {CONTRACT}; build "
            "the plan again"
        )
