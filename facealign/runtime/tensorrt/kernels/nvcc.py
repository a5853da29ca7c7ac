"""nvcc, where a machine has no NVRTC but the compiler for developers."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from facealign.errors import BackendError

__all__ = ["compile_by_nvcc", "find_nvcc"]

_LONGEST_S = 300


def find_nvcc() -> str | None:
    """Return the path of nvcc, on PATH or in CUDA_HOME; None if there is none."""
    roots = [os.environ.get(name) for name in ("CUDA_HOME", "CUDA_PATH")]
    folders = [str(Path(root) / "bin") for root in (*roots, "/usr/local/cuda") if root]
    return shutil.which("nvcc") or shutil.which("nvcc", path=os.pathsep.join(folders))


def compile_by_nvcc(nvcc: str, source: str, *, compute_capability: tuple[int, int]) -> bytes:
    """Return a CUBIN for a device.

    Args:
        nvcc: Its path.
        source: CUDA C, with its kernels `extern "C"`.
        compute_capability: Of the device, such as ``(8, 7)``.

    Raises:
        BackendError: If it does not compile, with the first error of the log and all of it in
            `items`.
    """
    architecture = f"sm_{compute_capability[0]}{compute_capability[1]}"
    with tempfile.TemporaryDirectory(prefix="facealign-") as folder:
        written, made = Path(folder) / "kernels.cu", Path(folder) / "kernels.cubin"
        written.write_text(source, encoding="utf-8")
        flags = ["-cubin", f"-arch={architecture}", "-std=c++17"]
        command = [nvcc, *flags, "-o", str(made), str(written)]
        try:
            done = subprocess.run(  # noqa: S603  # the user's own compiler, our own source
                command, capture_output=True, text=True, check=False, timeout=_LONGEST_S
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise BackendError(f"`{nvcc}` cannot be run: {error}; install NVRTC instead") from error
        if done.returncode:
            log = (done.stderr or done.stdout).splitlines()
            first = next((line for line in log if "error" in line), f"exit {done.returncode}")
            raise BackendError(f"`{nvcc}` for {architecture} failed: {first}", items=log)
        return made.read_bytes()
