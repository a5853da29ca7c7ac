from __future__ import annotations

import gc
import signal
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import onnx
import pytest

from facealign.errors import (
    BackendError,
    FacealignError,
    GraphContractError,
    IntegrityError,
    TargetError,
    UsageError,
)
from facealign.runtime.tensorrt.build import GraphToBuild, build_plan
from facealign.runtime.tensorrt.build_log import BuildState
from facealign.runtime.tensorrt.build_options import BuildOptions
from facealign.spec import TensorSpec, contract_input, contract_outputs
from tests.conftest import SIZE_PX, N
from tests.doubles.host_device import HostDevice
from tests.doubles.tensorrt import VERSIONS, TensorrtDouble
from tests.unit.runtime.tensorrt.made_graphs import OPTIONS, opened, to_build

CALLS = 24  # a few more than a build makes, so that the last ones do not fail


@pytest.mark.parametrize("version", VERSIONS)
def test_build_plan_goes_one_way_for_every_version(version: str, graph: GraphToBuild) -> None:
    double = TensorrtDouble(version)

    built = build_plan(double.module, HostDevice(), graph, OPTIONS)

    plan = opened(double, built)
    strongly = int(double.module.NetworkDefinitionCreationFlag.STRONGLY_TYPED)
    assert plan.graph == graph.data
    assert plan.options["network_flags"] == 1 << strongly
    assert plan.options["flags"] == []  # no precision, no TF32
    assert plan.options["limits"] == {"WORKSPACE": 1024 * 2**20}
    assert plan.options["builder_optimization_level"] == 3
    assert plan.options["profiling_verbosity"] == "DETAILED"
    rest = [SIZE_PX, SIZE_PX, 3]
    assert plan.profiles == [{"image": [[1, *rest], [2, *rest], [4, *rest]]}]
    assert built.notes == ()


@pytest.mark.parametrize(
    ("options", "name", "expected"),
    [
        (replace(OPTIONS, tf32=True), "flags", ["TF32"]),
        (replace(OPTIONS, version_compatible=True), "flags", ["VERSION_COMPATIBLE"]),
        (
            replace(OPTIONS, hardware_compatible=True),
            "hardware_compatibility_level",
            "AMPERE_PLUS",
        ),
        (replace(OPTIONS, level=5), "builder_optimization_level", 5),
        (replace(OPTIONS, workspace_mib=64), "limits", {"WORKSPACE": 64 * 2**20}),
    ],
    ids=["tf32", "version compatible", "hardware compatible", "level", "workspace"],
)
@pytest.mark.parametrize("version", ["10.3", "11.4"])
def test_build_plan_passes_on_every_option(
    version: str, options: BuildOptions, name: str, expected: object, graph: GraphToBuild
) -> None:
    double = TensorrtDouble(version)

    built = build_plan(double.module, HostDevice(), graph, options)

    assert opened(double, built).options[name] == expected


def test_build_plan_makes_the_context_current_where_it_builds(graph: GraphToBuild) -> None:
    threads: list[str] = []

    class Device(HostDevice):
        def make_current(self) -> None:
            threads.append(threading.current_thread().name)

    build_plan(TensorrtDouble().module, Device(), graph, OPTIONS)

    assert threads == ["tensorrt-build"]


def test_build_plan_refuses_a_graph_that_is_not_the_bundles(graph: GraphToBuild) -> None:
    double = TensorrtDouble()
    changed = replace(graph, data=graph.data + b"\0")

    with pytest.raises(IntegrityError, match="is not the one that the bundle was made with"):
        build_plan(double.module, HostDevice(), changed, OPTIONS)

    assert double.calls == []


def test_build_plan_refuses_options_before_anything_else(graph: GraphToBuild) -> None:
    double = TensorrtDouble()

    with pytest.raises(UsageError, match="`opt_batch` must be from 1"):
        build_plan(double.module, HostDevice(), graph, replace(OPTIONS, opt_batch=9))

    assert double.calls == []


