"""All that our code uses of TensorRT is there, in every version that we promise."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest

from tests.contract.api import VERSIONS, Api, reduced_apis
from tests.contract.check import problems, stale_options
from tests.contract.declared import DECLARED, OPTIONAL
from tests.contract.reduce import reduced
from tests.contract.scopes import Module, read_modules, scope_from_source
from tests.contract.uses import Found, collect

ROOT = Path(__file__).parents[2]
PACKAGE = "facealign.runtime.tensorrt"


@cache
def our_modules() -> dict[str, Module]:
    return read_modules(ROOT, PACKAGE)


@cache
def all_modules() -> dict[str, Module]:
    return read_modules(ROOT, "facealign")


@cache
def our_uses() -> Found:
    return collect(our_modules(), reduced_apis(), DECLARED)


def test_every_access_is_attributed() -> None:
    found = our_uses()

    assert found.unknown == []


def test_every_declaration_is_needed() -> None:
    declared = {*DECLARED.variables, *DECLARED.asking, *DECLARED.others, *DECLARED.plain}

    assert declared - our_uses().declared == set()


def test_files_of_other_libraries_do_not_speak_of_tensorrt() -> None:
    speaking = {module.path for module in our_modules().values() if _names_tensorrt(module)}

    assert speaking & DECLARED.others == set()


def test_every_file_that_speaks_of_tensorrt_is_seen_to_use_it() -> None:
    seen = {use.where.partition(":")[0] for use in our_uses().uses}
    speaking = {module.path for module in our_modules().values() if _names_tensorrt(module)}

    assert speaking
    assert speaking - seen == set()


def test_no_other_code_of_ours_imports_tensorrt() -> None:
    inside = {module.path for module in our_modules().values()}
    importing = {module.path for module in all_modules().values() if _imports_tensorrt(module)}

    assert importing - inside == set()


def test_no_other_code_of_ours_takes_a_member_of_tensorrt() -> None:
    inside = {module.path for module in our_modules().values()}
    others = [each for each in all_modules().values() if each.path not in inside]

    taking = [each.path for each in others if _names_tensorrt(each) or _asks_for_tensorrt(each)]

    assert others
    assert taking == []


@pytest.mark.parametrize(
    "line",
    ["trt.Runtime(logger)", "self.trt.Runtime", "library.import_tensorrt()", "import_tensorrt()"],
)
def test_a_file_that_takes_a_member_of_tensorrt_is_told(line: str) -> None:
    module = scope_from_source(line)["sample"]

    assert _names_tensorrt(module) or _asks_for_tensorrt(module)


@pytest.mark.parametrize("version", VERSIONS)
def test_the_copied_facts_have_all_that_we_use(version: str, apis: dict[str, Api]) -> None:
    found = problems(our_uses().uses, apis[version], OPTIONAL)

    assert found == []


def test_every_optional_member_is_used_and_absent_where_it_is_said(apis: dict[str, Api]) -> None:
    assert stale_options(our_uses().uses, apis, OPTIONAL) == []


@pytest.mark.contract
def test_the_real_bindings_have_all_that_we_use(real: Api) -> None:
    found = problems(our_uses().uses, real, OPTIONAL)

    assert found == []


@pytest.mark.contract
@pytest.mark.parametrize(
    "removed",
    [
        "trt.BuilderFlag.FP16",
        "trt.Builder(logger).create_builder_config().int8_calibrator",
        "trt.Builder(logger).platform_has_fast_fp16",
    ],
)
def test_the_real_bindings_betray_a_removed_member(removed: str, real: Api) -> None:
    source = f"import tensorrt as trt\ndef f(logger: trt.ILogger) -> None:\n    {removed}"
    found = collect(scope_from_source(source), reduced_apis(), DECLARED)

    lines = problems(found.uses, real, OPTIONAL)

    assert found.unknown == []
    assert (len(lines) == 1) == (real.version == "11.4")


@pytest.mark.contract
def test_the_copied_facts_are_those_of_the_real_bindings(real: Api, apis: dict[str, Api]) -> None:
    expected = reduced(real)

    assert real.full_version == apis[real.version].full_version
    assert {name: entry.members for name, entry in apis[real.version].entries.items()} == {
        name: entry.members for name, entry in expected.items()
    }


def _names_tensorrt(module: Module) -> bool:
    """Return whether a file takes a member of the module, by the name that our code gives it."""
    attributes = (node for node in ast.walk(module.tree) if isinstance(node, ast.Attribute))
    return any(ast.unparse(node.value).rpartition(".")[2] == "trt" for node in attributes)


def _asks_for_tensorrt(module: Module) -> bool:
    """Return whether a file asks for the module, which it may then call by any name."""
    return any(
        "import_tensorrt" in {getattr(node, "id", ""), getattr(node, "attr", "")}
        for node in ast.walk(module.tree)
    )


def _imports_tensorrt(module: Module) -> bool:
    for node in ast.walk(module.tree):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
            names = [str(getattr(argument, "value", "")) for argument in node.args]
        if any(name.partition(".")[0] == "tensorrt" for name in names):
            return True
    return False
