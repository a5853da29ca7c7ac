"""NVIDIA's Python bindings, downloaded from the package registry, over libraries of our own stub.

They lie in a cache folder outside the repository, and are never committed: their licence does not
let them be passed on. The environment variable `FACEALIGN_TENSORRT_BINDINGS` moves the folder.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from tests.contract.api import Api, api_from_dump

__all__ = ["BindingsError", "at_hand", "fetch", "python_over_stub", "real_api"]

# cu12 and cu13 have the same API; cu12 reaches back to the 10.3 of JetPack 6.
_DISTRIBUTION = "tensorrt-cu12-bindings"
_RELEASES = {"10.3": "10.3.0", "10.13": "10.13.3.9", "10.16": "10.16.1.11", "11.4": "11.4.0.106"}
_LIBRARIES = ("nvinfer", "nvonnxparser", "nvinfer_plugin")
_HERE = Path(__file__).parent


class BindingsError(Exception):
    """The bindings of a version cannot be had here; the text says why."""


def cache_folder() -> Path:
    """Return where everything of this Python lies."""
    root = os.environ.get("FACEALIGN_TENSORRT_BINDINGS")
    home = Path(root) if root else Path.home() / ".cache" / "facealign" / "tensorrt-bindings"
    return home / f"cp{sys.version_info.major}{sys.version_info.minor}-{platform.machine()}"


def at_hand(version: str) -> Path | None:
    """Return the folder of a version that was fetched before."""
    folder = cache_folder() / _RELEASES[version]
    return folder if folder.is_dir() else None


def fetch(version: str) -> Path:
    """Return the folder of a version, downloaded if need be.

    Raises:
        BindingsError: If the registry or this machine has it not.
    """
    folder = at_hand(version)
    return folder if folder is not None else _download(version)


def real_api(version: str, folder: Path) -> Api:
    """Return what the bindings in a folder offer, read by another process.

    Raises:
        BindingsError: If they cannot be imported.
    """
    with tempfile.TemporaryDirectory() as scratch:
        out = Path(scratch) / "api.json"
        python_over_stub(version, "dump.py", str(out), str(folder))
        return api_from_dump(version, out.read_text("utf-8"))


def python_over_stub(version: str, script: str, *arguments: str) -> str:
    """Return what one of this folder's scripts printed, run where TensorRT is our stub.

    Raises:
        BindingsError: If it failed, or there is no C compiler.
    """
    environment = {**os.environ, "LD_LIBRARY_PATH": str(_stub(version.partition(".")[0]))}
    command = [sys.executable, "-W", "ignore", str(_HERE / script), *arguments]
    result = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    if result.returncode:
        raise BindingsError(f"{script} with {version}: {result.stderr.strip()[-2000:]}")
    return result.stdout


def _download(version: str) -> Path:
    target = cache_folder() / _RELEASES[version]
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
        wheel = _wheel(_RELEASES[version], Path(scratch))
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(Path(scratch) / "content")
        (Path(scratch) / "content").rename(target)  # whole, or not there
    return target


def _wheel(release: str, folder: Path) -> Path:
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary", ":all:"]
    command += ["--quiet", "--dest", str(folder), f"{_DISTRIBUTION}=={release}"]
    try:
        result = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    except subprocess.TimeoutExpired as error:
        raise BindingsError(f"the registry gave no {_DISTRIBUTION} {release} in 120 s") from error
    wheels = list(folder.glob("*.whl"))
    if result.returncode or not wheels:
        last = (result.stderr.strip().splitlines() or ["pip says nothing"])[-1]
        raise BindingsError(f"the registry gave no {_DISTRIBUTION} {release}: {last}")
    return wheels[0]


def _stub(major: str) -> Path:
    """Return the folder of the stub libraries of a major version, built if need be."""
    folder = cache_folder() / f"stub-{major}"
    source = _HERE / "stub.c"
    libraries = [folder / f"lib{name}.so.{major}" for name in _LIBRARIES]
    if all(p.is_file() and p.stat().st_mtime > source.stat().st_mtime for p in libraries):
        return folder
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        raise BindingsError("there is no C compiler for the stub of TensorRT's libraries")
    folder.mkdir(parents=True, exist_ok=True)
    for library in libraries:
        scratch = library.with_suffix(f".{os.getpid()}")
        command = [compiler, "-shared", "-fPIC", "-O1", "-o", str(scratch), str(source)]
        subprocess.run(command, check=True, capture_output=True, timeout=60)
        scratch.replace(library)
    return folder
