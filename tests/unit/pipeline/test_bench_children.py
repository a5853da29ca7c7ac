from __future__ import annotations

import os
from contextlib import ExitStack, nullcontext
from pathlib import Path

import msgspec
import pytest

from facealign.bench.child import Child
from facealign.bench.messages import Ready
from facealign.bundle import Bundle, read_bundle
from facealign.errors import BackendError, SelfTestError, TargetError
from facealign.pipeline.bench_candidates import BenchRequest
from facealign.pipeline.bench_children import open_children, restart_children
from facealign.pipeline.bench_subject import SubjectSpec


@pytest.fixture
def bundle(two_graphs: Path) -> Bundle:
    """Return a bundle whose INT8 is for ONNX Runtime."""
    bundle = read_bundle(two_graphs)
    graphs = dict(bundle.manifest.graphs)
    graphs["int8"] = msgspec.structs.replace(graphs["int8"], purpose="ONNX Runtime on x86")
    return Bundle(bundle.folder, msgspec.structs.replace(bundle.manifest, graphs=graphs))


@pytest.fixture
def closed() -> list[Child]:
    """Return the processes that were ended."""
    return []


@pytest.fixture
def started(
    monkeypatch: pytest.MonkeyPatch, closed: list[Child]
) -> list[tuple[SubjectSpec, dict[str, str]]]:
    """Return the processes that would be started; those of TensorRT fail as if it were absent."""
    specs: list[tuple[SubjectSpec, dict[str, str]]] = []

    def start(
        self: Child, _: object, line: bytes, *, name: str, environment: dict[str, str]
    ) -> None:
        specs.append((msgspec.json.decode(line, type=SubjectSpec), environment))
        self.name, self.open_s = name, float(len(specs))

    def ready(_: Child, *, deadline_s: float) -> Ready:
        assert deadline_s > 60
        if specs[-1][0].engine != "onnxruntime":
            raise BackendError("TensorRT is not installed; do")
        return Ready(base_memory_mb=1.0, cpu_s=0.1)

    monkeypatch.setattr(Child, "__init__", start)
    monkeypatch.setattr(Child, "wait_ready", ready)
    monkeypatch.setattr(Child, "wish_to_end", lambda _: None)
    monkeypatch.setattr(Child, "close", lambda child: closed.append(child))  # noqa: PLW0108  # no method of the class otherwise
    return specs


def _request(bundle: Bundle, **changes: object) -> BenchRequest:
    return BenchRequest(bundle.folder, **changes)  # type: ignore[arg-type]  # fields of it


def test_open_children_starts_a_process_for_each_candidate(
    bundle: Bundle, started: list[tuple[SubjectSpec, dict[str, str]]]
) -> None:
    request = _request(
        bundle, engines=("onnxruntime",), precisions=("fp32",), batches=(1, 2), threads=3
    )

    with ExitStack() as stack:
        opened = list(open_children(bundle, request, stack, []))

    assert [(spec.precision, spec.batch, spec.threads) for spec, _ in started] == [
        ("fp32", 1, 3),
        ("fp32", 2, 3),
    ]
    assert opened[1].child.name == "onnxruntime fp32 at batch 2"
    assert {variables["OMP_NUM_THREADS"] for _, variables in started} == {"3"}


