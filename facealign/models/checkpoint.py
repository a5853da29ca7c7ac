"""From a checkpoint file to a state dict: tensors only, prefixes stripped, no pickled code run."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from facealign.errors import CheckpointError, StateDictError, UnsafeCheckpointError
from facealign.models.checkpoint_formats import read_content
from facealign.models.source_file import read_source_file

__all__ = ["Checkpoint", "read_checkpoint"]

logger = logging.getLogger(__name__)

_EMA_WRAPPERS = ("state_dict_ema", "ema_state_dict", "model_ema", "params_ema", "ema")
_RAW_WRAPPERS = ("state_dict", "model_state_dict", "model", "network", "net", "params", "weights")
_DEEPEST_WRAPPER = 4
_PREFIXES = ("module.", "_orig_mod.", "ema_model.", "model.", "network.", "net.")
_AVERAGING_COUNTER = "n_averaged"  # of torch.optim.swa_utils.AveragedModel, beside `module.*`
_LARGEST_FILE_MIB = 4096  # SPIGA, the largest, has 63 million weights: 0.8 GB with Adam
# An expanded tensor takes no room in the file. Eight covers float8 to float32, and tied weights.
_LARGEST_EXPANSION = 8
_EXPANSION_FREE_BYTES = 64 << 20

_StateDict = dict[str, Tensor]


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A checkpoint file, read.

    Attributes:
        path: The file.
        sha256: Of the file, in hexadecimal.
        state_dict: Contiguous CPU tensors, floating ones in float32, by key without `prefix`.
        wrapper: Key that the state dict stood under, nested ones with dots; None if there was none.
        prefix: What every key began with, such as ``module.``; empty if nothing.
    """

    path: Path
    sha256: str
    state_dict: _StateDict
    wrapper: str | None
    prefix: str

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of every tensor, by key."""
        return {key: tuple(tensor.shape) for key, tensor in self.state_dict.items()}


def read_checkpoint(path: Path) -> Checkpoint:
    """Return the state dict of a ``.pt``, ``.pth``, ``.pth.tar`` or ``.safetensors`` file.

    The format is told by content. Where a file holds both raw and averaged (EMA) weights, the
    averaged ones are taken, as papers evaluate those, unless they lack a key of the raw ones.
    `Checkpoint.wrapper` records which.

    Args:
        path: The file. It is read once, and no code in it is run.

    Raises:
        CheckpointError: If the file cannot be read, or holds no state dict.
        UnsafeCheckpointError: If loading it would run code, or unpack to far more than its size.
        StateDictError: If a weight is NaN or infinite.
    """
    data = read_source_file(path, meaning="checkpoint", largest_mib=_LARGEST_FILE_MIB)
    content = read_content(data, name=path.name)
    wrapper, prefix, tensors = _choose_state_dict(content, name=path.name)
    _check_expansion(tensors, file_bytes=len(data), name=path.name)
    state_dict = _in_float32(tensors, name=path.name)
    _check_finite(state_dict, name=path.name)
    return Checkpoint(
        path=path,
        sha256=hashlib.sha256(data).hexdigest(),
        state_dict=state_dict,
        wrapper=wrapper,
        prefix=prefix,
    )


def _choose_state_dict(content: object, *, name: str) -> tuple[str | None, str, _StateDict]:
    if not isinstance(content, Mapping):
        raise CheckpointError(
            f"checkpoint `{name}` holds {_kind(content)} (expected a state dict); "
            "save it with `torch.save(model.state_dict(), 'weights.pt')`"
        )
    raw = _find_state_dict(content, _RAW_WRAPPERS)
    averaged = _find_state_dict(content, _EMA_WRAPPERS)
    if raw and averaged:
        return _choose_averaged(raw, averaged, name=name)
    wrapper, tensors = raw or averaged or (None, _tensors(content))
    if not tensors:
        keys = ", ".join(f"`{str(key)[:40]}`" for key in list(content)[:5])
        raise CheckpointError(
            f"checkpoint `{name}` holds no tensors by name (its keys: {keys or 'none'}; expected a "
            f"state dict, bare or under `{_RAW_WRAPPERS[0]}`); save `model.state_dict()`"
        )
    return wrapper, *_strip_prefix(tensors)


def _choose_averaged(
    raw: tuple[str, _StateDict], averaged: tuple[str, _StateDict], *, name: str
) -> tuple[str, str, _StateDict]:
    """Return the averaged weights if they are whole; some trainers leave out BatchNorm's."""
    raw_prefix, raw_tensors = _strip_prefix(raw[1])
    prefix, tensors = _strip_prefix(averaged[1])
    lacking = raw_tensors.keys() - tensors.keys()
    if lacking:
        logger.warning("%s: took `%s`, as `%s` lacks `%s`", name, raw[0], averaged[0], min(lacking))
        return raw[0], raw_prefix, raw_tensors
    logger.info("%s: took averaged weights `%s`, not `%s`", name, averaged[0], raw[0])
    return averaged[0], prefix, tensors


