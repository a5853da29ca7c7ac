"""From a state dict to exactly one family, and from a state dict into that family's network."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from facealign.errors import StateDictError, UnknownFamilyError, UsageError
from facealign.models.backbone import Shapes
from facealign.models.family import Family, KeySignature, discover_families
from facealign.models.source_file import did_you_mean, nearest_name

__all__ = ["Detection", "detect", "load_weights"]

_KEYS_SHOWN = 3
_CONSTANT_BAR = 1e-6  # constants are of order one; float32 rounds them to 6e-8
_COUNTER = ".num_batches_tracked"  # inference never reads it, and old checkpoints lack it


@dataclass(frozen=True, slots=True)
class Detection:
    """The family of a checkpoint, and its hyper-parameters, of that family's own class."""

    family: Family
    hyperparameters: Any


def detect(
    shapes: Shapes,
    *,
    settings: Mapping[str, int] | None = None,
    family: str | None = None,
    families: Sequence[Family] | None = None,
) -> Detection:
    """Return the one family that a state dict is of.

    Args:
        shapes: State-dict key to tensor shape, prefixes stripped.
        settings: Hyper-parameters that no shape shows, by name.
        family: Name of the family, where the keys do not decide or should be overruled.
        families: To choose from; by default all that facealign has.

    Raises:
        UnknownFamilyError: If not exactly one family fits, or a key that it needs is missing.
        UsageError: If the family has no such setting.
    """
    known = discover_families() if families is None else families
    found = _matching_family(shapes, known) if family is None else _named_family(family, known)
    _check_settings(settings or {}, found)
    return Detection(found, _read_hyperparameters(shapes, settings or {}, found))


def load_weights(network: nn.Module, state_dict: Mapping[str, Tensor], family: Family) -> None:
    """Copy a state dict into a network, strictly.

    Missing may only be the counters of BatchNorm, what the family never uses, and its constants.

    Raises:
        StateDictError: If other keys are missing, any are surplus, or a shape or the value of a
            constant differs; nothing is copied then.
    """
    own = network.state_dict()
    missing = [key for key in own if key not in state_dict and not _may_lack(key, own[key], family)]
    surplus = [key for key in state_dict if key not in own]
    faults = [
        _fault("missing", missing, candidates=surplus),
        _fault("surplus", surplus, candidates=own),
        _shape_fault(own, state_dict),
        _constant_fault(own, state_dict, family),
    ]
    if any(faults):
        raise StateDictError(
            f"the state dict does not fit `{type(network).__name__}`: "
            f"{'; '.join(fault for fault in faults if fault)}; "
            "check that it is whole, and of this family and these settings"
        )
    with torch.no_grad():
        network.load_state_dict(dict(state_dict), strict=False)


def _matching_family(shapes: Shapes, families: Sequence[Family]) -> Family:
    matching = [family for family in families if _is_of_family(shapes, family)]
    if len(matching) == 1:
        return matching[0]
    if matching:
        names = ", ".join(f"`{family.name}`" for family in matching)
        raise UnknownFamilyError(
            f"{len(matching)} families fit the checkpoint (expected one): {names}; pass `--family`"
        )
    by_nearness = sorted(families, key=lambda family: _nearness(shapes, family), reverse=True)
    misses = "; ".join(_near_miss(shapes, family) for family in by_nearness)
    raise UnknownFamilyError(
        f"no family fits the {len(shapes)} keys of the checkpoint (expected one): "
        f"{misses or 'there are no families'}; check the file, or pass `--family`"
    )


def _named_family(name: str, families: Sequence[Family]) -> Family:
    by_name = {family.name: family for family in families}
    if name not in by_name:
        raise UnknownFamilyError(f"there is no family `{name}`; {did_you_mean(name, by_name)}")
    return by_name[name]


def _is_of_family(shapes: Shapes, family: Family) -> bool:
    return any(_fits(shapes, signature) for signature in family.signatures)


def _fits(shapes: Shapes, signature: KeySignature) -> bool:
    has_all = all(key in shapes for key in signature.required)
    return has_all and not any(key in shapes for key in signature.excluded)


