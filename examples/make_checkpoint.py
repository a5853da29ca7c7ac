"""Write a full-size SLPT checkpoint of recipe weights, to try `facealign export` on.

``python examples/make_checkpoint.py slpt.pt`` writes ``mean_shape.npy`` beside it; the two go to
``facealign export slpt.pt --asset mean-shape=mean_shape.npy``.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import recipe
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from facealign.models.backbones.hrnet import HRNetHyperparameters, HRNetStage
from facealign.models.families.slpt.hyperparameters import SlptHyperparameters
from facealign.models.families.slpt.network import Slpt

__all__ = ["main", "recipe_state_dict", "slpt_sizes", "slpt_state_dict", "write_checkpoint"]

LANDMARK_COUNT = 98


def main(arguments: list[str] | None = None) -> None:
    """Write what the command line asks for, and say where it is.

    Args:
        arguments: Of the command line; its own if None.
    """
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("out", type=Path, help="NAME.pt, NAME.pth.tar or NAME.safetensors")
    parser.add_argument("--layers", type=int, choices=(6, 12), default=6, help="of the decoder")
    parser.add_argument("--wrapped", action="store_true", help="as a training script saves it")
    options = parser.parse_args(arguments)
    out: Path = options.out
    if options.wrapped and out.suffix == ".safetensors":
        parser.error("a .safetensors file holds tensors only; leave out --wrapped")
    write_checkpoint(out, slpt_state_dict(options.layers), wrapped=options.wrapped)
    mean_shape = out.with_name("mean_shape.npy")
    np.save(mean_shape, recipe.SIZE_PX * recipe.mean_shape(LANDMARK_COUNT))
    print(f"wrote {out} and {mean_shape}")


def slpt_state_dict(layer_count: int) -> dict[str, Tensor]:
    """Return every tensor of the published SLPT, with recipe weights."""
    unused = torch.zeros(LANDMARK_COUNT, 2)  # the mean shape is in no checkpoint
    return recipe_state_dict(Slpt(slpt_sizes(layer_count), unused))


def slpt_sizes(layer_count: int) -> SlptHyperparameters:
    """Return the sizes that the authors publish (SPEC 3.4, 3.5)."""
    return SlptHyperparameters(
        landmark_count=LANDMARK_COUNT,
        width=256,
        layer_count=layer_count,
        ffn_width=1024,
        patch_size=7,
        backbone=HRNetHyperparameters(
            stem_channels=64,
            layer1_block_count=4,
            layer1_channels=64,
            stages=(
                HRNetStage(module_count=1, block_count=4, channels=(18, 36)),
                HRNetStage(module_count=1, block_count=4, channels=(18, 36, 72)),
                HRNetStage(module_count=1, block_count=4, channels=(18, 36, 72, 144)),
            ),
        ),
    )


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


if __name__ == "__main__":
    main()
