"""``facealign build``: TensorRT plans of a bundle, on the device that will run them."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from facealign.bundle import Bundle, read_bundle
from facealign.cli.console import ConsoleProgress, print_facts, print_json, say
from facealign.cli.options import BundleArgument, JsonOption
from facealign.errors import UsageError
from facealign.pipeline.progress import Stage
from facealign.runtime.tensorrt.build_options import BuildOptions
from facealign.runtime.tensorrt.plan_key import KEY_VARIABLE, key_from_file

if TYPE_CHECKING:
    from facealign.runtime.tensorrt.build_bundle import BundlePlan, PlanBuilder
    from facealign.runtime.tensorrt.build_log import BuildState
    from facealign.runtime.tensorrt.plan_machine import Machine

__all__ = ["KeyOption", "build", "machine_text"]

_MIB = 2**20
_UNITS = 1000  # of the bar

KeyOption = Annotated[
    Path | None,
    typer.Option(
        "--key",
        metavar="FILE",
        help="Key that plans are signed with; then only such plans are loaded.",
        show_default=f"what {KEY_VARIABLE} names, or no signature",
    ),
]


def build(  # noqa: PLR0913, PLR0917  # typer makes an option of each
    bundle: BundleArgument,
    precision: Annotated[
        str | None,
        typer.Option(
            metavar="NAME,...", help="Precisions to build.", show_default="all for TensorRT"
        ),
    ] = None,
    max_batch: Annotated[
        int | None,
        typer.Option(
            metavar="N", min=1, help="Most faces of one run.", show_default="the bundle's"
        ),
    ] = None,
    opt_batch: Annotated[
        int, typer.Option(metavar="N", min=1, help="Faces that kernels are chosen for.")
    ] = 1,
    workspace_mib: Annotated[
        int, typer.Option(metavar="MIB", min=1, help="Most scratch memory of a kernel.")
    ] = 1024,
    level: Annotated[
        int, typer.Option(metavar="0-5", min=0, max=5, help="5 searches longest for fast kernels.")
    ] = 3,
    timing_cache: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Measured times of kernels, of one device and one TensorRT.",
            show_default="this user's, below ~/.cache/facealign",
        ),
    ] = None,
    key: KeyOption = None,
    *,
    tf32: Annotated[
        bool, typer.Option("--tf32", help="Let FP32 products round to 10 bits of mantissa.")
    ] = False,
    version_compatible: Annotated[
        bool,
        typer.Option(
            "--version-compatible",
            help="Let a later TensorRT run the plan, which then holds a runtime of its own.",
        ),
    ] = False,
    hardware_compatible: Annotated[
        bool,
        typer.Option(
            "--hardware-compatible", help="Let other GPUs from Ampere on run the plan, slower."
        ),
    ] = False,
    weakly_typed: Annotated[
        bool,
        typer.Option(
            "--weakly-typed",
            help="Let TensorRT 8.6 or 10 choose types on its own; only the self-test judges that.",
        ),
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Build also what the bundle has already.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Build TensorRT plans of a bundle for this device.

    Each plan must give the golden landmarks of the bundle, or it is deleted. Plans are native code
    for this GPU, TensorRT and driver: build them where they run, and take none from strangers.
    """
    from facealign.runtime.tensorrt.build_bundle import open_builder, plan_precisions

    opened = read_bundle(bundle)
    names = [name.strip() for name in precision.split(",")] if precision else []
    precisions = plan_precisions(opened, names)
    options = BuildOptions(
        max_batch=_max_batch(opened, max_batch),
        opt_batch=opt_batch,
        workspace_mib=workspace_mib,
        level=level,
        tf32=tf32,
        version_compatible=version_compatible,
        hardware_compatible=hardware_compatible,
        weakly_typed=weakly_typed,
    )
    with open_builder(
        opened, options, key=key_from_file(key), timing_cache=timing_cache
    ) as builder:
        plans = _build_all(builder, precisions, force=force)
        _print(bundle, builder.machine, options, plans, as_json=as_json)


def _max_batch(bundle: Bundle, asked: int | None) -> int:
    """Return the most faces of one run.

    Raises:
        UsageError: If the bundle does not promise so many.
    """
    most = bundle.manifest.max_batch
    if asked is not None and asked > most:
        raise UsageError(f"the bundle is meant for at most {most} faces a run, got {asked}")
    return asked or most


def _build_all(
    builder: PlanBuilder, precisions: tuple[str, ...], *, force: bool
) -> dict[str, BundlePlan]:
    progress = ConsoleProgress(stages=precisions)
    plans = {}
    for name in precisions:
        with progress.stage(name) as stage:
            plans[name] = builder.build(name, force=force, on_progress=_bar_of(stage))
            stage.say("built and tested" if plans[name].is_new else "was built before")
        for note in plans[name].notes:
            say("note", f"{name}: {note}", style="yellow")
    return plans


def _bar_of(stage: Stage) -> Callable[[BuildState], None]:
    """Return what moves the bar to where TensorRT is, also back where it begins anew."""
    shown = 0

    def move(state: BuildState) -> None:
        nonlocal shown
        reached = round(_UNITS * state.fraction)
        stage.advance(reached - shown, total=_UNITS)
        shown = reached

    return move


def _print(
    bundle: Path,
    machine: Machine,
    options: BuildOptions,
    plans: dict[str, BundlePlan],
    *,
    as_json: bool,
) -> None:
    if as_json:
        found = {name: _plain(plan) for name, plan in plans.items()}
        facts = {"machine": asdict(machine), "options": asdict(options), "plans": found}
        print_json({"code": 0, "bundle": str(bundle), **facts})
        return
    texts = {name: _text(plan, bundle) for name, plan in plans.items()}
    print_facts({"bundle": str(bundle), "machine": machine_text(machine), "plans": texts})
    first = next(iter(plans))
    command = f"facealign run {shlex.quote(str(bundle))} face.jpg --engine tensorrt"
    say("next", f"{command} --precision {first}", style="dim")


def _plain(plan: BundlePlan) -> dict[str, object]:
    return {
        "path": str(plan.path),
        "is_new": plan.is_new,
        "seconds": round(plan.seconds, 3),
        "bytes": plan.record.plan_bytes,
        "cache_key": plan.record.cache_key,
        "plugins": list(plan.record.plugins),
        "self_test": None if plan.record.self_test is None else asdict(plan.record.self_test),
        "notes": plan.notes,
    }


def _text(plan: BundlePlan, bundle: Path) -> str:
    record, path = plan.record, plan.path
    test = record.self_test
    how = f"built in {plan.seconds:.1f} s" if plan.is_new else "was there"
    weakly = ", weakly typed" if record.options.weakly_typed else ""
    far = "" if test is None else f"{test.max_px:.4f} px of {test.allowed_px:g} allowed, "
    size = record.plan_bytes / _MIB
    return f"{how}{weakly}, {far}{size:.1f} MiB, {path.relative_to(bundle)}"


def machine_text(machine: Machine) -> str:
    """Return a machine as people read it."""
    parts = [
        machine.board or machine.gpu,
        f"compute capability {machine.compute_capability}",
        f"TensorRT {machine.tensorrt}",
        f"CUDA driver {machine.cuda_driver}",
        *([f"L4T {machine.l4t}"] if machine.l4t else []),
    ]
    return ", ".join(parts)