def _nearness(shapes: Shapes, family: Family) -> float:
    return max(_share(shapes, signature) for signature in family.signatures)


def _share(shapes: Shapes, signature: KeySignature) -> float:
    required = signature.required
    return sum(key in shapes for key in required) / max(1, len(required))


def _near_miss(shapes: Shapes, family: Family) -> str:
    """Return ``slpt: 3 of 4 keys, lacks `a` (nearest `b`)``."""
    signature = max(family.signatures, key=lambda signature: _share(shapes, signature))
    missing = [key for key in signature.required if key not in shapes]
    surplus = [key for key in signature.excluded if key in shapes]
    count = len(signature.required)
    text = f"{family.name}: {count - len(missing)} of {count} keys that mark it"
    if missing:
        text += f", lacks {_listed(missing, candidates=shapes)}"
    if surplus:
        text += f", has {_listed(surplus)}, which it never has"
    return text


def _check_settings(settings: Mapping[str, int], family: Family) -> None:
    for name in settings:
        if name not in family.settings:
            known = ", ".join(f"`{each}` ({text})" for each, text in family.settings.items())
            nearest = nearest_name(name, family.settings)
            guess = f"did you mean `{nearest}`? " if nearest else ""
            raise UsageError(
                f"family `{family.name}` has no setting `{name}`; {guess}it has {known or 'none'}"
            )


def _read_hyperparameters(shapes: Shapes, settings: Mapping[str, int], family: Family) -> object:
    try:
        return family.read_hyperparameters(shapes, settings)
    except KeyError as caught:
        key = str(caught.args[0]) if caught.args else "?"
        raise UnknownFamilyError(
            f"the checkpoint is no whole `{family.name}`: it lacks "
            f"{_listed([key], candidates=shapes)}; check that the file is whole"
        ) from caught
    except (ArithmeticError, IndexError, ValueError) as caught:
        raise UnknownFamilyError(
            f"the checkpoint is no `{family.name}`: its tensors have other numbers of dimensions "
            f"({caught}); pass another `--family`"
        ) from caught


def _fault(kind: str, keys: Sequence[str], *, candidates: Iterable[str]) -> str:
    if not keys:
        return ""
    noun = "key" if len(keys) == 1 else "keys"
    return f"{len(keys)} {kind} {noun}: {_listed(keys, candidates=candidates)}"


def _may_lack(key: str, own: Tensor, family: Family) -> bool:
    return (
        key.endswith(_COUNTER)
        or family.is_unused(key, own.shape)
        or family.is_constant(key, own.shape)
    )


def _constant_fault(own: Mapping[str, Tensor], given: Mapping[str, Tensor], family: Family) -> str:
    wrong = [
        key
        for key, value in own.items()
        if key in given
        and given[key].shape == value.shape
        and family.is_constant(key, value.shape)
        and not torch.allclose(given[key].double(), value.double(), rtol=0, atol=_CONSTANT_BAR)
    ]
    if not wrong:
        return ""
    return f"{_listed(wrong)} hold other values than this network computes by itself"


def _shape_fault(own: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> str:
    wrong = [key for key in own if key in given and own[key].shape != given[key].shape]
    if not wrong:
        return ""
    shown = ", ".join(
        f"`{key}` (expected {tuple(own[key].shape)}, got {tuple(given[key].shape)})"
        for key in wrong[:_KEYS_SHOWN]
    )
    noun = "key" if len(wrong) == 1 else "keys"
    return f"{len(wrong)} {noun} of another shape: {shown}{_more(wrong)}"


def _listed(keys: Sequence[str], *, candidates: Iterable[str] = ()) -> str:
    """Return the first keys, each with its nearest candidate."""
    known = tuple(candidates)
    nearest = ((key, nearest_name(key, known)) for key in keys[:_KEYS_SHOWN])
    shown = (f"`{key}` (nearest `{near}`)" if near else f"`{key}`" for key, near in nearest)
    return ", ".join(shown) + _more(keys)


def _more(keys: Sequence[str]) -> str:
    return f" and {len(keys) - _KEYS_SHOWN} more" if len(keys) > _KEYS_SHOWN else ""
