"""``facealign build`` on doubles of TensorRT and CUDA: nothing here ran on a GPU."""

from __future__ import annotations

import json
import os
import re
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import numpy as np
import pytest

from facealign.bundle import Golden, Manifest, files_from_golden, read_bundle, write_bundle
from facealign.runtime.tensorrt import build_bundle, bundle_engine
from facealign.runtime.tensorrt.bundle_engine import open_engine
from facealign.runtime.tensorrt.device import open_device
from facealign.runtime.tensorrt.plan import read_record
from tests.doubles.host_device import HostDevice
from tests.doubles.tensorrt import TensorrtDouble

RunCli = Callable[..., tuple[int, str, str]]
PLAN = "host-double-trt10.3.0-{}.plan"


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> HostDevice:
    """Return what `facealign build` opens."""
    device = HostDevice()
    monkeypatch.setattr(build_bundle, "open_device", lambda: device)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("FACEALIGN_PLAN_KEY", raising=False)
    return device


@pytest.fixture
def double(device: HostDevice, monkeypatch: pytest.MonkeyPatch) -> TensorrtDouble:
    double = TensorrtDouble("10.3", device)
    monkeypatch.setitem(sys.modules, "tensorrt", double.module)
    return double


@pytest.fixture
def bundle(tmp_path: Path, tiny_manifest: Manifest, tiny_files: dict[str, bytes]) -> Path:
    """Return a bundle with one graph under four names."""
    names = ("fp32", "fp16", "int8", "int8-cpu")
    graphs = dict.fromkeys(names, tiny_manifest.graphs["fp32"])
    manifest = msgspec.structs.replace(tiny_manifest, graphs=graphs)
    return write_bundle(tmp_path / "all.bundle", manifest, tiny_files)


def plans(bundle: Path) -> list[str]:
    """Return the names of all files in `engines`, hidden ones too."""
    folder = bundle / "engines"
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


@pytest.mark.usefixtures("double")
def test_build_makes_a_plan_of_every_precision_for_tensorrt(run_cli: RunCli, bundle: Path) -> None:
    code, stdout, stderr = run_cli("build", bundle)

    names = [PLAN.format(name) for name in ("fp16", "fp32", "int8")]
    assert code == 0
    assert plans(bundle) == sorted([*names, *(f"{name}.json" for name in names)])
    assert "TensorRT 10.3.0, CUDA driver 12.6" in stdout
    built = (
        r"built in \d+\.\d s, 0\.0\d+ px of 0\.01 allowed, 0\.0 MiB, engines/host-double-\S+\.plan"
    )
    assert len(re.findall(built, stdout)) == 3
    stages = re.findall(r"^\[[123]/3\] \w+ .* ok       built and tested$", stderr, re.MULTILINE)
    assert len(stages) == 3
    assert "--engine tensorrt --precision" in stderr


def test_a_second_build_takes_what_is_there(
    run_cli: RunCli, bundle: Path, double: TensorrtDouble
) -> None:
    run_cli("build", bundle)
    double.reset_calls()

    code, stdout, _ = run_cli("build", bundle)

    assert code == 0
    assert stdout.count("was there, ") == 3
    assert double.calls == []


@pytest.mark.usefixtures("double")
def test_force_builds_again(run_cli: RunCli, bundle: Path) -> None:
    run_cli("build", bundle, "--precision", "fp32")

    _, stdout, _ = run_cli("build", bundle, "--precision", "fp32,int8", "--force")

    assert stdout.count("built in ") == 2


@pytest.mark.usefixtures("double")
def test_json_has_everything_a_script_needs(run_cli: RunCli, bundle: Path) -> None:
    code, stdout, _ = run_cli("build", bundle, "--precision=fp32", "--level=1", "--json")

    result = json.loads(stdout)
    record = read_record(bundle / "engines" / PLAN.format("fp32"))
    assert (code, result["code"]) == (0, 0)
    assert result["machine"]["gpu"] == "host double"
    assert (result["options"]["level"], result["options"]["max_batch"]) == (1, 4)
    plan = result["plans"]["fp32"]
    assert plan["path"] == str(bundle / "engines" / PLAN.format("fp32"))
    assert plan["cache_key"] == record.cache_key
    assert plan["self_test"]["crop_count"] == 3


@pytest.mark.usefixtures("double")
def test_an_engine_runs_the_plan(
    run_cli: RunCli, bundle: Path, tiny_golden: Golden, device: HostDevice
) -> None:
    run_cli("build", bundle, "--precision=fp16")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bundle_engine, "open_device", lambda: device)
        engine = open_engine(read_bundle(bundle), precision="fp16", threads=None)

    found = engine.run(tiny_golden.crops)["landmarks"]

    engine.close()
    np.testing.assert_allclose(found, tiny_golden.landmarks, rtol=0, atol=1e-4)