def test_open_children_finds_this_package_from_any_folder(
    bundle: Bundle,
    started: list[tuple[SubjectSpec, dict[str, str]]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PYTHONPATH", "/elsewhere")

    with ExitStack() as stack:
        list(open_children(bundle, _request(bundle, engines=("onnxruntime",)), stack, []))

    first, *others = started[0][1]["PYTHONPATH"].split(os.pathsep)
    assert (Path(first) / "facealign" / "pipeline" / "bench.py").is_file()
    assert others == ["/elsewhere"]


def test_open_children_skips_an_engine_that_nobody_named_and_asks_it_once(
    bundle: Bundle, started: list[tuple[SubjectSpec, dict[str, str]]]
) -> None:
    skipped: list[str] = []

    with ExitStack() as stack:
        opened = list(open_children(bundle, _request(bundle), stack, skipped))

    assert {each.candidate.engine for each in opened} == {"onnxruntime"}
    assert "tensorrt does not work here: TensorRT is not installed; do" in skipped
    assert [spec.engine for spec, _ in started].count("tensorrt") == 1


@pytest.mark.parametrize("engines", [(), ("onnxruntime",)], ids=["any", "named"])
def test_open_children_skips_a_graph_that_fails_its_self_test_unless_its_engine_was_named(
    bundle: Bundle,
    started: list[tuple[SubjectSpec, dict[str, str]]],
    monkeypatch: pytest.MonkeyPatch,
    engines: tuple[str, ...],
) -> None:
    others, skipped = Child.wait_ready, list[str]()

    def refuse_int8(self: Child, *, deadline_s: float) -> Ready:
        if started[-1][0].precision == "int8":
            raise SelfTestError("18 px off")
        return others(self, deadline_s=deadline_s)

    monkeypatch.setattr(Child, "wait_ready", refuse_int8)
    refused = pytest.raises(SelfTestError) if engines else nullcontext()

    with ExitStack() as stack, refused:
        opened = list(open_children(bundle, _request(bundle, engines=engines), stack, skipped))

        assert {each.candidate.precision for each in opened} == {"fp32"}

    assert ("onnxruntime int8 fails its self-test: 18 px off" in skipped) == (not engines)


@pytest.mark.usefixtures("started")
def test_open_children_fails_for_an_engine_that_was_named(bundle: Bundle) -> None:
    request = _request(bundle, engines=("onnxruntime", "tensorrt"))

    with ExitStack() as stack, pytest.raises(BackendError, match=r"^TensorRT is not installed"):
        list(open_children(bundle, request, stack, []))


@pytest.mark.usefixtures("started")
def test_open_children_fails_when_nothing_works(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: Child, *, deadline_s: float) -> None:
        raise TargetError(f"no plan within {deadline_s > 0}; run `facealign build`")

    monkeypatch.setattr(Child, "wait_ready", fail)

    with ExitStack() as stack, pytest.raises(BackendError) as raised:
        list(open_children(bundle, _request(bundle), stack, []))

    assert str(raised.value).startswith("there is nothing to measure: onnxruntime does not work")
    assert "tensorrt does not work here: no plan within True" in str(raised.value)


def test_restart_children_ends_the_old_processes_before_it_starts_the_same_again(
    bundle: Bundle, started: list[tuple[SubjectSpec, dict[str, str]]], closed: list[Child]
) -> None:
    request = _request(bundle, engines=("onnxruntime",), batches=(1,))

    with ExitStack() as stack:
        old = list(open_children(bundle, request, stack, []))
        again = restart_children(bundle, request, old, stack)
        ended_first = list(closed)

    assert set(map(id, ended_first)) == {id(each.child) for each in old}
    assert len(closed) == 4  # also the new ones, behind the stack
    assert [spec for spec, _ in started[:2]] == [spec for spec, _ in started[2:]]
    assert [each.candidate for each in again] == [each.candidate for each in old]
    assert not {id(each.child) for each in again} & {id(each.child) for each in old}
    assert [each.open_s for each in again] == [1.0, 2.0]  # as when each was opened alone


@pytest.mark.usefixtures("started")
def test_restart_children_fails_if_one_does_not_come_back(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = _request(bundle, engines=("onnxruntime",))

    def fail(_: Child, *, deadline_s: float) -> None:
        raise BackendError(f"gave no answer within {deadline_s:.0f} s")

    with ExitStack() as stack:
        old = list(open_children(bundle, request, stack, []))
        monkeypatch.setattr(Child, "wait_ready", fail)

        with pytest.raises(BackendError, match=r"^gave no answer within 300 s"):
            restart_children(bundle, request, old, stack)
