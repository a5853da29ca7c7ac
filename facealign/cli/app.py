"""The entry points, and the one place where an error becomes a line and an exit code."""

from __future__ import annotations

import os
import sys
import traceback
from typing import Annotated

import typer

from facealign import __version__
from facealign.cli.console import print_json, stderr
from facealign.cli.export import export
from facealign.cli.inspect import inspect
from facealign.cli.run import run
from facealign.cli.verify import verify
from facealign.errors import BackendError, FacealignError, UsageError

__all__ = ["main", "main_export"]

_INTERNAL = 1
_INTERRUPTED = 130  # 128 + SIGINT, as shells have it
_TRACEBACK = "FACEALIGN_TRACEBACK"
# Of the extra `compile`; a device has none of them.
_COMPILE_MODULES = {"onnx", "onnx_ir", "onnxscript", "onnxsim", "safetensors", "torch"}


def _version(value: bool) -> None:  # typer calls it with the value
    if value:
        print(f"facealign {__version__}")
        raise typer.Exit


def _about(
    _: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Compile a trained face-alignment checkpoint into a verified edge bundle, and serve it."""


_SETTINGS = {"help_option_names": ["-h", "--help"]}
_app = typer.Typer(
    callback=_about,
    context_settings=_SETTINGS,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
for _command in (export, inspect, verify, run):
    _app.command(no_args_is_help=True)(_command)
_export_app = typer.Typer(pretty_exceptions_enable=False)
_export_app.command(context_settings=_SETTINGS, no_args_is_help=True)(export)


def main() -> None:
    """Run ``facealign COMMAND ...``."""
    sys.exit(_exit_code(_app))


def main_export() -> None:
    """Run ``facealign-export CHECKPOINT``, which is ``facealign export CHECKPOINT``."""
    sys.exit(_exit_code(_export_app))


def _exit_code(application: typer.Typer) -> int:
    try:
        code = application(standalone_mode=False)
    except typer.TyperException as error:
        return _fail(error.format_message(), UsageError.exit_code)
    except FacealignError as error:
        return _fail(str(error), error.exit_code)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in _COMPILE_MODULES:
            return _fail_internally(error)
        return _fail(
            f"this command needs `{error.name}`, which is not installed; "
            'install it with `pip install "facealign[compile]"`',
            BackendError.exit_code,
        )
    except Exception as error:  # noqa: BLE001  # the last stop of every defect
        return _fail_internally(error)
    if code == _INTERRUPTED:
        stderr.print("interrupted; nothing is half-written", style="yellow")
    return int(code or 0)


def _fail(message: str, code: int) -> int:
    """Say what is wrong on stderr, and as JSON on stdout where that was asked for."""
    if message:  # help that was shown instead of a run has none
        stderr.print(
            f"[red]error:[/red] {message}" if stderr.is_terminal else f"error: {message}",
            markup=stderr.is_terminal,
        )
        if "--json" in sys.argv:
            print_json({"code": code, "error": message})
    return code


def _fail_internally(error: Exception) -> int:
    if os.environ.get(_TRACEBACK):
        traceback.print_exception(error)
    return _fail(
        f"internal error: {type(error).__name__}: {error}; this is a defect of facealign, so report it "
        f"with what `{_TRACEBACK}=1` shows",
        _INTERNAL,
    )
