"""Make the twin of a checkpoint that computes the same, and that INT8 cannot serve.

    python examples/make_hostile.py examples/demo/demo.pt hostile.pt

Before a ReLU, every fourth channel is made 1024 times as large; the weights of the next layer that
read it are divided by as much. Both are powers of two, so that in FP32 not a bit of the result
changes. But one INT8 scale for the whole tensor then rounds all other channels to zero; and as one
scale serves a row of weights, the divided ones become zero as well. A quantiser that looks at what
it loses must leave these layers alone.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from facealign.errors import FacealignError, UsageError
from facealign.models.checkpoint import read_checkpoint
from facealign.models.detect import Detection, detect

__all__ = ["hostile_pairs", "hostile_state_dict", "main"]

_FACTOR_LOG2 = 10  # of 127 levels none is left for what is not scaled
_LARGEST_FACTOR_LOG2 = 64  # FP32 holds exponents up to 127
_EVERY = 4
# A layer, and the only one that reads it, through nothing but a ReLU. What a shortcut or another
# branch reads as well is no such pair.
_PAIRS = (
    (".bn1", ".conv2"),  # of every block, and of the stem
    (".bn2", ".conv3"),  # of bottlenecks, which alone have a third
    (".head.1", ".head.3"),
    (".linear1", ".linear2"),
)
_WEIGHT = ".weight"
_SAME = 4e-5  # of the crop, 0.01 px of 256; measured 0 wherever the pairs are pairs


def main(arguments: list[str] | None = None) -> None:
    """Write what the command line asks for.

    Args:
        arguments: Of the command line; its own if None.
    """
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("checkpoint", type=Path, help="of a family with HRNet, such as SLPT")
    parser.add_argument("out", type=Path, help="NAME.pt")
    parser.add_argument("--factor-log2", type=int, default=_FACTOR_LOG2, metavar="K")
    options = parser.parse_args(arguments)
    try:
        twin = _twin_of_file(options.checkpoint, options.factor_log2)
    except FacealignError as error:
        parser.error(str(error))
    options.out.parent.mkdir(parents=True, exist_ok=True)
    torch.save(twin, options.out)
    count = len(hostile_pairs(twin))
    print(f"wrote {options.out}: {count} pairs of layers, factor 2**{options.factor_log2}")


def hostile_pairs(state_dict: Mapping[str, Tensor]) -> list[tuple[str, str]]:
    """Return the layers that are scaled, each with the one that reads it, by name."""
    pairs = []
    for key in state_dict:
        layer = key.removesuffix(_WEIGHT)
        for scaled, reader in _PAIRS:
            other = layer.removesuffix(scaled) + reader
            if key.endswith(scaled + _WEIGHT) and other + _WEIGHT in state_dict:
                pairs.append((layer, other))
    return pairs


def hostile_state_dict(
    state_dict: Mapping[str, Tensor], *, factor_log2: int = _FACTOR_LOG2, every: int = _EVERY
) -> dict[str, Tensor]:
    """Return a copy that computes the same function in FP32, with some channels far larger.

    Args:
        state_dict: Of a network with some of the pairs that `hostile_pairs` names; it is not
            changed.
        factor_log2: K; channels are scaled by ``2**K``. From about 13 on FP16 overflows as well.
        every: Channels 0, `every`, twice `every` and so on are scaled.
    """
    twin = {key: value.clone() for key, value in state_dict.items()}
    factor = 2.0**factor_log2
    for layer, reader in hostile_pairs(state_dict):
        twin[f"{layer}.weight"][::every] *= factor
        twin[f"{layer}.bias"][::every] *= factor
        twin[f"{reader}.weight"][:, ::every] /= factor
    return twin


def _twin_of_file(path: Path, factor_log2: int) -> dict[str, Tensor]:
    """Return the twin of a checkpoint, once it has shown that it computes the same."""
    if not 1 <= factor_log2 <= _LARGEST_FACTOR_LOG2:
        raise UsageError(
            f"--factor-log2 must be 1 to {_LARGEST_FACTOR_LOG2}, got {factor_log2}; pass 10"
        )
    checkpoint = read_checkpoint(path)
    if not hostile_pairs(checkpoint.state_dict):
        raise UsageError(f"`{path}` has no layer behind a ReLU that is known; pass SLPT")
    twin = hostile_state_dict(checkpoint.state_dict, factor_log2=factor_log2)
    if not _computes_the_same(detect(checkpoint.shapes), checkpoint.state_dict, twin):
        raise UsageError(
            f"the twin of `{path}` would compute something else, as what reads a scaled layer is "
            "another than its name tells; pass SLPT"
        )
    return twin


def _computes_the_same(
    detection: Detection, state_dict: Mapping[str, Tensor], twin: Mapping[str, Tensor]
) -> bool:
    """Return whether two state dicts give the same landmarks for crops of noise.

    Names do not tell all: where the norm comes before its convolution, as in PropNet, ``.conv2`` is
    not the next to read ``.bn1``.
    """
    found, expected = (_landmarks(detection, each) for each in (twin, state_dict))
    return bool(np.allclose(found, expected, rtol=0, atol=_SAME))


def _landmarks(detection: Detection, state_dict: Mapping[str, Tensor]) -> NDArray[Any]:
    """Return ``(2, N, 2)`` landmarks as a fraction of the crop; side files are made up."""
    family, sizes = detection.family, detection.hyperparameters
    network = family.build_network(sizes, family.made_up_assets(sizes)).eval()
    network.load_state_dict(dict(state_dict))
    size_px = family.crop(sizes).size_px
    noise = torch.Generator().manual_seed(0)
    crops = torch.randint(0, 256, (2, size_px, size_px, 3), dtype=torch.uint8, generator=noise)
    with torch.no_grad():
        return family.reference(network, crops)["landmarks"].numpy()


if __name__ == "__main__":
    main()
