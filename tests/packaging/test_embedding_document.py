"""docs/embedding.md: its links, and every command and program in it that can run without a GPU."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from facealign.bundle import read_bundle
from facealign.runtime.tensorrt import build_bundle, open_plan
from facealign.runtime.tensorrt.build_options import BuildOptions
from tests.doubles.host_device import HostDevice
from tests.doubles.tensorrt import TensorrtDouble

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT = ROOT / "docs" / "embedding.md"
TEXT = DOCUMENT.read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(\w*)\n(.*?)```", TEXT, re.DOTALL)
COMMANDS = [
    line.partition("#")[0].split()
    for kind, block in BLOCKS
    if not kind
    for line in block.splitlines()
]
PROGRAMS = [block for kind, block in BLOCKS if kind == "python"]
# What needs a GPU, a server or a compiler, and so was not run here.
NEEDS_MORE = (["facealign", "build"], ["cmake"], ["./build/landmarks"], ["tritonserver"])
RUNNABLE = [
    command
    for command in COMMANDS
    if not any(command[: len(start)] == start for start in NEEDS_MORE)
]
FACEALIGN = [sys.executable, "-c", "from facealign.cli.app import main; main()"]


@pytest.fixture
def workspace(tiny_bundle: Path) -> Path:
    """Return a folder with what the document assumes: demo.bundle, photo.jpg and video.avi."""
    folder = tiny_bundle.parent / "workspace"
    folder.mkdir()
    tiny_bundle.rename(folder / "demo.bundle")
    frame = np.random.default_rng(20).integers(0, 256, (400, 400, 3), dtype=np.uint8)
    cv2.imwrite(str(folder / "photo.jpg"), frame)
    writer = cv2.VideoWriter(
        str(folder / "video.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 25, (400, 400)
    )
    for _ in range(3):
        writer.write(frame)
    writer.release()
    return folder


def test_document_links_to_files_that_exist() -> None:
    targets = re.findall(r"\]\(([^)#\s]+)\)", TEXT)

    assert targets
    assert [target for target in targets if not (DOCUMENT.parent / target).exists()] == []


def test_document_has_commands_that_run_here() -> None:
    assert [command[:2] for command in RUNNABLE] == [
        ["python", "examples/embed/landmarks_app.py"],
        ["facealign", "serve-config"],
        ["facealign", "serve-config"],
    ]


@pytest.mark.parametrize("command", RUNNABLE, ids=" ".join)
def test_command_of_the_document_runs(command: list[str], workspace: Path) -> None:
    starts = {"facealign": FACEALIGN, "python": [sys.executable]}
    arguments = [str(ROOT / word) if word.startswith("examples/") else word for word in command[1:]]

    done = subprocess.run(
        [*starts[command[0]], *arguments],
        cwd=workspace,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout


def test_program_of_the_document_runs(workspace: Path) -> None:
    program = PROGRAMS[0]

    done = subprocess.run(
        [sys.executable, "-c", program], cwd=workspace, capture_output=True, text=True, check=False
    )

    assert (done.returncode, done.stdout) == (0, "(2, 98, 2)\n")


def test_program_on_a_plan_runs_on_doubles_of_tensorrt_and_cuda(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = HostDevice()
    monkeypatch.chdir(workspace)
    monkeypatch.setenv("XDG_CACHE_HOME", str(workspace))
    monkeypatch.delenv("FACEALIGN_PLAN_KEY", raising=False)
    monkeypatch.setitem(sys.modules, "tensorrt", TensorrtDouble("10.3", device).module)
    monkeypatch.setattr(build_bundle, "open_device", lambda: device)
    monkeypatch.setattr(open_plan, "open_device", lambda: device)
    bundle = read_bundle("demo.bundle")
    with build_bundle.open_builder(bundle, BuildOptions(max_batch=4)) as builder:
        built = builder.build("fp32").path
    for ending in ("", ".json"):
        Path(f"{built}{ending}").rename(f"demo.bundle/engines/orin-trt10.3.0-fp16.plan{ending}")
    golden = bundle.golden()
    names: dict[str, object] = {"crops": golden.crops}

    exec(PROGRAMS[1], names)  # noqa: S102  # the document's own text

    np.testing.assert_allclose(np.asarray(names["landmarks"]), golden.landmarks, atol=1e-4)


def test_commands_of_the_document_are_ours_by_name() -> None:
    names = {command[1] for command in COMMANDS if command[0] == "facealign"}

    helped = subprocess.run([*FACEALIGN, "--help"], capture_output=True, text=True, check=False)

    assert names == {
        name for name in names if re.search(rf"^\s+{name}\s", helped.stdout, re.MULTILINE)
    }
