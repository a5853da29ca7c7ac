"""Write `api.json`: what the versions of TensorRT's Python module offer, without the layers.

Usage: ``python -m tests.contract.reduce``, where the real bindings are at hand.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from tests.contract.api import REDUCED, VERSIONS, Api, Entry, Member
from tests.contract.bindings import fetch, real_api

__all__ = ["merged", "reduced"]

# An engine is built from ONNX: no layer is ever added by hand.
_LEFT_OUT = re.compile(
    r"I\w+Layer\b.*|IPluginV2\w*|I?Plugin(CreatorV?2?|Creator)|IInt8\w+|IAlgorithm\w*|IIf\w+|"
    r"ILoop\w*|I(Rotary|Attention|MoE)\w*|\w*(Operation|Mode|Type)(?<!FieldType)(?<!DataType)"
    r"(?<!DeviceType)(?<!LayerType)(?<!PoolType)(?<!CapabilityType)(?<!IOMode)"
    r"(?<!DimensionOperation)|BoundingBoxFormat|NodeIndices|common_\w+|attr|value"
)
_LAYER_METHOD = re.compile(r"add_(?!optimization_profile)\w+")


def merged(apis: Mapping[str, Api]) -> dict[str, object]:
    """Return the reduced APIs of all versions in the form of `api.json`."""
    small = {version: reduced(api) for version, api in apis.items()}
    names = sorted({name for entries in small.values() for name in entries})
    entries = {
        name: _merged_entry({v: e[name] for v, e in small.items() if name in e}) for name in names
    }
    versions = {version: api.full_version for version, api in apis.items()}
    return {"about": __doc__.partition("\n")[0], "versions": versions, "entries": entries}


def reduced(api: Api) -> dict[str, Entry]:
    """Return the entries that are kept, without references to those that are not."""
    return {
        name: Entry(entry.kind, tuple(b for b in entry.bases if b in api.entries), _members(entry))
        for name, entry in api.entries.items()
        if not _LEFT_OUT.fullmatch(name)
    }


def _members(entry: Entry) -> dict[str, Member]:
    return {
        name: member
        for name, member in entry.members.items()
        if not _LEFT_OUT.fullmatch(name) and not _LAYER_METHOD.fullmatch(name)
    }


def _merged_entry(of: Mapping[str, Entry]) -> dict[str, object]:
    bases = sorted({base for entry in of.values() for base in entry.bases})
    members = {}
    for name in sorted({name for entry in of.values() for name in entry.members}):
        by_value: dict[Member, list[str]] = {}
        for version, entry in of.items():
            if name in entry.members:
                by_value.setdefault(entry.members[name], []).append(version)
        (value, versions), *others = by_value.items()
        whole = not others and len(versions) == len(of)
        members[name] = value if whole else {" ".join(v): k for k, v in by_value.items()}
    kind = next(iter(of.values())).kind
    return {"versions": " ".join(of), "kind": kind, "bases": bases, "members": members}


def main() -> None:
    folders = {version: fetch(version) for version in VERSIONS}
    data = merged({version: real_api(version, folder) for version, folder in folders.items()})
    REDUCED.write_text(text(data), "utf-8")


def text(data: dict[str, object]) -> str:
    """Return JSON with one entry per line, so that a change can be read."""
    entries = data["entries"]
    if not isinstance(entries, dict):
        raise TypeError(entries)
    head = json.dumps({k: v for k, v in data.items() if k != "entries"})[:-1]
    lines = [f"{json.dumps(name)}: {json.dumps(entry)}" for name, entry in entries.items()]
    return head + ', "entries": {\n' + ",\n".join(lines) + "\n}}\n"


if __name__ == "__main__":
    main()
