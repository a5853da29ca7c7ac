"""Is every published checkpoint recognised without a flag, exported, and the same in pixels?

    python benchmarks/export_every_model.py [--models NAME ...]

Full size, recipe weights, through ``facealign export`` in a process of its own per model, as a user
would; side files are the recipe's. Writes results/export_every_model.json.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "examples"))

import make_checkpoint
from result_file import provenance, result_of, write_result

_FACEALIGN = "from facealign.cli.app import main; main()"


def main() -> None:
    """Export one after the other, print a line for each, write the result."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--models", nargs="+", default=make_checkpoint.model_names())
    options = parser.parse_args()
    rows = {}
    where = provenance(threads=torch.get_num_threads())  # a new process has as many
    for name in options.models:
        with tempfile.TemporaryDirectory() as folder:
            rows[name] = _export(name, Path(folder))
        print(name, rows[name], flush=True)
        result = result_of(__doc__, where, settings={}, figures=rows)
        write_result("export_every_model", result)


def _export(name: str, folder: Path) -> dict[str, object]:
    make_checkpoint.main([str(folder / "model.pt"), "--model", name])
    assets = [f"--asset={each}" for each in make_checkpoint.asset_arguments(name, folder)]
    command = [sys.executable, "-c", _FACEALIGN, "export", str(folder / "model.pt"), *assets]
    started = time.perf_counter()
    run = subprocess.run(  # noqa: S603  # our own command
        [*command, "-o", str(folder / "bundle"), "--json"],
        capture_output=True,
        text=True,
        check=False,
    )
    seconds = round(time.perf_counter() - started, 1)
    if run.returncode:
        return {"exit_code": run.returncode, "error": run.stderr.strip().splitlines()[-1:]}
    return {"exit_code": 0, "seconds": seconds, **_facts(json.loads(run.stdout)["manifest"])}


def _facts(manifest: dict[str, Any]) -> dict[str, object]:
    graph = manifest["graphs"]["fp32"]
    return {
        "family": manifest["family"],
        "title": manifest["title"],
        "nodes": graph["node_count"],
        "parameters": graph["parameter_count"],
        "max_px": graph["parity"]["max_px"],
        "p99_px": graph["parity"]["p99_px"],
        "undecided": graph["parity"]["undecided_count"],
    }


if __name__ == "__main__":
    main()
