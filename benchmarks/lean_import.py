"""What does importing the runtime cost, beyond numpy and OpenCV?

    python benchmarks/lean_import.py [--rounds 10]

Every import in a process of its own, where what it is compared with is imported already; the kinds
take turns. Seconds of the processor and of the clock; the processor's are what another process on
the machine hardly changes, and the fastest of all rounds counts. Bar: 0.15 s for
``facealign.runtime`` beyond numpy and cv2. Writes results/lean_import.json.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence

import numpy as np
from result_file import provenance, result_of, write_result

__all__ = ["SUBJECTS", "import_cost"]

BAR_S = 0.15
_PLAN = (
    "import facealign.runtime.tensorrt.engine, facealign.runtime.tensorrt.open_plan",
    "import facealign.runtime.tensorrt.device, facealign.runtime.tensorrt.kernels",
)
SUBJECTS: Mapping[str, tuple[str, str]] = {
    "numpy and cv2": ("", "import numpy, cv2"),
    "facealign.runtime": ("import numpy, cv2", "import facealign.runtime"),
    "open_session": ("import numpy, cv2", "from facealign.runtime import open_session"),
    "its engine on ONNX Runtime": (
        "import numpy, cv2, onnxruntime",
        "from facealign.runtime import open_session; import facealign.runtime.ort_engine",
    ),
    "facealign.runtime.tensorrt": ("import numpy", "import facealign.runtime.tensorrt"),
    "all that runs a plan": ("import numpy", "; ".join(_PLAN)),
}
"""What is imported before, and what is timed, by name."""

_TIMED = """
import json, sys, time
{before}
wall, processor, known = time.perf_counter(), time.process_time(), set(sys.modules)
{timed}
print(json.dumps({{
    "wall_s": time.perf_counter() - wall,
    "cpu_s": time.process_time() - processor,
    "modules": len(set(sys.modules) - known),
}}))
"""


def main() -> None:
    """Measure, print a line per import, write the result."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=10)
    options = parser.parse_args()
    where = provenance(threads=1)
    import_all()  # writes the byte code, and fills the cache of files
    rounds = [import_all() for _ in range(options.rounds)]
    figures = {name: _summary([each[name] for each in rounds]) for name in SUBJECTS}
    for name, row in figures.items():
        print(name, row)
    settings = {"rounds": options.rounds, "bar_s": BAR_S}
    result = result_of(__doc__, where, settings=settings, figures=figures)
    print(write_result("lean_import", result))


def import_all() -> dict[str, dict[str, float]]:
    """Return what each import cost, one after the other."""
    return {name: import_cost(before, timed) for name, (before, timed) in SUBJECTS.items()}


def import_cost(before: str, timed: str) -> dict[str, float]:
    """Return seconds of clock and processor that statements take in a new process.

    Args:
        before: Statements that are run first.
        timed: Statements that are timed; ``modules`` counts what they import.
    """
    source = _TIMED.format(before=before, timed=timed)
    run = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=True)  # noqa: S603  # our own source
    cost: dict[str, float] = json.loads(run.stdout)
    return cost


def _summary(costs: Sequence[Mapping[str, float]]) -> dict[str, float]:
    clocks = {clock: np.array([cost[clock] for cost in costs]) for clock in ("cpu_s", "wall_s")}
    return {
        **{f"least_{clock}": round(float(each.min()), 4) for clock, each in clocks.items()},
        **{f"median_{clock}": round(float(np.median(each)), 4) for clock, each in clocks.items()},
        "modules": costs[0]["modules"],
    }


if __name__ == "__main__":
    main()
