"""The contract check itself: what it must catch, and what it must not be fooled by."""

from __future__ import annotations

import re
from textwrap import dedent

import pytest

from tests.contract.api import VERSIONS, Api, Signature
from tests.contract.check import problems, stale_options
from tests.contract.scopes import scope_from_source
from tests.contract.uses import Declared, Found, Use, collect

GOOD = """
import tensorrt as trt

def build(logger: trt.ILogger, data: bytes) -> trt.IHostMemory:
    builder = trt.Builder(logger)
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    config = builder.create_builder_config()
    config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, 1 << 30)
    config.builder_optimization_level = 3
    parser = trt.OnnxParser(network, logger)
    if not parser.parse(data):
        raise ValueError([parser.get_error(i).desc() for i in range(parser.num_errors)])
    if hasattr(config, "l2_limit_for_tiling"):
        config.l2_limit_for_tiling = 0
    return builder.build_serialized_network(network, config)
"""
NESTED = """
import tensorrt as t

def f(builder: t.Builder) -> object:
    def g() -> object:
        made = builder.create_builder_config()
        same = made
        return lambda: same.int8_calibrator
    return g()
"""
OPTIONAL = {"IBuilderConfig.l2_limit_for_tiling": ("10.3",)}


def found_in(source: str, apis: dict[str, Api], declared: Declared | None = None) -> Found:
    return collect(scope_from_source(dedent(source)), apis, declared or Declared())


def problems_of(source: str, apis: dict[str, Api], version: str) -> list[str]:
    found = found_in(source, apis)
    assert found.unknown == []
    return problems(found.uses, apis[version], OPTIONAL)


@pytest.mark.parametrize("version", VERSIONS)
def test_check_passes_code_that_spans_all_versions(version: str, apis: dict[str, Api]) -> None:
    assert problems_of(GOOD, apis, version) == []


def test_collect_follows_objects_through_calls_loops_and_attributes(apis: dict[str, Api]) -> None:
    source = """
    import contextlib, tensorrt as trt
    from collections.abc import Iterator

    class Slot:
        def __init__(self, engine: trt.ICudaEngine) -> None:
            self._contexts = [engine.create_execution_context() for _ in range(2)]

        @contextlib.contextmanager
        def lent(self) -> "Iterator[trt.IExecutionContext]":
            yield self._contexts[0]

        def run(self, stream: int) -> None:
            for i, context in enumerate(self._contexts):
                context.execute_async_v3(stream)
            with self.lent() as one:
                one.set_input_shape("image", (1, 2))
    """

    members = {use.member for use in found_in(source, apis).uses if use.kind == "call"}

    assert members == {
        "ICudaEngine.create_execution_context",
        "IExecutionContext.execute_async_v3",
        "IExecutionContext.set_input_shape",
    }


def test_collect_knows_what_a_key_is_given(apis: dict[str, Api]) -> None:
    source = """
    import tensorrt as trt

    def f(found: list[trt.ITensor]) -> object:
        return sorted(found, key=lambda one: one.no_such)
    """

    found = found_in(source, apis)

    assert found.unknown == []
    assert Use("sample.py:5", "ITensor", "no_such") in found.uses


def test_collect_looks_into_each_class_that_an_object_may_be_of(apis: dict[str, Api]) -> None:
    source = """
    import tensorrt as trt

    class A:
        def __init__(self, held: trt.Runtime) -> None:
            self.held = held

    class B:
        def __init__(self, held: trt.Runtime) -> None:
            self.held = held

    def f(a: A, b: B) -> None:
        for one in (a, b):
            one.held.max_threads = 2
    """

    found = found_in(source, apis)

    assert found.unknown == []
    assert Use("sample.py:14", "Runtime", "max_threads", "set") in found.uses


@pytest.mark.parametrize(
    ("planted", "member"),
    [
        ("config.set_flag(trt.BuilderFlag.FP16)", "BuilderFlag.FP16"),
        ("config.int8_calibrator = None", "IBuilderConfig.int8_calibrator"),
        ("fast = builder.platform_has_fast_fp16", "Builder.platform_has_fast_fp16"),
        ("builder.max_batch_size = 1", "Builder.max_batch_size"),
        ("parser.supports_model(data)", "OnnxParser.supports_model"),
    ],
)
def test_check_refuses_a_removed_member(planted: str, member: str, apis: dict[str, Api]) -> None:
    source = GOOD.replace("    return builder", f"    {planted}\n    return builder")

    found = problems_of(source, apis, "11.4")

    assert [line.partition(": ")[2] for line in found] == [f"TensorRT 11.4 has no `{member}`"]


@pytest.mark.parametrize(
    ("source", "member"),
    [
        ("from tensorrt import IAlgorithmSelector", "IAlgorithmSelector"),
        (
            "import types\ndef f(t: types.ModuleType) -> object:\n    return t.BuilderFlag.FP16",
            "FP16",
        ),
        ("import importlib\nt = importlib.import_module('tensorrt')\nt.BuilderFlag.FP16", "FP16"),
        ("import tensorrt as t\nx = t.BuilderFlag.TF32.is_gone", "BuilderFlag.is_gone"),
        (NESTED, "IBuilderConfig.int8_calibrator"),
    ],
    ids=["from_import", "module_type", "import_module", "of_an_enum", "nested_alias"],
)
def test_check_refuses_a_removed_member_by_any_name(
    source: str, member: str, apis: dict[str, Api]
) -> None:
    (line,) = problems_of(source, apis, "11.4")

    assert line.endswith(f"{member}`")


