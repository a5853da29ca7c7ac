"""Write a full-size checkpoint with recipe weights, and the side files that it needs.

Nobody trained these networks, so their landmarks mean nothing; but their sizes, names and cost are
those of the published ones, and what the authors' code gives for these weights is known.

    python examples/make_checkpoint.py spiga.pt --model spiga_98

writes ``spiga.pt`` and, beside it, ``face_model.npy``; both go to
``facealign export spiga.pt --asset face-model=face_model.npy``.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import recipe
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import Tensor, nn

from facealign.models.detect import Detection, detect

__all__ = [
    "asset_arguments",
    "main",
    "model_assets",
    "model_detection",
    "model_keys",
    "model_names",
    "model_state_dict",
    "recipe_state_dict",
    "write_checkpoint",
]

# Of every published checkpoint, and of the networks that only papers describe.
_KEYS = Path(__file__).parents[1] / "tests" / "golden" / "keys"
_DEFAULT_MODEL = "slpt_98_dec6"
_ROW_WISE = ("scc_resnet34_weighted",)  # its edges lead one way
_COUNTS_EDGES = (".gconv_output.e", ".relation_learner.fc.3.weight")


def main(arguments: list[str] | None = None) -> None:
    """Write what the command line asks for, and say where it is.

    Args:
        arguments: Of the command line; its own if None.
    """
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("out", type=Path, help="NAME.pt, NAME.pth.tar or NAME.safetensors")
    parser.add_argument("--model", choices=model_names(), default=_DEFAULT_MODEL, metavar="MODEL")
    parser.add_argument("--wrapped", action="store_true", help="as a training script saves it")
    options = parser.parse_args(arguments)
    out: Path = options.out
    if options.wrapped and out.suffix == ".safetensors":
        parser.error("a .safetensors file holds tensors only; leave out --wrapped")
    out.parent.mkdir(parents=True, exist_ok=True)
    write_checkpoint(out, model_state_dict(options.model), wrapped=options.wrapped)
    print(f"wrote {out}")
    for name, array in model_assets(options.model).items():
        path = _asset_path(out.parent, name)
        np.save(path, array)
        print(f"wrote {path}")


def model_names() -> list[str]:
    """Return the names of all models, such as ``slpt_98_dec6``."""
    return sorted(path.stem for path in _KEYS.glob("*.json"))


@cache
def model_keys(name: str) -> dict[str, dict[str, Any]]:
    """Return shape, dtype, kind and sum of every tensor of the authors' state dict, by key."""
    keys: dict[str, dict[str, Any]] = json.loads((_KEYS / f"{name}.json").read_text("ascii"))
    return keys


@cache
def model_detection(name: str) -> Detection:
    """Return family and hyper-parameters of a model, from its keys and shapes alone."""
    return detect({key: tuple(entry["shape"]) for key, entry in model_keys(name).items()})


def model_state_dict(name: str) -> dict[str, Tensor]:
    """Return every tensor of a published checkpoint, with recipe weights."""
    detection = model_detection(name)
    hyperparameters = detection.hyperparameters
    assets = detection.family.made_up_assets(hyperparameters)
    return recipe_state_dict(detection.family.build_network(hyperparameters, assets))


def model_assets(name: str) -> dict[str, NDArray[Any]]:
    """Return the side files that a model needs, in a form that facealign reads, by asset name."""
    detection = model_detection(name)
    family, hyperparameters = detection.family, detection.hyperparameters
    count = family.scheme(hyperparameters).landmark_count
    makers: dict[str, Callable[[], NDArray[Any]]] = {
        "mean-shape": lambda: recipe.SIZE_PX * recipe.mean_shape(count),
        "face-model": lambda: recipe.face_model(count),
        "graph": lambda: recipe.edges(count, _edge_count(name, count)),
    }
    if name in _ROW_WISE:
        makers["graph"] = lambda: family.made_up_assets(hyperparameters)["graph"]
    return {asset.name: makers[asset.name]() for asset in family.assets(hyperparameters)}


def asset_arguments(name: str, folder: Path) -> tuple[str, ...]:
    """Return ``NAME=FILE`` for each side file of a model that `main` wrote into `folder`."""
    return tuple(f"{asset}={_asset_path(folder, asset)}" for asset in model_assets(name))


def recipe_state_dict(network: nn.Module) -> dict[str, Tensor]:
    """Return the state dict of any network with recipe weights; its constants stay."""
    state_dict: dict[str, Tensor] = network.state_dict()
    values = {key: recipe.tensor(key, own.shape) for key, own in state_dict.items()}
    return {
        key: state_dict[key] if value is None else torch.from_numpy(value)
        for key, value in values.items()
    }


def write_checkpoint(path: Path, state_dict: dict[str, Tensor], *, wrapped: bool = False) -> None:
    """Write a state dict in the format that the ending of `path` names.

    Args:
        path: ``.safetensors``; ``.pth.tar``, which is always wrapped; or any other.
        state_dict: Tensors by key.
        wrapped: Whether to add what a training script does: epoch, optimizer and ``module.``.
    """
    if path.suffix == ".safetensors":
        save_file(state_dict, path)
    elif wrapped or path.name.endswith(".pth.tar"):
        behind_prefix = {f"module.{key}": value for key, value in state_dict.items()}
        optimizer = {"state": {}, "param_groups": [{"lr": 1e-4, "params": [0]}]}
        torch.save({"epoch": 140, "state_dict": behind_prefix, "optimizer": optimizer}, path)
    else:
        torch.save(state_dict, path)


def _asset_path(folder: Path, asset: str) -> Path:
    return folder / f"{asset.replace('-', '_')}.npy"


def _edge_count(name: str, landmark_count: int) -> int:
    """Return how many undirected edges the graph of a model has, from its learned edges."""
    sizes: list[int] = [
        max(entry["shape"][:2]) if key.endswith(_COUNTS_EDGES[0]) else entry["shape"][0]
        for key, entry in model_keys(name).items()
        if key.endswith(_COUNTS_EDGES)
    ]
    return (sizes[0] - landmark_count) // 2


if __name__ == "__main__":
    main()