def test_a_refused_node_is_named_with_operator_and_words(graph: GraphToBuild) -> None:
    model = onnx.load_from_string(graph.data)
    model.graph.node[8].name = "head/fc"
    double = TensorrtDouble()
    double.refused = {"Gemm": "no Gemm of this shape", "ReduceMean": "axes must be constant"}

    with pytest.raises(
        TargetError,
        match=r"TensorRT 10\.3\.0 does not take the graph: node `\d+` \(ReduceMean\): .*axes must "
        r"be constant, and 3 more problems; `facealign lint",
    ) as caught:
        build_plan(double.module, HostDevice(), to_build(model.SerializeToString()), OPTIONS)

    assert len(caught.value.items) == 4
    assert "node `head/fc` (Gemm)" in caught.value.items[-1]
    assert "no Gemm of this shape" in caught.value.items[-1]


def test_an_opset_that_is_too_new_is_said_without_a_node(graph: GraphToBuild) -> None:
    model = onnx.load_from_string(graph.data)
    model.opset_import[0].version = 23

    with pytest.raises(TargetError, match=r"does not take the graph: .*opset 23 is above 20"):
        build_plan(
            TensorrtDouble("10.3").module,
            HostDevice(),
            to_build(model.SerializeToString()),
            OPTIONS,
        )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"inputs": (contract_input(32),)}, r"input `image` must be uint8 \('B', 32, 32, 3\)"),
        (
            {"inputs": (TensorSpec("image", "float32", contract_input(SIZE_PX).shape),)},
            r"input `image` must be float32 .*, and TensorRT reads \('uint8', ",
        ),
        ({"outputs": contract_outputs(68)}, r"output `landmarks` must be float32 \('B', 68, 2\)"),
        ({"outputs": contract_outputs(N, ("pose",))}, r"output `pose` .* reads only \['landmarks"),
        ({"outputs": ()}, r"reads the outputs \['landmarks'\], the bundle has \[\]"),
    ],
    ids=["size", "type", "count", "missing", "more"],
)
def test_a_graph_that_is_not_its_contract_is_refused(
    graph: GraphToBuild, change: dict[str, tuple[object, ...]], message: str
) -> None:
    with pytest.raises(GraphContractError, match=message):
        build_plan(
            TensorrtDouble().module,
            HostDevice(),
            replace(graph, **change),  # type: ignore[arg-type]  # names of fields
            OPTIONS,
        )


@pytest.mark.parametrize("how", ["answer", "raise"])
@pytest.mark.parametrize("fail_at", range(CALLS))
def test_any_failing_call_is_one_clean_error_and_frees_everything(
    fail_at: int, how: str, graph: GraphToBuild, tmp_path: Path
) -> None:
    double = TensorrtDouble("10.3")
    double.fail_how = how  # type: ignore[assignment]  # one of the two
    double.reset_calls(fail_at=fail_at)
    cache = tmp_path / "cache"

    outcome = _outcome(double, graph, cache)

    has_failed = len(double.calls) > fail_at
    assert outcome in _EXPECTED[has_failed]
    gc.collect()
    assert double.objects_alive() == {}
    assert [path.name for path in tmp_path.iterdir()] in ([], ["cache"])


_EXPECTED = {
    False: ("built",),
    True: ("BackendError, 1 line", "TargetError, 1 line", "built, with a note"),
}


def _outcome(double: TensorrtDouble, graph: GraphToBuild, cache: Path) -> str:
    try:
        built = build_plan(double.module, HostDevice(), graph, OPTIONS, timing_cache=cache)
    except FacealignError as error:
        return f"{type(error).__name__}, {len(str(error).splitlines())} line"
    return "built, with a note" if built.notes else "built"


