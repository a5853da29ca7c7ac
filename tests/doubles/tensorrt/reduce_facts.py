"""Write api.json: what of TensorRT's Python API the double needs to know, for five versions.

The facts are dumps of the real bindings of 10.3 and 11.4, and what all of 10.3, 10.13, 10.16, 11.1
and 11.4 have. Where the two ends differ, the versions between have only what both ends have.

Usage: python tests/doubles/tensorrt/reduce_facts.py /work/shared/facts
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

VERSIONS = ("10.3", "10.13", "10.16", "11.1", "11.4")
CLASSES = (
    "Builder",
    "Dims",
    "IBuilderConfig",
    "ICudaEngine",
    "IErrorRecorder",
    "IExecutionContext",
    "IHostMemory",
    "ILayer",
    "ILogger",
    "INetworkDefinition",
    "IOptimizationProfile",
    "IProfiler",
    "IProgressMonitor",
    "ITensor",
    "ITimingCache",
    "EngineInspector",
    "Logger",
    "OnnxParser",
    "ParserError",
    "Runtime",
)
_SPELLINGS = (
    (r"nvinfer1::(v_1_0::)?I?(?=[A-Z])", ""),
    (r"nvonnxparser::I?(?=[A-Z])", ""),
    (r"typing\.SupportsInt", "int"),
    (r"typing\.SupportsFloat", "float"),
    (r"typing_extensions\.Buffer", "buffer"),
    (r"collections\.abc\.Sequence", "Sequence"),
    (r"\bList\b", "Sequence"),
    (r"\blist\[", "Sequence["),
)
Json = dict[str, Any]


def main(folder: Path) -> None:
    """Write api.json beside this file."""
    span = _read(folder, "span")["classes"]
    first, last = (_read(folder, version) for version in (VERSIONS[0], VERSIONS[-1]))
    api = {
        "about": "derived from the real bindings by reduce_facts.py",
        "names": {v: sorted(d["classes"]) for v, d in ((VERSIONS[0], first), (VERSIONS[-1], last))},
        "constants": {
            v: _dtypes(d["constants"]) for v, d in ((VERSIONS[0], first), (VERSIONS[-1], last))
        },
        "enums": {
            name: {member: _compact(values) for member, values in members.items()}
            for name, members in _enums(span, first["classes"], last["classes"]).items()
        },
        "classes": {
            name: _class(span.get(name, {}), first["classes"][name], last["classes"][name])
            for name in CLASSES
        },
    }
    text = json.dumps(api, indent=None, sort_keys=True).replace('}, "', '},\n"')
    (Path(__file__).parent / "api.json").write_text(text + "\n")


def _read(folder: Path, name: str) -> Json:
    data: Json = json.loads((folder / f"tensorrt_api_{name}.json").read_text())
    return data


def _dtypes(constants: Json) -> Json:
    """Return `float32` and its like as the member of `DataType` that they are."""
    found = {name: re.match(r"<DataType\.(\w+):", text) for name, text in constants.items()}
    return {name: match[1] for name, match in found.items() if match}


def _enums(span: Json, first: Json, last: Json) -> Json:
    """Return the number of every member in every version that is known to have it."""
    ends = (_values(first), _values(last))
    enums: Json = {name: {} for name in {**ends[0], **ends[1]}}
    for name, members in enums.items():
        of_first, of_last = (end.get(name, {}) for end in ends)
        for member in {**of_first, **of_last}:
            at_ends = {
                v: of[member]
                for v, of in ((VERSIONS[0], of_first), (VERSIONS[-1], of_last))
                if member in of
            }
            is_same = len(at_ends) == 2 and len(set(at_ends.values())) == 1
            members[member] = dict.fromkeys(VERSIONS, of_last[member]) if is_same else at_ends
    for name, entry in span.items():
        for member, values in {**entry.get("all", {}), **entry["only"]}.items():
            if entry["kind"] == "enum":
                known = values if isinstance(values, dict) else dict.fromkeys(VERSIONS, values)
                enums[name][member] = known
    return enums


def _values(classes: Json) -> Json:
    """Return the enums of a dump, nested ones as ``ILogger.Severity``."""
    nested = {
        f"{outer}.{name}": enum
        for outer, entry in classes.items()
        for name, enum in entry.get("nested", {}).items()
    }
    every = {**classes, **nested}
    return {name: entry["values"] for name, entry in every.items() if entry["kind"] == "enum"}


def _class(span: Json, first: Json, last: Json) -> Json:
    return {
        "bases": first.get("bases", []),
        "init": _overloads(first.get("init", []), last.get("init", []), VERSIONS),
        "methods": {
            name: _overloads(
                first["methods"].get(name, []),
                last["methods"].get(name, []),
                _versions(span, first["methods"], last["methods"], name),
            )
            for name in sorted({**first["methods"], **last["methods"]})
            if not name.startswith("_pybind11")
        },
        "properties": {
            name: _property(
                first["properties"].get(name),
                last["properties"].get(name),
                _versions(span, first["properties"], last["properties"], name),
            )
            for name in sorted({**first["properties"], **last["properties"]})
        },
    }


def _versions(span: Json, first: Json, last: Json, name: str) -> tuple[str, ...]:
    if name in span.get("only", {}):
        return tuple(span["only"][name])
    if name in first and name in last:
        return VERSIONS
    return tuple(v for v, ends in ((VERSIONS[0], first), (VERSIONS[-1], last)) if name in ends)


def _overloads(first: list[str], last: list[str], versions: tuple[str, ...]) -> Json:
    """Return the signatures by version; a version between has those that both ends have."""
    ends = [[_normal(text) for text in signatures] for signatures in (first, last)]
    both = [text for text in ends[1] if text in ends[0]] if first and last else ends[0] or ends[1]
    of_version = {VERSIONS[0]: ends[0], VERSIONS[-1]: ends[1]}
    return _compact({version: of_version.get(version, both) for version in versions})


def _property(first: Json | None, last: Json | None, versions: tuple[str, ...]) -> Json:
    known = last or first or {}
    return {
        "type": _normal(known.get("set_type") or known["type"] or "object"),
        "writable": _compact(
            {v: (first if v == VERSIONS[0] and first else known)["writable"] for v in versions}
        ),
    }


def _compact(of_version: Json) -> Json:
    """Return it under "*" where all five versions have the same."""
    values = list(of_version.values())
    same = len(values) == len(VERSIONS) and all(value == values[0] for value in values)
    return {"*": values[0]} if same else of_version


def _normal(text: str) -> str:
    for pattern, spelling in _SPELLINGS:
        text = re.sub(pattern, spelling, text)
    return text


if __name__ == "__main__":
    main(Path(sys.argv[1]))
