"""How long does it take from a checkpoint to a verified bundle, and on which stage?

    python benchmarks/export_speed.py [--models NAME ...] [--rounds 1]

Full size, recipe weights, FP32, each export in a process of its own, as a user starts it; the
models take turns. What is in no stage is Python, the import of torch and onnx, and the end. Seconds
of the clock, and of the processor for the whole; medians over rounds. Whether every published
checkpoint works at all is another question: export_every_model.py. Writes
results/export_speed.json.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "examples"))

import make_checkpoint
from networks import MODELS
from result_file import provenance, result_of, write_result

__all__ = ["StageTimes"]

_CHILD = "--in-this-process"


class StageTimes:
    """A `Progress` that notes how long each stage took, and shows nothing.

    Attributes:
        seconds: By stage, in order.
    """

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[_QuietStage]:
        """Enter a stage."""
        started = time.perf_counter()
        yield _QuietStage()
        self.seconds[name] = time.perf_counter() - started


class _QuietStage:
    def say(self, text: str) -> None:
        pass

    def advance(self, done: int, *, total: int) -> None:
        pass


def main() -> None:
    """Measure, print a line per export, write the result."""
    if sys.argv[1:2] == [_CHILD]:
        print(json.dumps(_export_here(Path(sys.argv[2]), tuple(sys.argv[3:]))))
        return
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--models", nargs="+", default=MODELS, metavar="NAME")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    where = provenance(threads=options.threads)
    rounds: dict[str, list[dict[str, Any]]] = {name: [] for name in options.models}
    for _ in range(options.rounds):
        for name in options.models:
            rounds[name].append(_export(name, options.threads))
            print(name, rounds[name][-1], flush=True)
    figures = {name: _medians(runs) for name, runs in rounds.items()}
    settings = {"rounds": options.rounds}
    result = result_of(__doc__, where, settings=settings, figures=figures)
    print(write_result("export_speed", result))


def _export(name: str, threads: int) -> dict[str, Any]:
    """Return seconds of one export in a new process: by stage, in none, in all.

    Raises:
        RuntimeError: If it fails.
    """
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = Path(folder) / "model.pt"
        make_checkpoint.main([str(checkpoint), "--model", name])
        assets = make_checkpoint.asset_arguments(name, Path(folder))
        started = time.perf_counter()
        run = subprocess.run(  # noqa: S603  # our own command
            [sys.executable, __file__, _CHILD, str(checkpoint), *assets],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "OMP_NUM_THREADS": str(threads)},
        )
        total = time.perf_counter() - started
    if run.returncode:
        raise RuntimeError(f"the export of {name} failed: {run.stderr.strip()}")
    child = json.loads(run.stdout)
    in_stages = sum(child["stages"].values())
    return {
        "total_s": total,
        "processor_s": child["processor_s"],
        "stages_s": {**child["stages"], "none": total - in_stages},
    }


def _export_here(checkpoint: Path, assets: tuple[str, ...]) -> dict[str, Any]:
    from facealign.pipeline.compile import CompileRequest, compile_checkpoint

    times = StageTimes()
    folder = checkpoint.with_name("model.bundle")
    compile_checkpoint(CompileRequest(checkpoint, folder, assets=assets), times)
    return {"stages": times.seconds, "processor_s": time.process_time()}


def _medians(runs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    return {
        **{each: _median(run[each] for run in runs) for each in ("total_s", "processor_s")},
        "stages_s": {
            stage: _median(run["stages_s"][stage] for run in runs) for stage in runs[0]["stages_s"]
        },
    }


def _median(values: Iterable[float]) -> float:
    return round(float(np.median(list(values))), 2)


if __name__ == "__main__":
    main()
