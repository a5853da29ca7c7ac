"""Options that several commands share, and what their text means."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import typer

from facealign.errors import UsageError
from facealign.targets import discover_targets

__all__ = [
    "AssetOption",
    "BundleArgument",
    "CheckpointArgument",
    "FamilyOption",
    "GraphConvolutionOption",
    "JsonOption",
    "PatchCropOption",
    "SetOption",
    "TargetOption",
    "settings_from_arguments",
]

CheckpointArgument = Annotated[
    Path,
    typer.Argument(
        metavar="CHECKPOINT",
        help="Checkpoint: .pt, .pth, .pth.tar or .safetensors.",
        show_default=False,
    ),
]
BundleArgument = Annotated[
    Path, typer.Argument(metavar="BUNDLE", help="Bundle folder.", show_default=False)
]
AssetOption = Annotated[
    list[str],
    typer.Option(
        "--asset",
        metavar="NAME=FILE",
        help="Side file that the checkpoint does not hold, as mean-shape=init_98.npz. Repeatable.",
    ),
]
FamilyOption = Annotated[
    str | None,
    typer.Option(
        "--family", metavar="NAME", help="Family of the checkpoint, instead of detecting it."
    ),
]
SetOption = Annotated[
    list[str],
    typer.Option(
        "--set",
        metavar="NAME=NUMBER",
        help="Hyper-parameter that no tensor shape shows, such as heads=8. Repeatable.",
    ),
]
TargetOption = Annotated[
    list[str],
    typer.Option(
        "--target",
        metavar="TARGET",
        help="Where the graph is to run. Repeatable. One of "
        + ", ".join(target.name for target in discover_targets())
        + ".",
    ),
]
_Form = Literal["standard", "function", "gather"]
_FORMS = (
    "standard operators, an operator of our own that carries its ONNX function, or gathers and "
    "arithmetic"
)
PatchCropOption = Annotated[
    Literal[_Form, "plugin"],
    typer.Option(
        "--patch-crop",
        help=f"How patches are sampled: {_FORMS}; or our operator without the function, which "
        "facealign and its TensorRT plugin alone run.",
    ),
]
GraphConvolutionOption = Annotated[
    _Form, typer.Option("--graph-convolution", help=f"How landmarks are summed: {_FORMS}.")
]
JsonOption = Annotated[
    bool, typer.Option("--json", help="Print one JSON object, also for an error.")
]


def settings_from_arguments(arguments: Sequence[str]) -> dict[str, int]:
    """Return hyper-parameters by name from ``NAME=NUMBER`` each.

    Raises:
        UsageError: If an argument is not of that form, or a name is there twice.
    """
    settings: dict[str, int] = {}
    for argument in arguments:
        name, equals, number = argument.partition("=")
        if not (name and equals and number.isdecimal()):
            raise UsageError(
                f"setting {argument!r} is not NAME=NUMBER; pass for example `--set heads=8`"
            )
        if name in settings:
            raise UsageError(f"setting `{name}` is given twice; pass it once")
        settings[name] = int(number)
    return settings