def test_the_calls_that_fail_are_all_there_are(graph: GraphToBuild, tmp_path: Path) -> None:
    double = TensorrtDouble("10.3")

    build_plan(double.module, HostDevice(), graph, OPTIONS, timing_cache=tmp_path / "cache")

    assert CALLS / 2 < len(double.calls) < CALLS


def test_words_of_tensorrt_are_in_the_error(graph: GraphToBuild) -> None:
    double = TensorrtDouble("10.3")
    build_plan(double.module, HostDevice(), graph, OPTIONS)
    at = double.calls.index("Builder.build_serialized_network")
    double.reset_calls(fail_at=at)

    with pytest.raises(
        BackendError, match=r"TensorRT 10\.3\.0 cannot build the plan: \[double\] Error Code: INT"
    ):
        build_plan(double.module, HostDevice(), graph, OPTIONS)


@pytest.mark.parametrize("error", [IndexError, OverflowError, MemoryError, AttributeError])
def test_whatever_the_bindings_raise_is_our_error(
    graph: GraphToBuild, error: type[Exception]
) -> None:
    def fail(*_: object) -> None:
        raise error("std::exception")

    double = TensorrtDouble("10.3")
    double.module.Builder.create_network = fail

    with pytest.raises(BackendError, match=rf"cannot build the plan: {error.__name__}: std::exc"):
        build_plan(double.module, HostDevice(), graph, OPTIONS)


def test_an_error_does_not_keep_what_tensorrt_made(graph: GraphToBuild) -> None:
    double = TensorrtDouble("10.3")
    double.refused = {"Gemm": "no kernel"}

    with pytest.raises(TargetError) as caught:
        build_plan(double.module, HostDevice(), graph, OPTIONS)

    assert double.objects_alive() == {}
    assert caught.value.__traceback__ is not None


def test_a_refused_profile_is_an_error(graph: GraphToBuild) -> None:
    double = TensorrtDouble("10.3")
    double.module.IBuilderConfig.add_optimization_profile = lambda *_: -1

    with pytest.raises(BackendError, match=r"TensorRT 10\.3\.0 cannot take the batch sizes"):
        build_plan(double.module, HostDevice(), graph, OPTIONS)


def test_a_device_that_fails_is_its_own_error(graph: GraphToBuild) -> None:
    class Device(HostDevice):
        def make_current(self) -> None:
            raise BackendError("cuCtxSetCurrent failed: CUDA_ERROR_UNKNOWN")

    with pytest.raises(BackendError, match="CUDA_ERROR_UNKNOWN"):
        build_plan(TensorrtDouble().module, Device(), graph, OPTIONS)


@pytest.mark.parametrize("version", ["10.3", "11.4"])
def test_progress_grows_from_0_to_1(version: str, graph: GraphToBuild) -> None:
    states: list[BuildState] = []
    double = _slow(TensorrtDouble(version), steps=4)

    build_plan(double.module, HostDevice(), graph, OPTIONS, on_progress=states.append)

    fractions = [state.fraction for state in states]
    assert fractions == sorted(fractions)
    assert 0 <= fractions[0] < fractions[-1] <= 1
    assert {state.phase for state in states} <= {
        "Building Engine",
        "Graph Optimization",
        "Tactic Selection",
    }


def _slow(double: TensorrtDouble, *, steps: int) -> TensorrtDouble:
    """Make every step of a build last long enough for the main thread to look."""
    from tests.doubles.tensorrt import building

    pause = threading.Event()

    def announce(monitor: object, _network: object) -> bool:
        monitor.phase_start("Building Engine", None, 2)  # type: ignore[attr-defined]
        for number, phase in enumerate(("Graph Optimization", "Tactic Selection")):
            monitor.phase_start(phase, "Building Engine", steps)  # type: ignore[attr-defined]
            for step in range(steps):
                pause.wait(0.06)
                if not monitor.step_complete(phase, step):  # type: ignore[attr-defined]
                    return False
            monitor.phase_finish(phase)  # type: ignore[attr-defined]
            monitor.step_complete("Building Engine", number)  # type: ignore[attr-defined]
        monitor.phase_finish("Building Engine")  # type: ignore[attr-defined]
        return True

    cls = double.module.Builder
    assert issubclass(cls, building.Builder)
    cls._announce = staticmethod(announce)
    return double


