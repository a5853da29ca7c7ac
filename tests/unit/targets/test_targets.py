"""Which targets there are, how they are found, and that every fact says where it is from."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from typing import Any, get_args

import pytest

from facealign.errors import UsageError
from facealign.targets import (
    Certainty,
    Fact,
    Target,
    discover_targets,
    targets_from_names,
    version_text,
)
from facealign.targets.operators import table_names
from facealign.targets.target import LEAST_CAPABILITY

ALL = discover_targets()
TENSORRT = [each for each in ALL if each.engine == "tensorrt"]
LOADED = """
import json, sys
before = set(sys.modules)
from facealign.targets import discover_targets
discover_targets()
print(json.dumps(sorted({name.partition(".")[0] for name in set(sys.modules) - before})))
"""


def facts_of(target: Target) -> list[Fact[Any]]:
    values = (getattr(target, field.name) for field in dataclasses.fields(target))
    return [value for value in values if isinstance(value, Fact)]


def test_discover_targets_finds_every_file_oldest_jetpack_first() -> None:
    assert [target.name for target in ALL] == [
        "jetpack-5.1",
        "jetpack-6.0",
        "jetpack-6.2",
        "jetpack-7.1",
        "jetpack-7.2",
        "jetpack-7.2.2",
        "tensorrt-10.3",
        "tensorrt-10.13",
        "tensorrt-10.16",
        "tensorrt-11",
        "onnxruntime",
    ]


@pytest.mark.parametrize(
    ("name", "target"),
    [
        ("jetpack-6.2", "jetpack-6.2"),
        ("JetPack-6.1", "jetpack-6.2"),
        ("jetpack-7.0", "jetpack-7.1"),
        ("jetpack-7.2.1", "jetpack-7.2"),
        ("tensorrt-11.3", "tensorrt-11"),
        (" ort ", "onnxruntime"),
    ],
)
def test_targets_from_names_knows_aliases(name: str, target: str) -> None:
    assert [each.name for each in targets_from_names([name])] == [target]


def test_targets_from_names_gives_each_once_in_order() -> None:
    found = targets_from_names(["tensorrt-11", "jetpack-6.1", "tensorrt-11.1", "jetpack-6.2"])

    assert [each.name for each in found] == ["tensorrt-11", "jetpack-6.2"]


def test_targets_from_names_names_the_nearest() -> None:
    with pytest.raises(
        UsageError,
        match=r"^there is no target 'jetpack-6\.3'; did you mean `jetpack-6\.2(\.3)?`\? There are "
        r"jetpack-5\.1, .*onnxruntime$",
    ):
        targets_from_names(["jetpack-6.3"])


def test_targets_from_names_lists_all_where_none_is_near() -> None:
    with pytest.raises(UsageError, match=r"^there is no target 'zzz'; choose from jetpack-5\.1, "):
        targets_from_names(["zzz"])


def test_names_are_unique() -> None:
    names = [name for target in ALL for name in target.names]

    assert sorted(set(names)) == sorted(names)


@pytest.mark.parametrize("target", ALL, ids=lambda each: str(each.name))
def test_every_fact_says_where_it_is_from_and_how_sure_it_is(target: Target) -> None:
    found = facts_of(target)

    assert len(found) == 9
    assert [fact for fact in found if not fact.source.strip()] == []
    assert {fact.certainty for fact in found} <= set(get_args(Certainty))


@pytest.mark.parametrize("target", TENSORRT, ids=lambda each: str(each.name))
def test_facts_of_a_target_fit_each_other(target: Target) -> None:
    least, greatest = target.opsets.value

    assert least <= target.export_opset.value <= greatest
    assert target.oldest <= target.newest
    assert set(target.tables) <= set(table_names())
    assert set(target.dla.value) <= {gpu.name for gpu in target.gpus.value}
    assert target.strong_typing.value == (target.oldest >= (10,))


@pytest.mark.parametrize(
    ("name", "precision", "gpus"),
    [
        ("jetpack-7.2", "fp8", ("Orin",)),
        ("jetpack-7.1", "fp8", ()),
        ("jetpack-5.1", "bf16", ("Xavier",)),
        ("tensorrt-10.3", "bf16", ("Turing",)),
        ("jetpack-6.2", "int8", ()),
        ("onnxruntime", "fp8", ()),
    ],
)
def test_gpus_without_goes_by_compute_capability(
    name: str, precision: str, gpus: tuple[str, ...]
) -> None:
    (target,) = targets_from_names([name])

    assert target.gpus_without(precision) == gpus


def test_least_capabilities_say_where_they_are_from() -> None:
    assert all(fact.source for fact in LEAST_CAPABILITY.values())


def test_version_text_is_as_people_write_it() -> None:
    assert version_text((10, 3, 0)) == "10.3.0"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("jetpack-6.2", "TensorRT 10.3.0"),
        ("tensorrt-11", "TensorRT 11.1.0 to 11.4.0"),
        ("onnxruntime", "ONNX Runtime 1.20.0 to 1.31.1"),
    ],
)
def test_engine_text_names_one_release_or_the_range(name: str, text: str) -> None:
    assert targets_from_names([name])[0].engine_text == text


def test_targets_need_the_standard_library_alone() -> None:
    done = subprocess.run(
        [sys.executable, "-c", LOADED], capture_output=True, text=True, check=True
    )

    assert set(json.loads(done.stdout)) - set(sys.stdlib_module_names) == {"facealign"}
