"""What the contract check must be told, because our code says `Any`; and what may be absent.

Every line here is checked: one that nothing needs, or that is not so, fails the suite.
"""

from __future__ import annotations

from tests.contract.uses import Declared

__all__ = ["DECLARED", "OPTIONAL"]

_HERE = "facealign/runtime/tensorrt"
DECLARED = Declared(
    variables={
        "_engine": "ICudaEngine",
        "_runtime": "Runtime",
        "builder": "Builder",
        "config": "IBuilderConfig",
        "context": "IExecutionContext",
        "network": "INetworkDefinition",
        "parser": "OnnxParser",
        f"{_HERE}/build_config.py:used": "ITimingCache",
        f"{_HERE}/build_network.py:error": "ParserError",
    },
    asking=frozenset({f"{_HERE}/build_config.py:_member", f"{_HERE}/build_network.py:_word"}),
    others=frozenset(f"{_HERE}/device/pycuda_{name}.py" for name in ("context", "device")),
    plain=frozenset(
        {
            f"{_HERE}/build_network.py: ask",  # what `_word` asked for, where it is called
            f"{_HERE}/device/driver.py: getattr(loaded, name)",  # a function of libcuda
            f"{_HERE}/kernels/nvrtc.py: getattr(loaded, name)",  # and one of NVRTC
            f"{_HERE}/plugins/patch_crop_v3.py: plugin_class",  # made there, of TensorRT's classes
            # An ErrorCodeTRT, or a number: nothing but its text is wanted.
            f"{_HERE}/messages.py: getattr(code, 'name', code)",
        }
    ),
)
# Members that our code asks for by hasattr or getattr, and the versions that lack them. Those of
# 11.4 are of the weakly typed path; where 10.3 has another way too, that is for 8.6 alone.
OPTIONAL: dict[str, tuple[str, ...]] = {
    "BuilderFlag.FP16": ("11.4",),
    "BuilderFlag.INT8": ("11.4",),
    "ICudaEngine.create_execution_context_without_device_memory": ("11.4",),
    "ICudaEngine.device_memory_size": ("11.4",),
    "NetworkDefinitionCreationFlag.EXPLICIT_BATCH": ("11.4",),
    "plugin": ("10.3",),
}
