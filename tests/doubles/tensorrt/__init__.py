"""A double of TensorRT's Python module, never used by the product.

It has the names, enum values and signatures of one version, refuses everything else, and runs a
plan with ONNX Runtime. What it shows is that the code around TensorRT is right, not TensorRT.
"""

from __future__ import annotations

import types
from typing import Any

from tests.doubles.tensorrt import building, plain, plugins, running
from tests.doubles.tensorrt.api import VERSIONS, Api, DoubleLimitError
from tests.doubles.tensorrt.objects import Cuda, State, class_from, enum_from
from tests.doubles.tensorrt.plan import Plan, bytes_from_plan, plan_from_bytes

__all__ = [
    "VERSIONS",
    "Cuda",
    "DoubleLimitError",
    "Plan",
    "TensorrtDouble",
    "bytes_from_plan",
    "plan_from_bytes",
]

_IMPLEMENTED: tuple[tuple[str, type], ...] = (
    ("Dims", plain.Dims),
    ("ILogger", plain.ILogger),
    ("Logger", plain.Logger),
    ("IErrorRecorder", plain.IErrorRecorder),
    ("IProfiler", plain.IProfiler),
    ("IProgressMonitor", plain.IProgressMonitor),
    ("ITensor", building.ITensor),
    ("ILayer", building.ILayer),
    ("INetworkDefinition", building.INetworkDefinition),
    ("ParserError", plain.ParserError),
    ("OnnxParser", building.OnnxParser),
    ("IOptimizationProfile", building.IOptimizationProfile),
    ("ITimingCache", building.ITimingCache),
    ("IBuilderConfig", building.IBuilderConfig),
    ("Builder", building.Builder),
    ("Runtime", running.Runtime),
    ("ICudaEngine", running.ICudaEngine),
    ("EngineInspector", running.EngineInspector),
    ("IExecutionContext", running.IExecutionContext),
)
_FULL_VERSIONS = {"10.3": "10.3.0", "11.4": "11.4.0.106"}


class TensorrtDouble(State):
    """What a test turns, and `module`, which stands for ``tensorrt``.

    Args:
        version: One of `VERSIONS`, or ``8.6``, of which only names are known.
        cuda: Where memory and streams are; only execution needs it.
    """

    def __init__(self, version: str = "10.3", cuda: Cuda | None = None) -> None:
        super().__init__(Api(version), cuda)
        self.module = _Module(self)


class _Module(types.ModuleType):
    """Every name of the version; one that the double lacks is said to be that."""

    def __init__(self, state: State) -> None:
        super().__init__("tensorrt", "a test double")
        self._api = state.api
        self.__version__ = _FULL_VERSIONS.get(state.api.version, f"{state.api.version}.0")
        for name, members in state.api.enums().items():
            state.api.classes[name] = enum_from(name, members)
        for name, implementation in _IMPLEMENTED:
            class_from(state, name, implementation)
        state.api.classes["IHostMemory"] = plain.HostMemory
        state.api.classes |= plugins.plugin_classes()
        self.get_plugin_registry = lambda: state.registry
        severity: Any = state.api.classes["ILogger.Severity"]
        for name in ("ILogger", "Logger"):
            logger: Any = state.api.classes[name]
            logger.Severity = severity
            for member, value in severity.__members__.items():
                setattr(logger, member, value)
        for name, cls in state.api.classes.items():
            if "." not in name and state.api.has_name(name):
                setattr(self, name, cls)
        data_type: Any = state.api.classes["DataType"]
        for name, member in state.api.constants().items():
            setattr(self, name, getattr(data_type, member))

    def __getattr__(self, name: str) -> Any:
        if self._api.has_name(name) or name in _FUNCTIONS:
            raise DoubleLimitError(f"the double has no tensorrt.{name}")
        raise AttributeError(f"module 'tensorrt' has no attribute '{name}'")


_FUNCTIONS = (
    "get_builder_plugin_registry",
    "get_nv_onnx_parser_version",
    "init_libnvinfer_plugins",
    "nptype",
    "volume",
)
