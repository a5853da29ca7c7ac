"""Everything about a machine, in words."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from facealign.machine import machine_facts
from facealign.machine.facts import size_text
from tests.unit.machine.machines import (
    JETSONS,
    write_container,
    write_garbage,
    write_jetson,
    write_pc,
)

LOADED = """
import json, sys
from facealign.machine import machine_facts
machine_facts()
print(json.dumps(sorted({name.partition(".")[0] for name in sys.modules})))
"""


@pytest.mark.parametrize("jetpack", JETSONS)
def test_machine_facts_of_a_jetson(tmp_path: Path, jetpack: str) -> None:
    facts = machine_facts(write_jetson(tmp_path, jetpack))

    assert facts["jetpack"].startswith(f"{jetpack} (")
    assert facts["tensorrt"] == JETSONS[jetpack].nvinfer
    assert facts["cuda"] == JETSONS[jetpack].cuda
    assert facts["power mode"] == "2 (MAXN_SUPER)"
    assert facts["memory"] == "6.0 GiB available, 7.4 GiB in all"


def test_machine_facts_of_a_pc_have_no_jetson(tmp_path: Path) -> None:
    facts = machine_facts(write_pc(tmp_path))

    assert (facts["gpu"], facts["driver"]) == ("NVIDIA RTX A4000", "580.95.05")
    assert not {"l4t", "jetpack", "board", "power mode"} & set(facts)


def test_machine_facts_of_a_container_tell_its_limits(tmp_path: Path) -> None:
    facts = machine_facts(write_container(tmp_path))

    assert facts["cores"] == "2 of 2, its control group allows 1"
    assert facts["memory"].endswith("2.0 GiB allowed by the control group")
    assert facts["l4t"] == "36.4.3, from the package nvidia-l4t-core"


def test_machine_facts_say_that_a_release_is_unknown(tmp_path: Path) -> None:
    facts = machine_facts(write_garbage(tmp_path))

    assert facts["l4t"] == "unknown"
    assert facts["jetpack"].startswith("unknown: ")


def test_machine_facts_of_a_machine_without_files_are_what_this_process_knows(
    tmp_path: Path,
) -> None:
    assert {"cores", "kernel", "python", "packages"} <= set(machine_facts(tmp_path))


def test_machine_facts_import_no_library() -> None:
    done = subprocess.run([sys.executable, "-c", LOADED], capture_output=True, check=True)

    assert not {"numpy", "cv2", "onnxruntime", "torch", "msgspec"} & set(json.loads(done.stdout))


@pytest.mark.parametrize(
    ("size_bytes", "text"),
    [(2**34, "16.0 GiB"), (12 * 2**20, "12 MiB"), (3 * 2**19, "1.5 MiB")],
)
def test_sizes_read_to_people(size_bytes: int, text: str) -> None:
    assert size_text(size_bytes) == text
