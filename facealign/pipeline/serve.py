"""From a bundle to the folder that a server is started with."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec

from facealign import __version__
from facealign.bundle import Bundle, read_bundle, write_folder
from facealign.errors import OutputError, UsageError
from facealign.runtime.patch_crop_body import with_patch_crop_body
from facealign.runtime.tensorrt.plan import read_plan
from facealign.runtime.tensorrt.plan_cache import ENGINES
from facealign.runtime.tensorrt.plan_key import key_from_file
from facealign.serve import ServedModel, deepstream_files, model_name, triton_files

__all__ = ["Served", "Server", "check_serving_folder", "serve_bundle", "serving_folder"]

Server = Literal["triton", "deepstream"]
_MARKER = "facealign-serve.json"  # tells our folders from others
_FOR_CPU = "int8-cpu"
_FILES = {"triton": triton_files, "deepstream": deepstream_files}


@dataclass(frozen=True, slots=True)
class Served:
    """What was written for a server.

    Attributes:
        folder: Where.
        server: For which.
        models: Their names in the server.
    """

    folder: Path
    server: Server
    models: tuple[str, ...]


def serving_folder(bundle: Path, server: Server) -> Path:
    """Return where the configuration of a bundle goes unless told otherwise: beside it."""
    return bundle.with_name(f"{bundle.name}.{server}")


def check_serving_folder(folder: Path) -> None:
    """Check that a configuration may be written to `folder`, before minutes depend on it.

    Raises:
        OutputError: If there is something that is neither an empty folder nor one of these.
    """
    try:
        names = {path.name for path in folder.iterdir()}
    except FileNotFoundError:
        return
    except OSError as error:
        raise OutputError(
            f"cannot look into `{folder}`: {error.strerror}; pass another folder"
        ) from error
    if names and _MARKER not in names:
        raise OutputError(
            f"`{folder}` is not empty and holds no `{_MARKER}`, so it is left alone; "
            "choose another folder, or empty it"
        )


def serve_bundle(bundle: Path, server: Server, *, folder: Path | None = None) -> Served:
    """Write what `server` needs to run every graph of a bundle, and the plans built from them.

    Everything that is copied was checked against its SHA-256 as it was read; what the server makes
    of the folder later is beyond us.

    Args:
        bundle: Its folder.
        server: ``triton`` gives a model repository, ``deepstream`` also a configuration of
            ``nvinferserver`` per model.
        folder: Where to; `serving_folder` if None. An older one of these is replaced.

    Raises `OutputError` as `check_serving_folder`, `IntegrityError` if a file was changed,
    `TargetError` if the server cannot cut crops as the bundle wants them, `UsageError` if there
    are two plans of one precision.
    """
    folder = folder or serving_folder(bundle, server)
    check_serving_folder(folder)
    opened = read_bundle(bundle)
    models = tuple(_served_models(opened))
    files = _FILES[server](models)
    marker = _marker_json(opened, server, files)
    write_folder(folder, {**files, _MARKER: marker}, what="the configuration")
    return Served(folder, server, tuple(sorted(_model_names(files))))


def _served_models(bundle: Bundle) -> Iterator[ServedModel]:
    """Yield every graph, and the plan of each that has one."""
    manifest = bundle.manifest
    for precision, graph in manifest.graphs.items():
        yield ServedModel(
            name=model_name(bundle.folder.resolve().name, precision),
            backend="onnxruntime",
            data=with_patch_crop_body(bundle.read_file(graph.file)),
            inputs=manifest.inputs,
            outputs=manifest.outputs,
            max_batch=manifest.max_batch,
            crop=manifest.crop,
            scheme=manifest.scheme,
            is_for_cpu=precision == _FOR_CPU,
        )
        plans = sorted((bundle.folder / ENGINES).glob(f"*-{precision}.plan"))
        yield from _served_plans(bundle, precision, plans)


def _served_plans(bundle: Bundle, precision: str, paths: Sequence[Path]) -> Iterator[ServedModel]:
    """Yield the plan of one precision, if there is one.

    Raises:
        UsageError: If there are several, which are of several machines, or it needs our plugin.
    """
    if len(paths) > 1:
        names = ", ".join(f"`{path.name}`" for path in paths)
        raise UsageError(
            f"the bundle has {len(paths)} {precision} plans, {names}; a server takes one, so keep "
            f"only that of its machine in `{paths[0].parent}`"
        )
    entry = bundle.manifest.files[bundle.manifest.graphs[precision].file]
    for path in paths:
        plan = read_plan(path, graph_sha256=entry.sha256, key=key_from_file())
        record = plan.record
        if record.plugins:
            raise UsageError(
                f"`{path.name}` needs {', '.join(record.plugins)}, which no server has; export the "
                "checkpoint with `--patch-crop standard` and build again"
            )
        yield ServedModel(
            name=model_name(bundle.folder.resolve().name, precision, suffix="plan"),
            backend="tensorrt",
            data=plan.data,
            inputs=record.inputs,
            outputs=record.outputs,
            max_batch=record.options.max_batch,
            crop=record.crop,
            scheme=record.scheme,
        )


def _model_names(files: Mapping[str, bytes]) -> set[str]:
    return {name.split("/")[1] for name in files if name.endswith("/config.pbtxt")}


def _marker_json(bundle: Bundle, server: Server, files: Mapping[str, bytes]) -> bytes:
    """Return what tells where a folder is from, with the SHA-256 of every file in it."""
    marker = {
        "bundle": bundle.folder.resolve().name,
        "facealign": __version__,
        "files": {name: hashlib.sha256(data).hexdigest() for name, data in files.items()},
        "server": server,
    }
    return msgspec.json.format(msgspec.json.encode(marker, order="sorted"), indent=2) + b"\n"
