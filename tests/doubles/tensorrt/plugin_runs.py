"""A graph whose plugins are the user's: ONNX Runtime runs what is between them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from tests.doubles.tensorrt.plugins import DimsExprs, PluginTensorDesc, called

__all__ = ["PluginCall", "StagedSession"]

Arrays = dict[str, NDArray[Any]]
_NUMPY = {"FLOAT": np.float32, "HALF": np.float16}


class StagedSession:
    """Sessions for the inputs of every plugin, in order, and for the outputs of the graph.

    Args:
        graph: ONNX.
        nodes: Names of the nodes that plugins run, in the order of the graph.
        open_session: From ONNX to a session.
    """

    def __init__(
        self, graph: bytes, nodes: Sequence[str], open_session: Callable[[bytes], Any]
    ) -> None:
        model = onnx.load_from_string(graph)
        by_name = {node.name: node for node in model.graph.node}
        self.nodes = [by_name[name] for name in nodes]
        outputs = [value.name for value in model.graph.output]
        if not nodes:
            self._stages: list[tuple[list[str], Any]] = [(outputs, open_session(graph))]
            return
        extractor = onnx.utils.Extractor(model)
        constants = {value.name for value in model.graph.initializer}
        known = [value.name for value in model.graph.input if value.name not in constants]
        self._stages = []
        for wanted, given in [*((list(n.input), n.output) for n in self.nodes), (outputs, [])]:
            missing = [name for name in wanted if name not in known]
            part = extractor.extract_model(known, missing) if missing else None
            opened = open_session(part.SerializeToString()) if part else None
            self._stages.append((wanted, opened))
            known = [*known, *given]

    def stage(self, number: int, known: Mapping[str, NDArray[Any]]) -> Arrays:
        """Return the inputs of a plugin, or behind the last the outputs of the graph."""
        names, session = self._stages[number]
        if session is None:
            return {name: known[name] for name in names}
        wanted = [output.name for output in session.get_outputs()]
        taken = {value.name: known[value.name] for value in session.get_inputs()}
        return {**known, **dict(zip(wanted, session.run(wanted, taken), strict=True))}


class PluginCall:
    """A plugin in one context, at one shape, with memory that stays where it is.

    Args:
        plugin: Of the context.
        inputs: By name, such as the runs will have them.
        output: Its name.
        module: The double.
    """

    def __init__(
        self, plugin: Any, inputs: Arrays, output: str, classes: Mapping[str, Any]
    ) -> None:
        self._plugin = plugin
        types = {np.dtype(dtype): getattr(classes["DataType"], n) for n, dtype in _NUMPY.items()}
        numpy_of = {member.name: _NUMPY[member.name] for member in types.values()}
        linear = classes["TensorFormat"].LINEAR
        self.inputs: Arrays = {name: np.ascontiguousarray(a) for name, a in inputs.items()}
        given = list(self.inputs.values())
        (shape,) = plugin.get_output_shapes([DimsExprs(a.shape) for a in given], [], None)
        (kind,) = plugin.get_output_data_types([types[a.dtype] for a in given])
        sizes = tuple(shape[axis] for axis in range(len(shape)))
        self.output_name = output
        self.output = np.full(sizes, np.nan, numpy_of[kind.name])
        arrays = [*given, self.output]
        described = [PluginTensorDesc(a.shape, types[a.dtype], linear) for a in arrays]
        self._described = (described[:-1], described[-1:])
        plugin.on_shape_change(*self._described)

    def fill(self, values: Mapping[str, NDArray[Any]]) -> None:
        """Put a run's values where the plugin reads them."""
        for name, array in self.inputs.items():
            array[...] = values[name]

    def enqueue(self, stream: int) -> bool:
        """Let the plugin queue its work; False if it raises."""
        addresses = [array.ctypes.data for array in self.inputs.values()]
        outputs = [self.output.ctypes.data]
        arguments = (*self._described, addresses, outputs, 0, stream)
        return called("enqueue", lambda: self._plugin.enqueue(*arguments) or True) is not None