def _find_state_dict(
    content: Mapping[object, object], wrappers: tuple[str, ...], *, depth: int = 1
) -> tuple[str, _StateDict] | None:
    """Return the first wrapper that holds tensors, and those; wrappers may be nested."""
    for wrapper in wrappers:
        inside = content.get(wrapper)
        if not isinstance(inside, Mapping):
            continue
        if depth < _DEEPEST_WRAPPER:
            deeper = _find_state_dict(inside, _RAW_WRAPPERS, depth=depth + 1)
            if deeper is not None:
                return f"{wrapper}.{deeper[0]}", deeper[1]
        tensors = _tensors(inside)
        if tensors:
            return wrapper, tensors
    return None


def _tensors(content: Mapping[object, object]) -> _StateDict:
    """Return the tensors of a mapping by name; epochs, metrics and the like are left out."""
    return {
        key: value
        for key, value in content.items()
        if isinstance(key, str) and isinstance(value, Tensor)
    }


def _strip_prefix(tensors: _StateDict) -> tuple[str, _StateDict]:
    """Return what every key begins with, and the tensors by the rest of their keys."""
    stripped = {key: value for key, value in tensors.items() if key != _AVERAGING_COUNTER}
    if not all(key.startswith(_PREFIXES[0]) for key in stripped):
        stripped = tensors
    prefix = ""
    while True:
        found = next((p for p in _PREFIXES if all(key.startswith(p) for key in stripped)), None)
        if found is None or found in stripped:
            return prefix, stripped
        prefix += found
        stripped = {key[len(found) :]: value for key, value in stripped.items()}


def _check_expansion(tensors: _StateDict, *, file_bytes: int, name: str) -> None:
    # A stride of 0 makes a small storage a huge tensor, and `contiguous` would write it out.
    unpacked = sum(4 * tensor.numel() for tensor in tensors.values())
    if unpacked > _LARGEST_EXPANSION * file_bytes + _EXPANSION_FREE_BYTES:
        raise UnsafeCheckpointError(
            f"checkpoint `{name}` unpacks to {unpacked:,} bytes (expected at most "
            f"{_LARGEST_EXPANSION} times its {file_bytes:,}); get it again from its authors"
        )


def _in_float32(tensors: _StateDict, *, name: str) -> _StateDict:
    converted: dict[str, int] = {}
    state_dict: _StateDict = {}
    for key, tensor in tensors.items():
        dtype = tensor.dtype
        if tensor.is_complex() or tensor.is_quantized or tensor.layout != torch.strided:
            raise StateDictError(
                f"checkpoint `{name}`: `{key}` is {dtype} {tensor.layout} (expected real, dense "
                "numbers); save the weights in float32"
            )
        if tensor.is_floating_point() and dtype != torch.float32:
            converted[str(dtype)] = converted.get(str(dtype), 0) + 1
            tensor = tensor.float()  # noqa: PLW2901  # same weights, another type
        state_dict[key] = tensor.detach().contiguous()
    for dtype_name, count in converted.items():
        logger.info("%s: converted %d tensors from %s to float32", name, count, dtype_name)
    return state_dict


def _check_finite(state_dict: _StateDict, *, name: str) -> None:
    broken = {
        key: tensor.numel() - int(torch.isfinite(tensor).sum())
        for key, tensor in state_dict.items()
        if not bool(torch.isfinite(tensor).all())
    }
    if broken:
        key, count = next(iter(broken.items()))
        more = f", and {len(broken) - 1} other tensors do" if len(broken) > 1 else ""
        raise StateDictError(
            f"checkpoint `{name}`: `{key}` holds {count} NaN or infinite values of "
            f"{state_dict[key].numel()}{more}; the training diverged, so take an earlier checkpoint"
        )


def _kind(content: object) -> str:
    if isinstance(content, Tensor):
        return "one tensor"
    return f"a `{type(content).__name__}`"
