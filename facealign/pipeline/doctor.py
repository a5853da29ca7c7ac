"""What this machine is, which engines work on it, and what would mend those that do not."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from facealign.bundle import Bundle
from facealign.machine import machine_facts
from facealign.machine.files import ROOT
from facealign.machine.libraries import tensorrt_version
from facealign.machine.memory import free_disk_bytes, read_memory
from facealign.machine.packages import installed_versions
from facealign.machine.system import read_system
from facealign.pipeline.bundle_needs import BundleNeeds, bundle_needs
from facealign.pipeline.doctor_remedy import (
    Situation,
    driver_problem,
    read_situation,
    remedy,
    why_not_here,
)
from facealign.pipeline.doctor_target import machine_targets
from facealign.pipeline.probes import CUDA_PROBES, LIBRARY_PROBES
from facealign.pipeline.progress import SILENT, Progress, Stage
from facealign.pipeline.proving import DEADLINE_S, Proof, prove_all
from facealign.runtime.engine import engine_names
from facealign.targets import Target

__all__ = ["DOCTOR_STAGES", "Diagnosis", "Finding", "Verdict", "diagnose"]

DOCTOR_STAGES = ("machine", "prove", "bundle")
Verdict = Literal["ok", "missing", "broken"]
_MODULES = {"cuda by pycuda": "pycuda"}
_NO_MODULE = ("cuda by ctypes", "nvrtc")  # libraries of the system: asked for by a probe


@dataclass(frozen=True, slots=True)
class Finding:
    """What is so of one engine, part or library.

    Attributes:
        name: Its.
        verdict: ``ok`` is proved by use, not by its being installed.
        text: What was shown, or in one line what is wrong.
        fix: One command that mends it here; None where it is ok or there is none.
    """

    name: str
    verdict: Verdict
    text: str
    fix: str | None = None


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """Everything that was found.

    Attributes:
        machine: Facts for people, by name.
        targets: Of ``facealign lint``, that this machine is.
        engines: Every one that the runtime knows.
        cuda: What the engine ``tensorrt`` is made of; it can do without pycuda and NVRTC.
        workstation: What compiles bundles and reports on them; a device needs none of it.
        needs: Of the bundle, if one was given.
    """

    machine: Mapping[str, str]
    targets: tuple[Target, ...]
    engines: tuple[Finding, ...]
    cuda: tuple[Finding, ...]
    workstation: tuple[Finding, ...]
    needs: BundleNeeds | None

    @property
    def has_engine(self) -> bool:
        """Return whether at least one engine works."""
        return any(finding.verdict == "ok" for finding in self.engines)


def diagnose(
    bundle: Bundle | None = None,
    *,
    progress: Progress = SILENT,
    root: Path = ROOT,
    deadline_s: float = DEADLINE_S,
) -> Diagnosis:
    """Return what this machine is and what works on it.

    Args:
        bundle: To prove engines on its golden crops, and to say what it needs; the engines are
            proved on a probe of our own if None.
        progress: Told about `DOCTOR_STAGES`; the last is left out without a bundle.
        root: Where the system's files are; engines are always this machine's own.
        deadline_s: What one proof may take.
    """
    with progress.stage("machine") as stage:
        facts = machine_facts(root)
        here = read_situation(read_system(root), root)
        targets = _targets(here, root)
        stage.say(", ".join(target.name for target in targets))
    with progress.stage("prove") as stage:
        proofs = _proofs(_probes(bundle, here), stage, deadline_s=deadline_s)
        stage.say(f"{sum(each.passed for each in proofs.values())} of {len(proofs)} work")
    needs = None
    if bundle is not None:
        with progress.stage("bundle"):
            needs = _needs(bundle, here, root)
    finding = _finder(proofs, here)
    return Diagnosis(
        machine=facts,
        targets=targets,
        engines=tuple(finding(name) for name in engine_names()),
        cuda=tuple(finding(name) for name in CUDA_PROBES),
        workstation=tuple(finding(name) for name in sorted(LIBRARY_PROBES)),
        needs=needs,
    )


def _targets(here: Situation, root: Path) -> tuple[Target, ...]:
    return machine_targets(
        here.jetson,
        tensorrt=_tensorrt_version(here, root),
        has_onnxruntime="onnxruntime" in installed_versions(("onnxruntime",)),
    )


def _proofs(
    probes: Sequence[tuple[str, ...]], stage: Stage, *, deadline_s: float
) -> dict[str, Proof]:
    def done(_: Proof) -> None:
        stage.advance(1, total=len(probes))

    return prove_all(probes, deadline_s=deadline_s, done=done)


def _tensorrt_version(here: Situation, root: Path) -> str | None:
    """Return what is installed: a wheel's version comes before the system's."""
    wheels = installed_versions(("tensorrt", "tensorrt-cu13", "tensorrt-cu12"))
    found = next(iter(wheels.values()), None) or tensorrt_version(root)
    return found or (here.jetson.tensorrt if here.jetson else None)


def _probes(bundle: Bundle | None, here: Situation) -> list[tuple[str, ...]]:
    """Return what is there to be proved, that which takes longest first."""
    folder = () if bundle is None else (str(bundle.folder.absolute()),)
    engines = [(name, *folder) for name in engine_names()]
    others = [(name,) for name in (*LIBRARY_PROBES, *CUDA_PROBES)]
    return [probe for probe in (*engines, *others) if _is_there(probe[0], here)]


def _is_there(name: str, here: Situation) -> bool:
    if why_not_here(name, here) is not None:
        return False
    if name in _NO_MODULE:
        return True
    try:
        return importlib.util.find_spec(_MODULES.get(name, name)) is not None
    except (ImportError, ValueError):  # half of it is there: importing it will say what is wrong
        return True


def _finder(proofs: Mapping[str, Proof], here: Situation) -> Callable[[str], Finding]:
    def finding(name: str) -> Finding:
        proof = proofs.get(name)
        if proof is not None and proof.passed:
            return Finding(name, "ok", proof.text)
        # What may be sound is not to be installed anew: the machine is busy, or the bundle unfit.
        is_late = proof is not None and proof.is_late
        is_sound = is_late or (proof is not None and proof.is_unfit)
        fix = None if is_sound else remedy(name, is_missing=proof is None, here=here)
        driver = driver_problem(here) if name in {"tensorrt", *CUDA_PROBES} else None
        if proof is None:
            why = why_not_here(name, here) or driver or "not installed"
            return Finding(name, "missing", why, fix)
        text = f"{driver}; {proof.text}" if driver else proof.text
        text += "; if this machine was busy, ask again when it is not" if is_late else ""
        return Finding(name, "broken", text, fix)

    return finding


def _needs(bundle: Bundle, here: Situation, root: Path) -> BundleNeeds:
    cards = here.gpus.cards
    own = min((card.memory_bytes for card in cards if card.memory_bytes), default=None)
    usable = read_memory(root).usable_bytes
    known = [each for each in (usable, own) if each is not None]
    return bundle_needs(
        bundle,
        is_jetson=here.jetson is not None,
        has_gpu=here.jetson is not None or here.gpus.has_nvidia,
        memory_bytes=min(known, default=None),
        disk_bytes=free_disk_bytes(bundle.folder),
    )
