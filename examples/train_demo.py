"""Train the demo checkpoint: a small SLPT, from scratch, on faces of `facealign synth`.

    python examples/train_demo.py --work /tmp/demo --out examples/demo

renders a data set into the work folder (one that is there is used as it is), trains on its training
list, chooses the best weights on its test list, and scores them on faces of another seed. It writes
``demo.pt``, ``demo.mean-shape.npy`` and ``demo.json``; the last says what came of it, and in which
time.

The backbone is trained alone first, then everything, both on crops of 128 px, which cost a quarter;
then everything on crops of 256 px. ``--start FILE`` goes on from weights. The committed checkpoint
was made in three such parts on a shared machine, some 65 minutes in all, which ``demo.json`` lists:
after the first two its NME on 300 held-out faces was 8.13 %, after 35 minutes more at 256 px 5.28 %
(20.93 % for the mean shape). A single run with the default steps was never made.

Everything is seeded, and one thread gives the same weights on one machine. Another processor, or
another version of torch, sums in another order, and training amplifies that: weights then differ,
and figures by what luck does.
"""

from __future__ import annotations

import argparse
import copy
import math
import shlex
import sys
import time
from pathlib import Path

import numpy as np
import torch
from demo_faces import read_faces
from demo_network import DEMO_SIZES, new_network
from demo_provenance import HELD_OUT_SEED, Training, write_demo
from demo_training import STEPS, Run, phases, train, warm_start
from numpy.typing import NDArray

from facealign.errors import FacealignError, UsageError
from facealign.models.checkpoint import read_checkpoint
from facealign.models.detect import load_weights
from facealign.models.families.slpt import FAMILY
from facealign.models.families.slpt.mean_shape import read_mean_shape
from facealign.synth import TRAIN_LIST, write_dataset

__all__ = ["main"]

_VALIDATION_FACES = 64


def main(arguments: list[str] | None = None) -> None:
    """Train, score and write what the command line asks for.

    Args:
        arguments: Of the command line; its own if None.
    """
    parser = _parser()
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    try:
        _check(options)
        render_s = _render(options.work / "faces", options.faces, options.seed)
        run, mean_shape = _new_run(options)
    except FacealignError as error:
        parser.error(str(error))
    first, *others = phases(options.steps, options.minutes)
    steps = (warm_start(run, first), *(train(run, phase) for phase in others))
    training = Training(
        command=shlex.join(["python", "examples/train_demo.py", *(arguments or sys.argv[1:])]),
        seed=options.seed,
        face_count=len(run.faces),
        steps=steps,
        batch=options.batch,
        started_from=options.start.name if options.start else None,
        validation_nme_percent=run.best_percent,
        render_s=render_s,
        train_s=time.perf_counter() - run.started,
    )
    write_demo(options.out, torch.load(run.best_file), mean_shape, training)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--work", type=Path, required=True, help="for faces and the best weights")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "demo")
    parser.add_argument("--faces", type=_count, default=4000, help="one of five is for validation")
    parser.add_argument(
        "--seed", type=int, default=1, help="of weights, changes, and faces if none are there"
    )
    parser.add_argument(
        "--steps", type=int, nargs=3, default=STEPS, help="of the backbone, at 128 px, at 256 px"
    )
    parser.add_argument(
        "--minutes", type=float, nargs=3, default=[math.inf] * 3, help="that they may take"
    )
    parser.add_argument("--batch", type=_count, default=16)
    parser.add_argument("--start", type=Path, help="weights to go on from, such as WORK/best.pt")
    parser.add_argument("--threads", type=_count, default=1)
    return parser


def _count(text: str) -> int:
    count = int(text)
    if count < 1:
        raise argparse.ArgumentTypeError(f"must be 1 or more, got {count}")
    return count


def _check(options: argparse.Namespace) -> None:
    """Refuse, before hours of work, what would end in no weights or in a score that is none."""
    if options.seed == HELD_OUT_SEED:
        raise UsageError(
            f"faces of seed {HELD_OUT_SEED} are those that the result is judged by; "
            "pass another --seed"
        )
    if min(options.steps) < 0 or options.steps[-1] == 0:
        raise UsageError(
            f"--steps must be 0 or more, and the last 1 or more, as only weights of 256 px are "
            f"kept, got {options.steps}; pass for example 0 0 400"
        )
    if any(
        steps and not own > 0 for steps, own in zip(options.steps, options.minutes, strict=True)
    ):
        raise UsageError(f"--minutes must be above 0 where there are steps, got {options.minutes}")


def _new_run(options: argparse.Namespace) -> tuple[Run, NDArray[np.float32]]:
    """Return everything to train, and the mean shape ``(98, 2)`` as a fraction of the crop."""
    folder = options.work / "faces"
    mean_shape = read_mean_shape(folder / TRAIN_LIST, DEMO_SIZES)
    network = new_network(torch.from_numpy(mean_shape), seed=options.seed)
    if options.start:
        load_weights(network, read_checkpoint(options.start).state_dict, FAMILY)
    run = Run(
        network=network,
        average=copy.deepcopy(network).eval(),
        faces=read_faces(folder, "train"),
        validation=read_faces(folder, "test", count=_VALIDATION_FACES),
        seed=options.seed,
        best_file=options.work / "best.pt",
        batch=options.batch,
    )
    if run.batch > len(run.faces):
        raise UsageError(f"--batch must be {len(run.faces)} or less, got {run.batch}; see --faces")
    return run, mean_shape


def _render(folder: Path, count: int, seed: int) -> float:
    """Write the data set if it is not there; return the seconds that took."""
    started = time.perf_counter()
    if not folder.exists():
        write_dataset(folder, count=count, seed=seed)
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
