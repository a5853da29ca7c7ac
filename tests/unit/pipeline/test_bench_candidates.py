from __future__ import annotations

import os
from contextlib import ExitStack, nullcontext
from pathlib import Path

import msgspec
import pytest

from facealign.bench.child import Child
from facealign.bench.messages import Ready
from facealign.bundle import Bundle, read_bundle
from facealign.errors import BackendError, SelfTestError, TargetError, UsageError
from facealign.pipeline.bench_candidates import (
    BenchRequest,
    candidates_of,
    open_children,
)
from facealign.pipeline.bench_subject import SubjectSpec


@pytest.fixture
def bundle(two_graphs: Path) -> Bundle:
    """Return a bundle whose INT8 is for ONNX Runtime."""
    bundle = read_bundle(two_graphs)
    graphs = dict(bundle.manifest.graphs)
    graphs["int8"] = msgspec.structs.replace(graphs["int8"], purpose="ONNX Runtime on x86")
    return Bundle(bundle.folder, msgspec.structs.replace(bundle.manifest, graphs=graphs))


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[tuple[SubjectSpec, dict[str, str]]]:
    """Return the processes that would be started; those of TensorRT fail as if it were absent."""
    specs: list[tuple[SubjectSpec, dict[str, str]]] = []

    def start(
        self: Child, _: object, line: bytes, *, name: str, environment: dict[str, str]
    ) -> None:
        specs.append((msgspec.json.decode(line, type=SubjectSpec), environment))
        self.name = name

    def ready(_: Child, *, deadline_s: float) -> Ready:
        assert deadline_s > 60
        if specs[-1][0].engine != "onnxruntime":
            raise BackendError("TensorRT is not installed; do")
        return Ready(base_memory_mb=1.0)

    monkeypatch.setattr(Child, "__init__", start)
    monkeypatch.setattr(Child, "wait_ready", ready)
    monkeypatch.setattr(Child, "close", lambda _: None)
    return specs


def _request(bundle: Bundle, **changes: object) -> BenchRequest:
    return BenchRequest(bundle.folder, **changes)  # type: ignore[arg-type]  # fields of it


def _names(bundle: Bundle, **changes: object) -> list[tuple[str, int]]:
    candidates = candidates_of(bundle, _request(bundle, **changes))
    return [(each.name, each.batch) for each in candidates if "openvino" not in each.name]


def test_candidates_are_each_engine_with_its_graphs_at_the_smallest_and_largest_batch(
    bundle: Bundle,
) -> None:
    found = _names(bundle)

    assert found == [
        ("onnxruntime fp32", 1),
        ("onnxruntime fp32", 4),
        ("onnxruntime int8", 1),
        ("onnxruntime int8", 4),
        ("tensorrt fp32", 1),
        ("tensorrt fp32", 4),
    ]


def test_candidates_are_those_that_were_named_fp32_first(bundle: Bundle) -> None:
    found = _names(bundle, engines=("tensorrt",), precisions=("int8", "fp32"), batches=(2, 2))

    assert found == [("tensorrt fp32", 2), ("tensorrt int8", 2)]


def test_candidates_have_pytorch_when_there_is_a_checkpoint(bundle: Bundle) -> None:
    found = _names(bundle, checkpoint=Path("a.pt"), batches=(1,))

    assert found[-1] == ("pytorch fp32", 1)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"engines": ("onnxruntme",)}, "no engine 'onnxruntme'; did you mean 'onnxruntime'?"),
        ({"engines": ("x",)}, "no engine 'x'; choose from onnxruntime, "),
        ({"engines": ("pytorch",)}, "PyTorch needs the checkpoint; pass `--checkpoint FILE`"),
        (
            {"engines": ("onnxruntime",), "checkpoint": Path("a.pt")},
            "`--checkpoint` is for PyTorch; add `pytorch` to `--engine`",
        ),
        ({"precisions": ("fp8",)}, "the bundle has no 'fp8' graph; choose from fp32, int8"),
        ({"batches": (1, 5)}, "the bundle takes batches of 1 to 4, got 5"),
        ({"seconds": 0.0}, "`seconds` must be above 0, got 0.0"),
        ({"seconds": float("nan")}, "`seconds` must be above 0, got nan"),
        ({"threads": 0}, "`threads` must be above 0, got 0"),
        ({"frames_per_s": -1.0}, "`rate` must be above 0, got -1.0"),
        ({"faces_per_frame": 0}, "`faces` must be above 0, got 0"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_candidates_that_cannot_be_are_refused(
    bundle: Bundle, changes: dict[str, object], message: str
) -> None:
    with pytest.raises(UsageError) as raised:
        candidates_of(bundle, _request(bundle, **changes))

    assert message in str(raised.value)


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
