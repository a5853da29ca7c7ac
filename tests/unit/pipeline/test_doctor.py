"""The diagnosis: proofs and facts joined to verdicts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from facealign.bundle import read_bundle
from facealign.machine.system import read_system
from facealign.pipeline import doctor
from facealign.pipeline.doctor import Diagnosis, Finding, diagnose
from facealign.pipeline.doctor_remedy import read_situation
from facealign.pipeline.probes import CUDA_PROBES
from facealign.pipeline.proving import Proof
from tests.unit.machine.machines import write_files, write_jetson, write_pc

Say = Callable[[dict[str, str | None]], list[tuple[str, ...]]]


@pytest.fixture
def proofs(monkeypatch: pytest.MonkeyPatch) -> Say:
    """Return what sets the proofs by name: None passes, a text fails; others are not installed."""
    asked: list[tuple[str, ...]] = []

    def say(texts: dict[str, str | None]) -> list[tuple[str, ...]]:
        def prove(probes: list[tuple[str, ...]], **_: object) -> dict[str, Proof]:
            asked.extend(probes)
            return {
                name: Proof(name, passed=text is None, text=text or "1.0", seconds=0.1)
                for name, text in texts.items()
            }

        monkeypatch.setattr(doctor, "prove_all", prove)
        return asked

    return say


def engine(found: Diagnosis, name: str) -> Finding:
    return next(each for each in found.engines if each.name == name)


def test_an_engine_that_was_proved_is_ok(tmp_path: Path, proofs: Say) -> None:
    proofs({"onnxruntime": None})

    found = diagnose(root=write_pc(tmp_path))

    assert engine(found, "onnxruntime") == Finding("onnxruntime", "ok", "1.0")
    assert found.has_engine


def test_an_engine_that_fails_is_broken_and_has_a_fix(tmp_path: Path, proofs: Say) -> None:
    proofs({"onnxruntime": "the process died of SIGSEGV"})

    found = diagnose(root=write_pc(tmp_path))

    assert engine(found, "onnxruntime") == Finding(
        "onnxruntime",
        "broken",
        "the process died of SIGSEGV",
        "pip install --force-reinstall onnxruntime",
    )
    assert not found.has_engine


def test_an_engine_that_was_not_there_to_prove_is_missing(tmp_path: Path, proofs: Say) -> None:
    proofs({})

    found = diagnose(root=write_pc(tmp_path))

    assert engine(found, "tensorrt") == Finding(
        "tensorrt", "missing", "not installed", 'pip install "facealign[trt]"'
    )


def test_what_gave_no_answer_is_not_to_be_installed_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    late = Proof("torch", passed=False, text="no answer in 30 s", seconds=30, is_late=True)
    monkeypatch.setattr(doctor, "prove_all", lambda *_, **__: {"torch": late})

    found = diagnose(root=write_pc(tmp_path)).workstation

    assert next(each for each in found if each.name == "torch") == Finding(
        "torch",
        "broken",
        "no answer in 30 s; if this machine was busy, ask again when it is not",
    )


def test_an_engine_that_a_bundle_does_not_fit_is_not_to_be_installed_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unfit = Proof("openvino", passed=False, text="it works, and", seconds=1, is_unfit=True)
    monkeypatch.setattr(doctor, "prove_all", lambda *_, **__: {"openvino": unfit})

    found = diagnose(root=write_pc(tmp_path))

    assert engine(found, "openvino") == Finding("openvino", "broken", "it works, and")


def test_a_driver_that_is_too_old_is_the_reason(tmp_path: Path, proofs: Say) -> None:
    proofs({"tensorrt": "`cuInit` failed"})

    found = engine(diagnose(root=write_pc(tmp_path, driver="470.82.01")), "tensorrt")

    assert found.text.startswith("NVIDIA's driver 470.82.01 is too old: it runs CUDA 11")
    assert found.fix == "sudo ubuntu-drivers install"


def test_without_a_gpu_nothing_of_cuda_is_tried(tmp_path: Path, proofs: Say) -> None:
    asked = proofs({})

    found = diagnose(root=write_files(tmp_path, {"etc/os-release": ""}))

    assert not {"tensorrt", *CUDA_PROBES} & {name for name, *_ in asked}
    assert {each.text for each in found.cuda} == {"this machine has no NVIDIA GPU"}


def test_on_a_jetson_driver_and_nvrtc_are_tried(tmp_path: Path, proofs: Say) -> None:
    asked = proofs({})

    found = diagnose(root=write_jetson(tmp_path, "6.2"))

    assert {("cuda by ctypes",), ("nvrtc",)} <= set(asked)
    assert "jetpack-6.2" in {target.name for target in found.targets}
    assert found.machine["jetpack"].startswith("6.2 ")


def test_engines_are_proved_on_the_bundle(tmp_path: Path, tiny_bundle: Path, proofs: Say) -> None:
    asked = proofs({})

    found = diagnose(read_bundle(tiny_bundle), root=write_pc(tmp_path / "root"))

    assert ("onnxruntime", str(tiny_bundle)) in asked
    assert found.needs is not None
    assert [graph.precision for graph in found.needs.graphs] == ["fp32"]


def test_half_a_library_is_tried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: str) -> None:
        raise ValueError("no __spec__")

    monkeypatch.setattr("importlib.util.find_spec", broken)

    assert doctor._is_there("onnxruntime", read_situation(read_system(tmp_path), tmp_path))
