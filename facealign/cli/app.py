"""The entry points, and the one place where an error becomes a line and an exit code."""

from __future__ import annotations

import errno
import logging
import os
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stdout
from typing import Annotated

import typer

from facealign import __version__
from facealign.cli.bench import bench
from facealign.cli.build import build
from facealign.cli.console import print_json, print_result, say, say_items
from facealign.cli.device_test import device_test
from facealign.cli.doctor import doctor
from facealign.cli.eval import evaluate
from facealign.cli.export import export
from facealign.cli.inspect import inspect
from facealign.cli.lint import lint
from facealign.cli.run import SomeImagesFailedError, run
from facealign.cli.serve_config import serve_config
from facealign.cli.stopping import STOPPED, catch_signals, stop_code
from facealign.cli.synth import synth
from facealign.cli.verify import verify
from facealign.errors import BackendError, FacealignError, OutputError, UsageError

__all__ = ["main", "main_export"]

_INTERNAL = 1
_TRACEBACK = "FACEALIGN_TRACEBACK"
# Of the extra `compile`; a device has none of them but ONNX Runtime.
_COMPILE_MODULES = {
    "onnx",
    "onnx_ir",
    "onnxruntime",
    "onnxscript",
    "onnxsim",
    "safetensors",
    "torch",
}


def _version(value: bool) -> None:
    if value:
        print_result(f"facealign {__version__}")
        raise typer.Exit


def _about(
    _: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Compile a trained face-alignment checkpoint into a verified edge bundle, and serve it.

    Results go to stdout, everything else to stderr. Exit codes: 0 ok, 1 defect of facealign,
    2 usage, 3 checkpoint, 4 verification, 5 accuracy budget, 6 target or engine does not fit,
    7 library absent, 8 bundle corrupt, 130 interrupted.
    """


_SETTINGS = {"help_option_names": ["-h", "--help"]}
_COMMANDS: dict[str, Callable[..., None]] = {
    "export": export,
    "inspect": inspect,
    "lint": lint,
    "verify": verify,
    "run": run,
    "build": build,
    "bench": bench,
    "device-test": device_test,
    "eval": evaluate,
    "synth": synth,
    "serve-config": serve_config,
    "doctor": doctor,
}
_WITHOUT_ARGUMENTS = {"doctor"}  # the others have nothing to do then, and print their help
_PLAIN = None  # help without boxes: it is piped, narrow and searched as often as it is looked at
_app = typer.Typer(
    callback=_about,
    context_settings=_SETTINGS,
    no_args_is_help=True,
    rich_markup_mode=_PLAIN,
)
for _name, _command in _COMMANDS.items():
    _app.command(_name, no_args_is_help=_name not in _WITHOUT_ARGUMENTS)(_command)
_export_app = typer.Typer(add_completion=False, rich_markup_mode=_PLAIN)
_export_app.command(context_settings=_SETTINGS, no_args_is_help=True)(export)


def main() -> None:
    """Run ``facealign COMMAND ...``; without arguments, help on stderr and exit code 2."""
    sys.exit(_run_application(_app, "facealign", sys.argv[1:], command_names=_asking()))


def main_export() -> None:
    """Run ``facealign-export CHECKPOINT``, which is ``facealign export CHECKPOINT``."""
    sys.exit(_run_application(_export_app, "facealign-export", sys.argv[1:]))


def _asking() -> tuple[str, ...]:
    """Return the commands that do nothing without arguments."""
    return tuple(name for name in _COMMANDS if name not in _WITHOUT_ARGUMENTS)


def _run_application(
    application: typer.Typer,
    name: str,
    arguments: Sequence[str],
    *,
    command_names: tuple[str, ...] = (),
) -> int:
    _prepare_process()
    if not arguments or (len(arguments) == 1 and arguments[0] in command_names):
        # No result was asked for, so the help is none.
        with redirect_stdout(sys.stderr):
            application([*arguments, "--help"], prog_name=name, standalone_mode=False)
        return UsageError.exit_code
    try:
        return _exit_code(application, name, arguments)
    except OutputError as error:  # stdout itself cannot be written, not even the JSON of an error
        say("error", str(error), style="red")
        return error.exit_code


def _prepare_process() -> None:
    """Set signals and streams as those of a command; a library must not do that."""
    # How long threads of torch spin before they sleep. With libgomp's own choice an evaluation took
    # 23 s instead of 3 s on two cores that others used too; with this it is as fast on idle ones.
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")  # only before torch is imported
    logging.basicConfig(format="warning: %(message)s", level=logging.WARNING)
    catch_signals()
    # A file name that is no text of the locale goes out as the bytes that it is.
    reconfigure = getattr(sys.stdout, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(errors="surrogateescape")


def _exit_code(application: typer.Typer, name: str, arguments: Sequence[str]) -> int:
    as_json = "--json" in arguments
    try:
        code = application(list(arguments), prog_name=name, standalone_mode=False)
    except SystemExit as stop:
        code = stop.code
    except Exception as error:  # noqa: BLE001  # the last stop of every defect
        stopped = stop_code()
        if stopped is not None:
            return _fail_stopped(stopped, as_json=as_json)
        message, code = _message_and_code(error)
        details = error.details if isinstance(error, SomeImagesFailedError) else {}
        items = error.items if isinstance(error, FacealignError) else ()
        return _fail(message, code, as_json=as_json, items=items, details=details)
    return _fail_stopped(code, as_json=as_json) if code in STOPPED else int(code or 0)


def _fail_stopped(code: int, *, as_json: bool) -> int:
    return _fail(f"{STOPPED[code]}; nothing is half-written", code, as_json=as_json)


def _message_and_code(error: Exception) -> tuple[str, int]:
    if isinstance(error, typer.TyperException):
        return _usage_text(error), UsageError.exit_code
    if isinstance(error, FacealignError):
        return str(error), error.exit_code
    if isinstance(error, ModuleNotFoundError) and _root(error.name) in _COMPILE_MODULES:
        advice = 'install it with `pip install "facealign[compile]"`'
        text = f"this command needs `{error.name}`, which is not installed; {advice}"
        return text, BackendError.exit_code
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return f"cannot write: {error.strerror}; make room on that disk", OutputError.exit_code
    if os.environ.get(_TRACEBACK):
        traceback.print_exception(error)
    return (
        f"internal error: {type(error).__name__}: {error}; this is a defect of facealign, "
        f"so report it with what `{_TRACEBACK}=1` shows"
    ), _INTERNAL


def _root(module_name: str | None) -> str:
    return (module_name or "").partition(".")[0]


def _usage_text(error: typer.TyperException) -> str:
    """Return typer's message in one line, with what to do: its own guess, or where the help is."""
    text = error.format_message().strip().rstrip(".").replace(". Did you mean", "; did you mean")
    text = text[:1].lower() + text[1:]
    context = getattr(error, "ctx", None)
    if context is None or text.endswith(("?", ")")):
        return text
    return f"{text}; see `{context.command_path} --help`"


def _fail(
    message: str,
    code: int,
    *,
    as_json: bool,
    items: Sequence[str] = (),
    details: Mapping[str, object] | None = None,
) -> int:
    """Say what is wrong on stderr, and as JSON, with all items, on stdout where asked for."""
    say("error", message, style="red")
    say_items(items)
    if as_json:
        listed = {"items": items} if items else {}
        print_json({"code": code, "error": message, **listed, **(details or {})})
    return code
