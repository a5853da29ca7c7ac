"""The commands in a process of their own: what they import, and how they end."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest

COMPILER = ("torch", "onnx", "onnx_ir", "onnxscript", "onnxsim", "safetensors")
# What comes with the compiler or the tests, and may be leant on by mistake.
BESIDES = ("ml_dtypes", "scipy", "skimage", "PIL", "sympy", "networkx", "jinja2", "pytest")
MAIN = "from facealign.cli.app import main; main()"
DEVICE = f"""
import sys
sys.modules.update(dict.fromkeys({COMPILER + BESIDES}))  # None: cannot be imported
{MAIN}
"""
NO_ENGINE = f"""
import sys
sys.modules["onnxruntime"] = None
{MAIN}
"""
LIMITED = f"""
import resource
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))  # bytes: as good as a full disk
{MAIN}
"""
LOADED = """
import json, sys
import facealign.cli.app
print(json.dumps(sorted(name for name in sys.modules if "." not in name)))
"""


def run_python(source: str, arguments: Sequence[str], cwd: Path) -> tuple[int, str, str]:
    done = subprocess.run(
        [sys.executable, "-c", source, *arguments],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


@pytest.fixture
def workspace(tiny_bundle: Path) -> Path:
    """Return a folder with a bundle, ``bundle``, and an image, ``face.png``, of noise."""
    folder = tiny_bundle.parent / "workspace"
    folder.mkdir()
    tiny_bundle.rename(folder / "bundle")
    noise = np.random.default_rng(20).integers(0, 256, (80, 80, 3), dtype=np.uint8)
    cv2.imwrite(str(folder / "face.png"), noise)
    return folder


def test_import_of_the_cli_loads_no_compiler_and_no_engine(tmp_path: Path) -> None:
    _, stdout, _ = run_python(LOADED, [], tmp_path)

    assert not {*COMPILER, "onnxruntime"} & set(json.loads(stdout))


@pytest.mark.parametrize(
    "arguments",
    ["--help", "inspect bundle", "verify bundle", "run bundle face.png --box 9,9,50,50"],
    ids=["help", "inspect", "verify", "run"],
)
def test_command_works_on_a_device_without_the_compiler(workspace: Path, arguments: str) -> None:
    code, stdout, stderr = run_python(DEVICE, arguments.split(), workspace)

    assert (code, "error" in stderr) == (0, False)
    assert stdout


@pytest.mark.parametrize(
    "arguments",
    [
        "export some.pt",
        "inspect some.pt",
        "inspect bundle/model.fp32.onnx",
        "verify bundle --checkpoint some.pt",
    ],
    ids=["export", "inspect_checkpoint", "inspect_graph", "verify_checkpoint"],
)
def test_missing_compiler_gives_exit_code_7_and_what_to_install(
    workspace: Path, arguments: str
) -> None:
    code, stdout, stderr = run_python(DEVICE, arguments.split(), workspace)

    assert (code, stdout) == (7, "")
    assert re.fullmatch(
        rf"error: this command needs `({'|'.join(COMPILER)})`, which is not installed; "
        r'install it with `pip install "facealign\[compile\]"`',
        stderr.splitlines()[-1],
    )


def test_missing_engine_gives_exit_code_7_and_what_to_install(workspace: Path) -> None:
    code, stdout, stderr = run_python(NO_ENGINE, ["run", "bundle", "face.png"], workspace)

    assert (code, stdout) == (7, "")
    assert re.fullmatch(r'error: the engine .*`pip install "facealign\[ort\]"`\n', stderr)


def test_full_disk_leaves_no_result_of_run(workspace: Path) -> None:
    before = sorted(workspace.rglob("*"))

    code, stdout, stderr = run_python(LIMITED, ["run", "bundle", "face.png"], workspace)

    assert (code, stdout) == (2, "")
    assert re.fullmatch(
        r"error: cannot write `face\.landmarks\.json`: File too large; .*\n", stderr
    )
    assert sorted(workspace.rglob("*")) == before


@pytest.mark.parametrize("option", [[], ["--json"]], ids=["text", "json"])
def test_stdout_on_a_full_disk_is_one_error_line(workspace: Path, option: list[str]) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-c", MAIN, "inspect", "bundle", *option],
            cwd=workspace,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )

    assert done.returncode == 2
    assert re.fullmatch(r"error: cannot write the result to stdout: No space .*\n", done.stderr)


def test_closed_pipe_ends_in_silence(workspace: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", MAIN, "inspect", "bundle"],
        cwd=workspace,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()  # as `head` does, before anything is written
        stderr = process.stderr.read()

    assert (process.returncode, stderr) == (-signal.SIGPIPE, b"")


def test_file_name_that_is_no_text_goes_out_as_its_bytes(workspace: Path) -> None:
    name = b"\xff.png"
    (workspace / "face.png").rename(workspace / name.decode(errors="surrogateescape"))

    done = subprocess.run(
        [sys.executable, "-c", MAIN, "run", "bundle", name],
        cwd=workspace,
        capture_output=True,
        check=True,
    )

    assert done.stdout == b"\xff.landmarks.json\n"


def test_log_of_the_library_is_a_warning_line(tmp_path: Path) -> None:
    source = MAIN.replace("main()", "import facealign.cli.app as app; app._prepare_process()")
    log = "import logging; logging.getLogger('facealign').warning('took %s', 'raw')"

    _, _, stderr = run_python(f"{source}; {log}", [], tmp_path)

    assert stderr == "warning: took raw\n"
