"""A tiny checkpoint all the way to landmarks, in processes that can be stopped."""

from __future__ import annotations

import json
import re
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

RunCli = Callable[..., tuple[int, str, str]]
Exported = tuple[Path, subprocess.CompletedProcess[str]]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(300),  # 15 s for a trace of any size
]
STAGES = ("read", "detect", "load", "trace", "simplify", "verify", "write")
LIMITED = """
import resource
from facealign.cli.app import main
resource.setrlimit(resource.RLIMIT_FSIZE, ({bytes}, {bytes}))
main()
"""


def test_export_writes_a_bundle_named_after_its_checkpoint(exported: Exported) -> None:
    folder, process = exported

    result = json.loads(process.stdout)
    assert process.returncode == result["code"] == 0
    assert [path.name for path in folder.iterdir()] == ["tiny.bundle"]
    assert Path(result["bundle"]) == folder / "tiny.bundle"
    assert result["manifest"]["options"] == {"heads": "4"}
    assert result["manifest"]["graphs"]["fp32"]["parity"]["max_px"] <= 0.01
    assert result["operators"]["GridSample"] == 3


def test_export_shows_every_stage_in_one_line(exported: Exported) -> None:
    _, process = exported

    lines = process.stderr.splitlines()
    expected = [
        rf"\[{i}/7\] {name:<8}  [ \d]+\.\d s  ok       \S.*" for i, name in enumerate(STAGES, 1)
    ]
    assert len(lines) == len(expected)
    assert all(map(re.fullmatch, expected, lines))


def test_exported_bundle_runs(exported: Exported, run_cli: RunCli, workspace: Path) -> None:
    folder, _ = exported

    code, stdout, _ = run_cli("run", folder / "tiny.bundle", "face.png", "--box", "30,20,60,70")

    assert code == 0
    assert json.loads((workspace / stdout.strip()).read_text())["faces"]


def test_exported_bundle_verifies_with_its_checkpoint(
    exported: Exported, command: tuple[str, ...], tiny_checkpoint: Path
) -> None:
    folder, _ = exported
    arguments = ("verify", "tiny.bundle", f"--checkpoint={tiny_checkpoint}/tiny.pt", "--json")

    done = subprocess.run(
        [*command, *arguments], cwd=folder, capture_output=True, text=True, check=True
    )

    result = json.loads(done.stdout)
    assert result["is_same_checkpoint"]
    assert result["parity"]["fp32"]["max_px"] <= result["parity"]["fp32"]["bar_px"]


@pytest.mark.parametrize(
    ("number", "code", "last_line"),
    [
        (signal.SIGINT, 130, r"error: interrupted; nothing is half-written"),
        (signal.SIGTERM, 143, r"error: terminated; nothing is half-written"),
    ],
    ids=["ctrl_c", "sigterm"],
)
def test_export_leaves_nothing_when_it_is_stopped(
    command: tuple[str, ...],
    tiny_checkpoint: Path,
    tmp_path: Path,
    number: signal.Signals,
    code: int,
    last_line: str,
) -> None:
    arguments = (tiny_checkpoint / "tiny.pt", f"--asset=mean-shape={tiny_checkpoint}/mean.npy")
    with subprocess.Popen(
        [*command, "export", *arguments, "--set=heads=4"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        begun = [process.stderr.readline() for _ in STAGES[:3]]

        process.send_signal(number)
        stdout, stderr = process.communicate()

    assert begun[-1].startswith("[3/7] load")
    assert (process.returncode, stdout) == (code, "")
    assert re.fullmatch(rf"(\[4/7\] trace .* stopped\n)?{last_line}\n", stderr)
    assert not list(tmp_path.iterdir())


def test_export_leaves_nothing_on_a_full_disk(
    command: tuple[str, ...], tiny_sdfl: Path, tmp_path: Path
) -> None:
    arguments = (tiny_sdfl / "tiny.pt", f"--asset=graph={tiny_sdfl}/graph.npy")
    limited = LIMITED.format(bytes=30_000)  # the graph has more than three times that

    done = subprocess.run(
        [*command[:2], limited, "export", *arguments],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    failed, error = done.stderr.splitlines()[-2:]
    assert (done.returncode, done.stdout) == (2, "")
    assert re.fullmatch(r"\[7/7\] write .* FAILED", failed)
    assert re.fullmatch(r"error: cannot write the bundle `.*`: File too large; .*", error)
    assert not list(tmp_path.iterdir())
