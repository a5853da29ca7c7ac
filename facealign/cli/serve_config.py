"""``facealign serve-config``: what another server needs to run a bundle."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from facealign.cli.console import print_json, print_result, say
from facealign.cli.options import BundleArgument, JsonOption
from facealign.pipeline.serve import Served, Server, serve_bundle

__all__ = ["ServeOption", "result_of_serving", "say_next", "serve_config"]

ServeOption = Annotated[
    Server | None,
    typer.Option(
        help="Also write what this server needs, to a folder beside the bundle; see serve-config.",
        show_default=False,
    ),
]
_NEXT = {
    "triton": "tritonserver --model-repository={folder}/models",
    "deepstream": "gst-launch-1.0 ... ! nvinferserver config-file-path={folder}/config_{model}.txt",
}


def serve_config(
    bundle: BundleArgument,
    server: Annotated[Server, typer.Argument(metavar="SERVER", help="triton or deepstream.")],
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            metavar="DIR",
            help="Folder for it. An older one there is replaced.",
            show_default="BUNDLE.SERVER",
        ),
    ] = None,
    *,
    as_json: JsonOption = False,
) -> None:
    """Write what a server needs to run a bundle: a model repository, and configurations.

    Every graph becomes a model of Triton, and so does every plan that `facealign build` has made.
    DeepStream gets a configuration of nvinferserver per model on top, whose comments say what the
    pipeline around it must do. Prints the folder.
    """
    served = serve_bundle(bundle, server, folder=output)
    if as_json:
        print_json({"code": 0, **result_of_serving(served)})
        return
    print_result(str(served.folder))
    say_next(served)


def result_of_serving(served: Served) -> dict[str, object]:
    """Return what was written, for JSON."""
    return {"server": served.server, "folder": str(served.folder), "models": list(served.models)}


def say_next(served: Served) -> None:
    """Say how the server is started with it."""
    text = _NEXT[served.server].format(folder=served.folder, model=served.models[0])
    say("next", text, style="dim")