@pytest.mark.parametrize(
    ("planted", "message"),
    [
        ("builder.create_network(flag=1)", "takes .*flags.*, not 0 by position, `flag`"),
        ("builder.build_serialized_network(network)", "takes .*, not 1 by position"),
        ("config.set_flag(1, 2)", "takes .*, not 2 by position"),
        ("parser.num_errors()", "`OnnxParser.num_errors` of TensorRT 10.3 is no method"),
        ("parser.num_errors = 1", "lets nobody set `OnnxParser.num_errors`"),
        ("builder.create_network(*[1], flag=1)", "takes .*, not some by position, `flag`"),
        ("trt.Builder()", "`Builder.__init__` .* takes .*, not 0 by position"),
    ],
)
def test_check_refuses_a_wrong_call(planted: str, message: str, apis: dict[str, Api]) -> None:
    source = GOOD.replace("    return builder", f"    {planted}\n    return builder")

    (line,) = problems_of(source, apis, "10.3")

    assert re.search(message, line)


def test_check_refuses_an_override_that_would_never_be_called(apis: dict[str, Api]) -> None:
    source = """
    import tensorrt as trt

    class Monitor(trt.IProgressMonitor):
        def phase_start(self, phase_name, parent_phase, num_steps): ...
        def phase_finish(self, phase_name, status): ...
        def step_completed(self, phase_name, step): ...
    """

    found = found_in(source, apis)

    assert found.unknown == ["sample.py:7: `step_completed` overrides nothing of IProgressMonitor"]
    assert problems(found.uses, apis["10.3"], {}) == [
        "sample.py:6: TensorRT 10.3 calls `IProgressMonitor.phase_finish` as (phase_name)"
    ]


@pytest.mark.parametrize(
    "body",
    [
        "def f(config: Any) -> None:\n    config.set_flag(0)",
        "def f(config) -> None:\n    config.anything()",
        "def f(found: dict[str, Any]) -> None:\n    found['config'].flags = 0",
        "def f(config: object) -> None:\n    config.set_flag(0)",
        "from other import config\nclass A:\n    def f(self):\n        self.b.set_flag(0)",
        "import tensorrt as trt\ndef f(name: str) -> object:\n    return getattr(trt, name)",
        "def f(name: str, config: Any) -> object:\n    return getattr(config, name, None)",
        "import tensorrt as trt\nflag = trt.BuilderFlag.__members__['FP16']",
        "import tensorrt as trt\nclass A(trt.ILogger):\n    x = 1\ndef f(a: A):\n    a.gone()",
        "config = None\ndef f() -> None:\n    config.set_memory_pool_limit(1, 2)",
    ],
)
def test_collect_reports_what_it_cannot_attribute(body: str, apis: dict[str, Api]) -> None:
    found = found_in("from typing import Any\n" + body, apis)

    assert len(found.unknown) == 1


def test_collect_takes_a_declared_variable_for_its_class(apis: dict[str, Api]) -> None:
    source = "from typing import Any\ndef f(config: Any) -> None:\n    config.no_such()"

    found = found_in(source, apis, Declared({"config": "IBuilderConfig"}))

    assert found.unknown == []
    assert [use.member for use in found.uses if use.kind == "call"] == ["IBuilderConfig.no_such"]


def test_collect_sees_what_a_function_of_ours_asks_for(apis: dict[str, Api]) -> None:
    source = """
    import tensorrt as trt

    def _member(of: object, name: str) -> object:
        return getattr(of, name, None)

    def f() -> None:
        _member(trt.BuilderFlag, "FP16")
    """

    found = found_in(source, apis, Declared(asking=frozenset({"sample.py:_member"})))

    assert Use("sample.py:8", "BuilderFlag", "FP16", guarded=True) in found.uses


@pytest.mark.parametrize(
    ("optional", "count"), [({}, 1), ({"BuilderFlag.FP16": ("11.4",)}, 0)], ids=["bare", "listed"]
)
def test_check_takes_a_guarded_member_only_if_it_is_listed(
    optional: dict[str, tuple[str, ...]], count: int, apis: dict[str, Api]
) -> None:
    source = "import tensorrt as trt\nflag = getattr(trt.BuilderFlag, 'FP16', None)"

    found = problems(found_in(source, apis).uses, apis["11.4"], optional)

    assert len(found) == count


def test_check_refuses_a_listed_member_that_nothing_guards(apis: dict[str, Api]) -> None:
    found = found_in("import tensorrt as trt\nflag = trt.BuilderFlag.FP16", apis)

    assert problems(found.uses, apis["11.4"], {"BuilderFlag.FP16": ("11.4",)})


def test_stale_options_names_what_is_there_or_is_not_used(apis: dict[str, Api]) -> None:
    found = found_in("import tensorrt as trt\nflag = trt.BuilderFlag.TF32", apis)

    lines = stale_options(found.uses, apis, {"BuilderFlag.TF32": ("11.4",)})
    unused = stale_options(found.uses, apis, {"BuilderFlag.FP16": ("11.4",)})

    assert lines == ["BuilderFlag.TF32 is absent in (), not in ('11.4',)"]
    assert unused == ["BuilderFlag.FP16 is not used"]


@pytest.mark.parametrize(
    ("positional", "keywords", "fits"),
    [
        (2, (), True),
        (1, ("config",), True),
        (3, (), True),
        (2, ("kernel_text",), True),
        (1, ("network", "config"), False),
        (4, (), False),
        (1, (), False),
    ],
)
def test_signature_takes_what_python_would(
    positional: int, keywords: tuple[str, ...], fits: bool
) -> None:
    signature = Signature.parse("network, config, kernel_text? -> IHostMemory")

    assert signature.takes(positional, keywords) == fits


def test_signature_takes_no_keyword_that_pybind_has_no_name_for() -> None:
    signature = Signature.parse("arg0 -> None")

    assert signature.takes(1, ())
    assert not signature.takes(0, ("arg0",))