@pytest.mark.usefixtures("device")
def test_without_tensorrt_one_line_says_what_to_install(
    run_cli: RunCli, bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tensorrt", None)

    code, stdout, stderr = run_cli("build", bundle)

    assert (code, stdout) == (7, "")
    assert re.fullmatch(
        r'error: TensorRT is not installed; .*`pip install "facealign\[t.*\n', stderr
    )
    assert plans(bundle) == []


def test_without_a_driver_one_line_says_what_to_install(
    run_cli: RunCli, bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tensorrt", TensorrtDouble("10.3").module)
    monkeypatch.setattr(
        build_bundle, "open_device", lambda: open_device(library="/absent/libcuda.so.1")
    )

    code, stdout, stderr = run_cli("build", bundle)

    assert (code, stdout) == (7, "")
    assert stderr.startswith("error: ")
    assert stderr.count("\n") == 1


def test_a_refused_node_is_named_and_the_code_is_6(
    run_cli: RunCli, bundle: Path, double: TensorrtDouble
) -> None:
    double.refused = {"Gemm": "no kernel"}

    code, _, stderr = run_cli("build", bundle, "--precision=fp32")

    assert code == 6
    assert re.search(
        r"^error: TensorRT 10\.3\.0 does not take the graph: node .*Gemm", stderr, re.MULTILINE
    )
    assert plans(bundle) == []


@pytest.mark.usefixtures("double")
def test_a_plan_that_is_wrong_is_deleted_and_the_code_is_4(
    run_cli: RunCli, tmp_path: Path, tiny_manifest: Manifest, tiny_golden: Golden, tiny_graph: bytes
) -> None:
    golden = Golden(
        tiny_golden.frame, tiny_golden.boxes, tiny_golden.crops, tiny_golden.landmarks + 0.1
    )
    files = {"model.fp32.onnx": tiny_graph, **files_from_golden(golden, tiny_manifest.golden)}
    folder = write_bundle(tmp_path / "wrong.bundle", tiny_manifest, files)

    code, _, stderr = run_cli("build", folder)

    assert code == 4
    assert "the fp32 plan fails its self-test and was deleted: landmark" in stderr
    assert plans(folder) == []


def test_a_changed_graph_is_refused_and_the_code_is_8(
    run_cli: RunCli, bundle: Path, double: TensorrtDouble
) -> None:
    graph = bundle / "model.fp32.onnx"
    graph.write_bytes(graph.read_bytes()[:-1] + b"?")

    code, _, _ = run_cli("build", bundle)

    assert (code, double.calls) == (8, [])


@pytest.mark.usefixtures("double")
def test_a_full_disk_is_one_line_and_no_plan(
    run_cli: RunCli, bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)

    code, _, stderr = run_cli("build", bundle, "--precision=fp32")

    assert code == 2
    assert "No space left on device; no plan was written. Make room" in stderr
    assert plans(bundle) == []


@pytest.mark.usefixtures("double")
def test_weak_typing_is_said_aloud(run_cli: RunCli, bundle: Path) -> None:
    code, stdout, stderr = run_cli("build", bundle, "--precision=fp32", "--weakly-typed")

    assert code == 0
    assert "s, weakly typed, 0." in stdout
    assert "note: fp32: weakly typed: TensorRT chose types on its own" in stderr
    assert read_record(bundle / "engines" / PLAN.format("fp32")).options.weakly_typed


@pytest.mark.parametrize(
    ("option", "is_allowed"), [("--version-compatible", True), ("--level=3", False)]
)
def test_only_a_version_compatible_plan_may_run_code_on_the_host(
    run_cli: RunCli, bundle: Path, double: TensorrtDouble, option: str, is_allowed: bool
) -> None:
    code, _, _ = run_cli("build", bundle, "--precision=fp32", option)

    assert code == 0
    assert ("Runtime.engine_host_code_allowed=" in double.calls) is is_allowed


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--max-batch=9"], 2, "meant for at most 4 faces a run, got 9"),
        (["--opt-batch=3", "--max-batch=2"], 2, "from 1 to `max_batch` 2, got 3"),
        (["--precision=int8-cpu"], 2, "no 'int8-cpu' graph for TensorRT"),
        (["--level=6"], 2, "--level"),
        (["--key=/absent"], 2, "cannot read the plan key `/absent`"),
    ],
)
def test_a_bad_option_is_one_line(
    run_cli: RunCli, bundle: Path, arguments: list[str], code: int, message: str
) -> None:
    found, _, stderr = run_cli("build", bundle, *arguments)

    assert found == code
    assert message in stderr
    assert stderr.count("\n") == 1


@pytest.fixture
def interrupt() -> Iterator[Callable[[], None]]:
    """Return what sends a Ctrl-C to this process soon."""
    main = threading.main_thread().ident or 0
    timer = threading.Timer(0.5, signal.pthread_kill, (main, signal.SIGINT))
    yield timer.start
    timer.cancel()


def test_ctrl_c_stops_tensorrt_and_leaves_nothing(
    run_cli: RunCli, bundle: Path, double: TensorrtDouble, interrupt: Callable[[], None]
) -> None:
    steps: list[bool] = []

    def announce(monitor: object, _network: object) -> bool:
        interrupt()
        monitor.phase_start("Building Engine", None, 1000)  # type: ignore[attr-defined]
        for step in range(1000):
            threading.Event().wait(0.02)
            steps.append(monitor.step_complete("Building Engine", step))  # type: ignore[attr-defined]
            if not steps[-1]:
                return False
        return True

    double.module.Builder._announce = staticmethod(announce)

    code, _, stderr = run_cli("build", bundle, "--precision=fp32")

    assert code == 130
    assert "error: interrupted; nothing is half-written" in stderr
    assert steps[-1] is False
    assert len(steps) < 1000
    assert plans(bundle) == []
