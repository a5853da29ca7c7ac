"""Make and call our plugins with the real bindings, and write what came of it, as JSON.

Usage: ``python probe_plugins.py OUT FOLDER``, run by another process over the stub of TensorRT's
libraries. Only what has to be asked of a library, such as a registry, is left out.
"""

from __future__ import annotations

import contextlib
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any, TypeAlias

sys.path.insert(0, str(Path(__file__).parents[2]))

from facealign.errors import FacealignError
from facealign.runtime.tensorrt.plugins.patch_crop_decorated import define_patch_crop
from facealign.runtime.tensorrt.plugins.patch_crop_v3 import NAME, NAMESPACE, patch_crop_creator
from tests.contract.dump import import_bindings

Anything: TypeAlias = Any  # of TensorRT, which has no types
MAP, GRID = (2, 3, 4, 5), (2, 6, 7, 2)


class Recorder:
    """Stands for the kernel: keeps what it is asked to run."""

    def __init__(self) -> None:
        self.runs: list[list[object]] = []

    def launch(
        self, stream: Anything, size: Anything, *, addresses: tuple[int, int, int], dtype: str
    ) -> None:
        self.runs.append([stream.handle, list(size.grid), list(addresses), dtype])


def main(out: Path, folder: str) -> None:
    trt = import_bindings(folder)
    found: dict[str, object] = {"v3": _v3(trt)}
    with contextlib.suppress(ImportError):  # 10.3 has no tensorrt.plugin
        found["decorated"] = _decorated(trt)
    out.write_text(json.dumps(found), "utf-8")


def _v3(trt: ModuleType) -> dict[str, object]:
    kernel = Recorder()
    creator = patch_crop_creator(trt, lambda: kernel)  # type: ignore[arg-type, return-value]  # a stand-in
    phases = trt.TensorRTPhase
    empty = trt.PluginFieldCollection([])
    built = creator.create_plugin("crop", empty, phases.BUILD)
    fields = built.get_fields_to_serialize()
    # By way of C++, as TensorRT calls it: the fields are then of the class that it hands over.
    opened = trt.IPluginCreatorV3One.create_plugin(creator, "crop", fields, phases.RUNTIME)
    loaded = opened.clone()
    running = loaded.attach_to_context(None)
    running.enqueue(*_run(trt, trt.DataType.HALF), [10, 20], [30], 0, 7)
    types = (trt.DataType.FLOAT, trt.DataType.HALF, trt.DataType.INT32)
    return {
        "creator": [creator.name, creator.plugin_namespace, creator.plugin_version],
        "plugin": [built.plugin_name, built.plugin_namespace, built.num_outputs],
        "is_plugin": isinstance(loaded, trt.IPluginV3) and isinstance(loaded, type(built)),
        "capable": all(
            built.get_capability_interface(kind) is built
            for kind in (trt.PluginCapabilityType.CORE, trt.PluginCapabilityType.RUNTIME)
        ),
        "fields": [[field.name, [int(n) for n in field.data]] for field in fields],
        "refused": _refusal(lambda: creator.create_plugin("crop", empty, phases.RUNTIME)),
        "types": [str(one) for one in built.get_output_data_types([types[1], types[0]])],
        "taken": [
            [a, b, c]
            for a in range(3)
            for b in range(3)
            for c in range(3)
            if _takes(trt, built, (types[a], types[b], types[c]))
        ],
        "taken_in_other_formats": _takes(
            trt, built, (types[0],) * 3, layout=trt.TensorFormat.CHW32
        ),
        "wrong_rank": _refusal(
            lambda: built.get_output_shapes([trt.DimsExprs(3), trt.DimsExprs(4)], [], None)
        ),
        "runs": kernel.runs,
    }


def _takes(
    trt: ModuleType, plugin: Anything, types: tuple[Anything, ...], layout: Anything = None
) -> bool:
    """Return whether the plugin takes a type for each of map, grid and patches."""
    tensors = []
    for one in types:
        tensor = trt.DynamicPluginTensorDesc()
        description = trt.PluginTensorDesc()
        description.type = one
        description.format = trt.TensorFormat.LINEAR if layout is None else layout
        tensor.desc = description
        tensors.append(tensor)
    return all(plugin.supports_format_combination(i, tensors, 2) for i in range(3))


def _run(trt: ModuleType, dtype: Anything) -> tuple[list[Anything], list[Anything]]:
    tensors = []
    for shape, kind in ((MAP, dtype), (GRID, trt.DataType.FLOAT), ((2, 3, 6, 7), dtype)):
        tensor = trt.PluginTensorDesc()
        tensor.dims, tensor.type = trt.Dims(shape), kind
        tensors.append(tensor)
    return tensors[:2], tensors[2:]


def _decorated(trt: ModuleType) -> dict[str, object]:
    import tensorrt.plugin as trtp

    kernel = Recorder()
    define_patch_crop(lambda: kernel, lambda: b"// ptx", lazy=True)  # type: ignore[arg-type, return-value]  # a stand-in
    defined = getattr(getattr(trtp.op, NAMESPACE), NAME)
    features, grid = (_description(trt, trtp, shape) for shape in (MAP, GRID))
    patches = defined.register_func(features, grid)
    name, ptx, parameters, numbers = defined.aot_impl_func(features, grid, (patches,), 0)
    tensors = [_tensor(trt, trtp, shape, i) for i, shape in enumerate((MAP, GRID, (2, 3, 6, 7)))]
    defined.impl_func(tensors[0], tensors[1], (tensors[2],), stream=9)
    return {
        "id": defined.plugin_id,
        "inputs": defined.input_tensor_names,
        "outputs": defined.num_outputs,
        "patches_dtype": str(patches.dtype),
        "patches_axes": len(patches.shape_expr),
        "combinations": len(defined.autotune_func(features, grid, (patches,))),
        "compiled": [name, ptx.decode(), len(numbers), str(type(parameters.grid_y).__name__)],
        "runs": kernel.runs,
    }


def _description(trt: ModuleType, trtp: ModuleType, shape: tuple[int, ...]) -> Anything:
    description = trtp.TensorDesc()
    description.dtype = trt.DataType.FLOAT
    description.shape_expr = trtp.ShapeExprs.from_tuple(shape)
    return description


def _tensor(trt: ModuleType, trtp: ModuleType, shape: tuple[int, ...], number: int) -> Anything:
    tensor = trtp.Tensor()
    description = trt.PluginTensorDesc()
    description.dims = trt.Dims(shape)
    tensor.shape, tensor.dtype = trtp.Shape(description), trt.DataType.FLOAT
    tensor.data_ptr = 100 * (number + 1)
    return tensor


def _refusal(call: Anything) -> str:
    try:
        call()
    except FacealignError as error:
        return str(error)
    return "not refused"


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
