"""``facealign doctor`` as a user runs it."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path

import pytest

from facealign.bundle import read_bundle
from facealign.cli.doctor import _need_rows
from facealign.pipeline import doctor as pipeline_doctor
from facealign.pipeline.bundle_needs import bundle_needs
from facealign.pipeline.proving import Proof
from tests.unit.cli.conftest import RunCli

ESTIMATES = ("sizes", "to build plans", "build time")
FEW = ("jinja2",)  # to import torch and onnxsim takes seconds


@pytest.fixture(autouse=True)
def _few_libraries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline_doctor, "LIBRARY_PROBES", FEW)


@pytest.fixture
def nothing_works(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(probes: Sequence[tuple[str, ...]], **_: object) -> dict[str, Proof]:
        return {
            name: Proof(name, passed=False, text="the process died of SIGSEGV", seconds=1.0)
            for name, *_ in probes
        }

    monkeypatch.setattr(pipeline_doctor, "prove_all", fail)


def test_doctor_proves_an_engine_without_a_bundle(run_cli: RunCli) -> None:
    code, out, err = run_cli("doctor")

    assert code == 0
    assert "golden crops of a probe, fp32: 0.0000 px off" in out
    assert [line.split()[0] for line in out.splitlines() if not line.startswith(" ")][:3] == [
        "machine",
        "lint",
        "engines",
    ]
    assert "[2/2] prove" in err


def test_doctor_proves_engines_on_the_bundle_and_says_what_it_needs(
    run_cli: RunCli, tiny_bundle: Path
) -> None:
    code, out, _ = run_cli("doctor", tiny_bundle)

    assert code == 0
    assert f"golden crops of {tiny_bundle.name}, fp32" in out
    assert "estimate, not measured" in out


def test_needs_of_a_build_are_ranges_and_said_to_be_estimates(tiny_bundle: Path) -> None:
    needs = bundle_needs(
        read_bundle(tiny_bundle), is_jetson=True, has_gpu=True, memory_bytes=2**20, disk_bytes=None
    )

    rows = dict(_need_rows(needs))

    assert re.search(r", plan built in \d+ \w+ to \d+ \w+ \(a guess\)$", rows["fp32"])
    assert {rows[name].split(", from ")[0].split("; ")[-1] for name in ESTIMATES} == {
        "estimate, not measured"
    }
    assert "two public logs alone" in rows["build time"]
    assert rows["too little"].startswith("memory to ")


def test_doctor_prints_one_json_object(run_cli: RunCli, tiny_bundle: Path) -> None:
    code, out, _ = run_cli("doctor", tiny_bundle, "--json")

    found = json.loads(out)
    verdicts = {each["name"]: each["verdict"] for each in found["engines"]}
    assert (code, found["code"]) == (0, 0)
    assert verdicts["onnxruntime"] == "ok"
    assert found["targets"][-1] == "onnxruntime"
    assert [each["name"] for each in found["workstation"]] == list(FEW)
    assert found["bundle"]["label"] == "estimate, not measured"


@pytest.mark.usefixtures("nothing_works")
def test_doctor_exits_with_7_when_no_engine_works(run_cli: RunCli) -> None:
    code, out, err = run_cli("doctor")

    assert code == 7
    assert "BROKEN   the process died of SIGSEGV" in out
    assert "error: no engine works here (" in err
    assert "run `pip install --force-reinstall onnxruntime`" in err


@pytest.mark.usefixtures("nothing_works")
def test_doctor_says_so_in_json_when_no_engine_works(run_cli: RunCli) -> None:
    code, out, _ = run_cli("doctor", "--json")

    found = json.loads(out)
    assert (code, found["code"]) == (7, 7)
    assert found["error"].startswith("no engine works here")


def test_doctor_refuses_a_corrupt_bundle(run_cli: RunCli, corrupt_bundle: Path) -> None:
    code, out, err = run_cli("doctor", corrupt_bundle)

    assert (code, out) == (8, "")
    assert err.startswith("error: ")


def test_doctor_refuses_what_is_no_bundle(run_cli: RunCli, tmp_path: Path) -> None:
    code, _, err = run_cli("doctor", tmp_path / "nowhere")

    assert code == 2
    assert "Traceback" not in err