def test_what_the_callback_raises_cancels_the_build(graph: GraphToBuild, tmp_path: Path) -> None:
    double = _slow(TensorrtDouble("10.3"), steps=1000)

    def stop(_: BuildState) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build_plan(
            double.module,
            HostDevice(),
            graph,
            OPTIONS,
            timing_cache=tmp_path / "cache",
            on_progress=stop,
        )

    assert list(tmp_path.iterdir()) == []
    assert [thread.name for thread in threading.enumerate()].count("tensorrt-build") == 0


def test_a_cancelled_build_does_not_keep_what_tensorrt_made(graph: GraphToBuild) -> None:
    double = _slow(TensorrtDouble("10.3"), steps=1000)

    def stop(_: BuildState) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as caught:
        build_plan(double.module, HostDevice(), graph, OPTIONS, on_progress=stop)

    assert double.objects_alive() == {}
    assert caught.value.__traceback__ is not None


@pytest.fixture
def interrupt() -> Iterator[threading.Timer]:
    """Return what sends a Ctrl-C some time after its start."""
    main = threading.main_thread().ident or 0
    timer = threading.Timer(0.3, signal.pthread_kill, (main, signal.SIGINT))
    before = signal.signal(
        signal.SIGINT, signal.default_int_handler
    )  # a test of the CLI has its own
    yield timer
    timer.cancel()
    signal.signal(signal.SIGINT, before)


def test_ctrl_c_cancels_the_build(graph: GraphToBuild, interrupt: threading.Timer) -> None:
    double = _slow(TensorrtDouble("11.4"), steps=1000)
    interrupt.start()

    with pytest.raises(KeyboardInterrupt):
        build_plan(double.module, HostDevice(), graph, OPTIONS)

    assert [thread.name for thread in threading.enumerate()].count("tensorrt-build") == 0


@pytest.fixture
def cached(graph: GraphToBuild, tmp_path: Path) -> Path:
    """Return the timing cache of one build by 10.3."""
    path = tmp_path / "orin.timing"
    build_plan(TensorrtDouble("10.3").module, HostDevice(), graph, OPTIONS, timing_cache=path)
    return path


def test_the_timing_cache_grows_from_build_to_build(graph: GraphToBuild, cached: Path) -> None:
    first = cached.read_bytes()

    built = build_plan(
        TensorrtDouble("10.3").module, HostDevice(), graph, OPTIONS, timing_cache=cached
    )

    assert cached.read_bytes().startswith(first)
    assert len(cached.read_bytes()) > len(first)
    assert built.notes == ()


@pytest.mark.parametrize(
    ("version", "data"), [("11.4", None), ("10.3", b"broken")], ids=["another version", "broken"]
)
def test_a_timing_cache_of_no_use_is_left_alone_and_said(
    version: str, data: bytes | None, graph: GraphToBuild, cached: Path
) -> None:
    cached.write_bytes(data or cached.read_bytes())
    before = cached.read_bytes()

    built = build_plan(
        TensorrtDouble(version).module, HostDevice(), graph, OPTIONS, timing_cache=cached
    )

    assert cached.read_bytes() == before
    assert "was not used and not written. Delete it" in built.notes[0]


def test_a_timing_cache_that_cannot_be_written_does_not_cost_the_plan(
    graph: GraphToBuild, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()

    built = build_plan(
        TensorrtDouble().module,
        HostDevice(),
        graph,
        OPTIONS,
        timing_cache=tmp_path / "file" / "cache",
    )

    assert "was not written" in built.notes[0]
