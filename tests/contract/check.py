"""Whether a version of TensorRT has all that our code uses, as it uses it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from tests.contract.api import Api, Member, Signature
from tests.contract.uses import Use

__all__ = ["problems", "stale_options"]

_SUBMODULE = "plugin"


def problems(uses: Iterable[Use], api: Api, optional: Mapping[str, tuple[str, ...]]) -> list[str]:
    """Return a line for each use that the version does not bear out.

    Args:
        uses: Of our code.
        api: Of one version.
        optional: Members that our code asks for before it uses them, such as
            ``IBuilderConfig.l2_limit_for_tiling``, and the versions that lack them; ``plugin``
            stands for the whole submodule.
    """
    found = (_problem(use, api, optional) for use in uses)
    return sorted({line for line in found if line})


def stale_options(
    uses: Iterable[Use], apis: Mapping[str, Api], optional: Mapping[str, tuple[str, ...]]
) -> list[str]:
    """Return a line for each entry of `optional` that is not so, or that nothing needs."""
    used = {use.member: use for use in uses}
    lines = []
    for name, versions in optional.items():
        owner, _, member = name.rpartition(".")
        lacking = tuple(v for v, api in apis.items() if api.member(owner, member) is None)
        if lacking != versions:
            lines.append(f"{name} is absent in {lacking}, not in {versions}")
        if name not in used and name != _SUBMODULE:
            lines.append(f"{name} is not used")
    return lines


def _problem(use: Use, api: Api, optional: Mapping[str, tuple[str, ...]]) -> str | None:
    if _is_excused(use, api, optional):
        return None
    member = api.member(use.owner, use.name)
    if member is None:
        return f"{use.where}: TensorRT {api.version} has no `{use.member}`"
    if use.kind == "set" and not _can_be_set(member, use):
        return f"{use.where}: TensorRT {api.version} lets nobody set `{use.member}`"
    if use.kind == "override" and isinstance(member, tuple):
        return _override_problem(use, member, api)
    if use.kind == "call":
        return _call_problem(use, member, api)
    return None


def _is_excused(use: Use, api: Api, optional: Mapping[str, tuple[str, ...]]) -> bool:
    """Whether the member may be absent: it is listed for this version, and it is asked for."""
    in_submodule = use.owner.partition(".")[0] == _SUBMODULE or use.member == _SUBMODULE
    if in_submodule:
        return _SUBMODULE not in api.entries and api.version in optional.get(_SUBMODULE, ())
    absent = api.member(use.owner, use.name) is None
    return absent and use.guarded and api.version in optional.get(use.member, ())


def _can_be_set(member: Member, use: Use) -> bool:
    is_python = use.owner.startswith(f"{_SUBMODULE}.")
    return isinstance(member, str) and (member.startswith("rw") or (is_python and member != "ro"))


def _override_problem(use: Use, overloads: tuple[str, ...], api: Api) -> str | None:
    signatures = [Signature.parse(text) for text in overloads]
    fits = any(
        use.positional is None or s.takes_anything or len(s.parameters) == use.positional
        for s in signatures
    )
    wanted = " or ".join(f"({', '.join(s.parameters)})" for s in signatures)
    return None if fits else f"{use.where}: TensorRT {api.version} calls `{use.member}` as {wanted}"


def _call_problem(use: Use, member: Member, api: Api) -> str | None:
    if isinstance(member, str):
        if member == "value" or member.startswith("class"):
            return None
        return f"{use.where}: `{use.member}` of TensorRT {api.version} is no method"
    if any(_takes(Signature.parse(text), use) for text in member):
        return None
    count = "some" if use.positional is None else use.positional
    given = ", ".join([f"{count} by position", *(f"`{name}`" for name in use.keywords)])
    return (
        f"{use.where}: `{use.member}` of TensorRT {api.version} takes "
        f"({' or '.join(member)}), not {given}"
    )


def _takes(signature: Signature, use: Use) -> bool:
    if use.positional is not None:
        return signature.takes(use.positional, use.keywords)
    return signature.takes_anything or set(use.keywords) <= set(signature.parameters)
