"""Which names a pickled checkpoint may import, and what to say about the others.

The list is shorter than the one torch allows: `bytearray` takes as much memory as a file asks for,
`_codecs.encode` imports codecs by name, and no family has sparse, quantized or meta tensors.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from facealign.errors import UnsafeCheckpointError

__all__ = ["check_globals"]

_SAFE_GLOBALS = frozenset(
    {"collections.OrderedDict", "collections.Counter", "torch.Size", "torch.device"}
    | {"torch.nn.parameter.Parameter", "torch.storage.UntypedStorage", "torch.storage.TypedStorage"}
    | {f"torch._utils._rebuild_{part}" for part in ("tensor", "tensor_v2", "tensor_v3")}
    | {f"torch._utils._rebuild_{part}" for part in ("parameter", "parameter_with_state")}
    | {
        f"torch.{part}Storage"
        for part in ("Double", "Float", "Half", "BFloat16", "Long", "Int", "Short", "Char")
    }
    | {"torch.ByteStorage", "torch.BoolStorage"}
    | {str(value) for value in vars(torch).values() if isinstance(value, torch.dtype)}
)
_CODE_MODULES = frozenset(
    {"os", "posix", "nt", "sys", "subprocess", "socket", "shutil", "runpy", "importlib", "ctypes"}
    | {"pty", "pickle", "_pickle", "marshal", "code", "commands", "operator", "functools", "types"}
    | {"webbrowser", "asyncio", "multiprocessing", "urllib", "http", "requests", "pip", "platform"}
)
_CODE_BUILTINS = frozenset(
    {"eval", "exec", "compile", "__import__", "getattr", "setattr", "open", "input", "breakpoint"}
    | {"apply", "execfile", "globals", "delattr", "map", "filter", "vars"}
)
_NAMES_SHOWN = 4


def check_globals(names: Sequence[str], *, name: str) -> None:
    """Raise if a pickle imports anything but tensors, and say what.

    Args:
        names: Imported names, such as ``posix.system``.
        name: File name, for the message.

    Raises:
        UnsafeCheckpointError: If one of the names does more than rebuild tensors.
    """
    unsafe = [each for each in names if each not in _SAFE_GLOBALS]
    if not unsafe:
        return
    unsafe.sort(key=lambda each: not _is_code(each))
    asked = ", ".join(f"`{each}`" for each in unsafe[:_NAMES_SHOWN])
    if len(unsafe) > _NAMES_SHOWN:
        asked += f" and {len(unsafe) - _NAMES_SHOWN} more"
    advice = (
        "if you trust it, load it where it was trained and save only the weights: "
        "`torch.save(model.state_dict(), 'weights.pt')`"
    )
    if _is_code(unsafe[0]):
        what, advice = "would run code", "do not use it, get it again from its authors"
    elif any(".nn.modules." in each for each in unsafe):
        what = "holds a whole pickled module"
    else:
        what = "holds more than tensors"
    raise UnsafeCheckpointError(
        f"checkpoint `{name}` {what}: it asks for {asked} (expected tensors only); {advice}"
    )


def _is_code(name: str) -> bool:
    """Return whether a global runs code by itself, rather than being some class of the training."""
    module, _, attribute = name.rpartition(".")
    if module in {"builtins", "__builtin__"}:
        return attribute in _CODE_BUILTINS
    return name.split(".", 1)[0] in _CODE_MODULES
