"""The command line as a user has it: real entry point, real files, a tiny SLPT."""

from __future__ import annotations

import pickle
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from facealign.cli.app import main
from facealign.cli.stopping import catch_signals
from facealign.models.families.slpt import FAMILY
from facealign.models.families.slpt.hyperparameters import SlptHyperparameters
from tests.conformance.tiny import tiny_checkpoint as checkpoint_of
from tests.conformance.tiny import tiny_detection

RunCli = Callable[..., tuple[int, str, str]]
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGPIPE)


@pytest.fixture
def run_cli(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> RunCli:
    """Return what runs ``facealign ARGUMENTS`` in this process: exit code, stdout, stderr."""

    def run(*arguments: str | Path) -> tuple[int, str, str]:
        kept = [(each, signal.getsignal(each)) for each in _SIGNALS]
        monkeypatch.setattr(sys, "argv", ["facealign", *map(str, arguments)])
        with pytest.raises(SystemExit) as stopped:
            main()
        catch_signals()  # forgets a signal that came
        for each, handler in kept:
            signal.signal(each, handler)
        captured = capsys.readouterr()
        return int(stopped.value.code or 0), captured.out, captured.err

    return run


@pytest.fixture(scope="session")
def command() -> tuple[str, ...]:
    """Return what runs ``facealign`` in a process of its own, before its arguments."""
    return (sys.executable, "-c", "from facealign.cli.app import main; main()")


@pytest.fixture(scope="session")
def mean_shape() -> NDArray[np.float32]:
    """Return a ring as ``(98, 2)`` mean shape."""
    angle = np.linspace(0, 2 * np.pi, 98, endpoint=False)
    ring = 0.5 + 0.3 * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return ring.astype(np.float32)


@pytest.fixture(scope="session")
def tiny_checkpoint(
    tmp_path_factory: pytest.TempPathFactory, mean_shape: NDArray[np.float32]
) -> Path:
    """Return a folder with ``tiny.pt``, an SLPT of seeded random weights, and its ``mean.npy``."""
    folder = tmp_path_factory.mktemp("checkpoint")
    with torch.random.fork_rng():
        torch.manual_seed(20)
        network = FAMILY.build_network(SlptHyperparameters.tiny(), {"mean-shape": mean_shape})
    torch.save(network.state_dict(), folder / "tiny.pt")
    np.save(folder / "mean.npy", mean_shape)
    return folder


@pytest.fixture(scope="session")
def tiny_sdfl(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with ``tiny.pt`` and its ``graph.npy``, traced four times as fast as SLPT.

    INT8 takes two thirds of its work.
    """
    name = "sdfl/l-grl-vgg-bn"
    folder = tmp_path_factory.mktemp("sdfl")
    detection = tiny_detection(name)
    assets = detection.family.made_up_assets(detection.hyperparameters)
    torch.save(dict(checkpoint_of(name).state_dict), folder / "tiny.pt")
    np.save(folder / "graph.npy", assets["graph"])
    return folder


@pytest.fixture(scope="session")
def exported(
    command: tuple[str, ...], tiny_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """Return the folder in which ``tiny.pt`` was exported with default names, and the process."""
    folder = tmp_path_factory.mktemp("exported")
    arguments = (tiny_checkpoint / "tiny.pt", f"--asset=mean-shape={tiny_checkpoint}/mean.npy")
    process = subprocess.run(
        [*command, "export", *arguments, "--set=heads=4", "--json"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    return folder, process


@pytest.fixture
def workspace(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    tiny_checkpoint: Path,
    tiny_bundle: Path,
    frame: NDArray[np.uint8],
) -> Path:
    """Return the working folder, full of what a user may pass: good, broken and hostile files."""
    folder = tmp_path / "workspace"
    folder.mkdir()
    monkeypatch.chdir(folder)
    _write_checkpoints(folder, tiny_checkpoint)
    tiny_bundle.rename(folder / "good.bundle")
    _write_images(folder, frame)
    (folder / "text.onnx").write_text("hello")
    for name in ("empty", "occupied", "mixed"):
        (folder / name).mkdir()
    (folder / "occupied" / "thesis.tex").write_text("precious")
    (folder / "mixed" / "a.png").write_bytes((folder / "face.png").read_bytes())
    (folder / "mixed" / "b.png").write_text("hello")
    (folder / "mixed" / "c.png").write_bytes((folder / "face.png").read_bytes()[:2000])
    return folder


@pytest.fixture
def corrupt_bundle(workspace: Path) -> Path:
    """Return a bundle of which one byte is not as written."""
    graph = workspace / "good.bundle" / "model.fp32.onnx"
    data = bytearray(graph.read_bytes())
    data[len(data) // 2] ^= 1
    graph.write_bytes(data)
    return (workspace / "good.bundle").rename(workspace / "corrupt.bundle")


def _write_checkpoints(folder: Path, tiny: Path) -> None:
    for name in ("tiny.pt", "mean.npy"):
        (folder / name).write_bytes((tiny / name).read_bytes())
    state_dict = torch.load(tiny / "tiny.pt", weights_only=True)
    nan = {**state_dict, "out_layer.weight": state_dict["out_layer.weight"] * float("nan")}
    lacking = {key: value for key, value in state_dict.items() if key != "out_layer.bias"}
    torch.save(nan, folder / "nan.pt")
    torch.save(lacking, folder / "lacking.pt")
    torch.save({"conv.weight": torch.ones(2)}, folder / "unknown.pt")
    torch.save(torch.ones(2), folder / "tensor.pt")
    (folder / "text.pt").write_text("hello")
    (folder / "empty.pt").touch()
    (folder / "evil.pt").write_bytes(pickle.dumps(_Evil(), protocol=2))
    np.save(folder / "short.npy", np.zeros((68, 2)))


def _write_images(folder: Path, frame: NDArray[np.uint8]) -> None:
    cv2.imwrite(str(folder / "face.png"), frame)
    (folder / "text.png").write_text("hello")
    (folder / "empty.png").touch()


class _Evil:
    def __reduce__(self) -> tuple[Callable[..., object], tuple[str]]:
        return print, ("run by a checkpoint",)
