"""``facealign device-test``: one command that shows whether a bundle runs on this device."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from facealign.bundle import Bundle, read_bundle
from facealign.cli.build import KeyOption, machine_text
from facealign.cli.console import ConsoleProgress, print_facts, print_json
from facealign.cli.options import BundleArgument, JsonOption
from facealign.cli.output_files import check_writable, write_files
from facealign.errors import SelfTestError
from facealign.runtime.tensorrt.build_options import BuildOptions
from facealign.runtime.tensorrt.plan_key import key_from_file

if TYPE_CHECKING:
    from facealign.runtime.tensorrt.build_bundle import PlanBuilder
    from facealign.runtime.tensorrt.device_test import Check

__all__ = ["device_test"]

_REPORT_VERSION = 1


def device_test(
    bundle: BundleArgument,
    precision: Annotated[
        str | None,
        typer.Option(
            metavar="NAME,...", help="Precisions to test.", show_default="all for TensorRT"
        ),
    ] = None,
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="FILE", help="Where the report goes.")
    ] = Path("device-test.json"),
    runs: Annotated[
        int, typer.Option(metavar="N", min=1, help="Runs that are timed, of each batch.")
    ] = 200,
    key: KeyOption = None,
    *,
    as_json: JsonOption = False,
) -> None:
    """Test a bundle on this device, and write a report.

    Cuts faces on the GPU and compares them with the CPU's, builds the plans that are missing,
    compares golden landmarks, replays CUDA graphs, and measures latency and memory. A check that
    fails does not stop the others; the exit code is 4 then. The report says where it was made, so
    please attach it to what you report.
    """
    from facealign.runtime.tensorrt.build_bundle import open_builder, plan_precisions

    opened = read_bundle(bundle)
    names = [name.strip() for name in precision.split(",")] if precision else []
    precisions = plan_precisions(opened, names)
    options = BuildOptions(max_batch=opened.manifest.max_batch)
    with open_builder(opened, options, key=key_from_file(key)) as builder:
        check_writable(output)
        checks = _run_all(builder, precisions, run_count=runs)
        report = _report(builder, opened, checks)
        machine = machine_text(builder.machine)
    write_files({output: (json.dumps(report, indent=2) + "\n").encode()})
    failed = [check.name for check in checks if not check.passed]
    if as_json and not failed:
        print_json({"code": 0, "report": str(output), **report})
    if not as_json:
        rows = {each.name: f"{_verdict(each)}  {each.text}" for each in checks}
        print_facts({"report": str(output), "machine": machine, "checks": rows})
    if failed:
        raise SelfTestError(
            f"{len(failed)} of {len(checks)} checks failed on this device: {', '.join(failed)}; "
            f"`{output}` has the whole report",
            items=[f"{check.name}: {check.text}" for check in checks if not check.passed],
        )


def _verdict(check: Check) -> str:
    return "ok    " if check.passed else "FAILED"


def _run_all(
    builder: PlanBuilder, precisions: tuple[str, ...], *, run_count: int
) -> tuple[Check, ...]:
    from facealign.runtime.tensorrt.device_test import check_precision, run_check
    from facealign.runtime.tensorrt.device_test_crop import check_crop_kernel

    def crop() -> Iterator[Check]:
        yield run_check("crop kernel", lambda: check_crop_kernel(builder.bundle, builder.device))

    stages = {
        "crop": crop(),
        **{name: check_precision(builder, name, run_count=run_count) for name in precisions},
    }
    progress = ConsoleProgress(stages=tuple(stages))
    done: list[Check] = []
    for name, checks in stages.items():
        with progress.stage(name) as stage:
            found = list(checks)
            passed = sum(check.passed for check in found)
            stage.say(f"{passed} of {len(found)} checks passed")
        done += found
    return tuple(done)


def _report(builder: PlanBuilder, bundle: Bundle, checks: tuple[Check, ...]) -> dict[str, object]:
    from facealign.runtime.tensorrt.device_facts import device_facts

    manifest = bundle.manifest
    return {
        "version": _REPORT_VERSION,
        "passed": all(check.passed for check in checks),
        "bundle": {
            "family": manifest.family,
            "title": manifest.title,
            "checkpoint_sha256": manifest.checkpoint.sha256,
            "facealign": manifest.facealign_version,
            "graphs": {
                name: manifest.files[graph.file].sha256 for name, graph in manifest.graphs.items()
            },
        },
        "machine": asdict(builder.machine),
        "options": asdict(builder.options),
        "made": device_facts(builder.device),
        "checks": [asdict(check) for check in checks],
    }
