"""``facealign device-test`` on doubles of TensorRT and CUDA: nothing here ran on a GPU."""

from __future__ import annotations

import json
import math
import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from facealign.errors import BackendError
from facealign.runtime.tensorrt import build_bundle, device_test, device_test_crop
from tests.doubles.host_device import HostDevice
from tests.doubles.tensorrt import TensorrtDouble

RunCli = Callable[..., tuple[int, str, str]]
NAMES = [
    "crop kernel",
    "fp32: plan",
    "fp32: golden",
    "fp32: graphs",
    "fp32: latency",
    "fp32: memory",
]


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> HostDevice:
    """Return what the command opens; the crop kernel has tests of its own."""
    device = HostDevice()
    monkeypatch.setattr(build_bundle, "open_device", lambda: device)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("FACEALIGN_PLAN_KEY", raising=False)
    monkeypatch.setattr(device_test_crop, "check_crop_kernel", lambda *_: ("0 off", {}))
    monkeypatch.setitem(sys.modules, "tensorrt", TensorrtDouble("10.3", device).module)
    monkeypatch.chdir(tmp_path)
    return device


def report(path: str = "device-test.json") -> dict[str, object]:
    found: dict[str, object] = json.loads(Path(path).read_text())
    return found


@pytest.mark.usefixtures("device")
def test_every_check_passes_and_is_in_the_report(run_cli: RunCli, tiny_bundle: Path) -> None:
    code, stdout, _ = run_cli("device-test", tiny_bundle, "--runs", "5")

    found = report()
    assert (code, found["passed"]) == (0, True)
    assert [check["name"] for check in found["checks"]] == NAMES  # type: ignore[attr-defined]  # JSON
    assert found["machine"]["gpu"] == "host double"  # type: ignore[index]  # likewise
    assert found["made"]["facealign"]  # type: ignore[index]  # likewise
    figures = {check["name"]: check["figures"] for check in found["checks"]}  # type: ignore[attr-defined]  # likewise
    assert figures["fp32: golden"]["max_px"] <= figures["fp32: golden"]["allowed_px"]
    assert figures["fp32: graphs"]["replay_px"] == 0
    latency = figures["fp32: latency"]
    assert 0 < latency["batch_1_p50_ms"] <= latency["batch_1_p99_ms"]
    assert {"batch_4_p50_ms", "batch_4_p99_ms"} <= set(latency)
    assert len(re.findall(r"ok      ", stdout)) == len(NAMES)


@pytest.mark.usefixtures("device")
def test_json_is_the_report(run_cli: RunCli, tiny_bundle: Path) -> None:
    _, stdout, _ = run_cli("device-test", tiny_bundle, "--runs=1", "-o", "x.json", "--json")

    assert json.loads(stdout) == {"code": 0, "report": "x.json", **report("x.json")}


@pytest.mark.usefixtures("device")
def test_a_plan_with_other_options_is_tested_and_not_replaced(
    run_cli: RunCli, tiny_bundle: Path
) -> None:
    run_cli("build", tiny_bundle, "--level=5", "--max-batch=2")
    before = {path: path.read_bytes() for path in (tiny_bundle / "engines").iterdir()}

    code, stdout, _ = run_cli("device-test", tiny_bundle, "--runs=1")

    assert code == 0
    assert "was built before" in stdout
    assert "batch 2: p50" in stdout
    (plan,) = (each for each in report()["checks"] if each["name"] == "fp32: plan")  # type: ignore[attr-defined]  # JSON
    assert (plan["figures"]["level"], plan["figures"]["max_batch"]) == (5, 2)
    assert {path: path.read_bytes() for path in (tiny_bundle / "engines").iterdir()} == before


def test_a_device_without_capture_fails_one_check_and_the_others_run(
    run_cli: RunCli, tiny_bundle: Path, device: HostDevice
) -> None:
    device.can_capture = False

    code, stdout, stderr = run_cli("device-test", tiny_bundle, "--runs=1")

    failed = [check["name"] for check in report()["checks"] if not check["passed"]]  # type: ignore[attr-defined]  # JSON
    assert (code, failed) == (4, ["fp32: graphs"])
    assert "error: 1 of 6 checks failed on this device: fp32: graphs; `device-test.json`" in stderr
    assert "FAILED  CUDA captures no graph of a batch of [1, 4]" in stdout


@pytest.mark.usefixtures("device")
@pytest.mark.parametrize("offset", [0.01, math.nan])
def test_a_replay_that_gives_other_landmarks_fails(
    run_cli: RunCli, tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch, offset: float
) -> None:
    monkeypatch.setattr(device_test, "_distance", lambda *_: offset)

    code, stdout, _ = run_cli("device-test", tiny_bundle, "--runs=1")

    assert code == 4
    assert re.search(r"FAILED  a replayed graph gives landmarks (0\.1600|nan) px away", stdout)


@pytest.mark.usefixtures("device")
def test_a_changed_plan_is_reported_and_left_for_a_look(run_cli: RunCli, tiny_bundle: Path) -> None:
    run_cli("build", tiny_bundle)
    (plan,) = (tiny_bundle / "engines").glob("*.plan")
    plan.write_bytes(b"?" + plan.read_bytes()[1:])

    code, _, stderr = run_cli("device-test", tiny_bundle, "--runs=1")

    assert code == 4
    assert "fp32: plan: `" in stderr
    assert "is not what its sidecar was written for" in stderr
    assert plan.read_bytes().startswith(b"?")


@pytest.mark.usefixtures("device")
def test_a_kernel_that_does_not_compile_fails_its_check_only(
    run_cli: RunCli, tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise BackendError("there is neither NVRTC nor nvcc")

    monkeypatch.setattr(device_test_crop, "check_crop_kernel", refuse)

    code, _, stderr = run_cli("device-test", tiny_bundle, "--runs=1", "--json")

    assert code == 4
    assert "1 of 6 checks failed on this device: crop kernel" in stderr


@pytest.mark.usefixtures("device")
def test_without_tensorrt_one_line_says_what_to_install(
    run_cli: RunCli, tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tensorrt", None)

    code, stdout, stderr = run_cli("device-test", tiny_bundle)

    assert (code, stdout) == (7, "")
    assert re.fullmatch(r"error: TensorRT is not installed; .*\n", stderr)
    assert not Path("device-test.json").exists()
