"""What goes into a bundle: the manifest, the self-test and the files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from importlib.metadata import version

import numpy as np

from facealign import __version__
from facealign.bundle import (
    CALIBRATION_FACES,
    SCHEMA_VERSION,
    CardEntry,
    Fingerprint,
    Golden,
    GoldenEntry,
    Manifest,
    PlainValue,
    files_from_golden,
    npy_from_array,
)
from facealign.calibration import json_from_ranges, json_from_set_manifest
from facealign.errors import ParityError
from facealign.export.crops import face_boxes, face_frame, parity_crops
from facealign.export.precision_rules import Precision
from facealign.geometry import crops_from_frame, placement_from_boxes
from facealign.models.checkpoint import Checkpoint
from facealign.models.load import Model
from facealign.pipeline.graphs import FULL, ShippedGraph, contract
from facealign.pipeline.precision_report import json_from_reductions
from facealign.pipeline.precisions import Reductions

__all__ = [
    "bundle_files",
    "bundle_manifest",
    "check_same_network",
    "golden_of",
    "graph_metadata",
]

_MAX_BATCH = 8  # crops of one run; more are split
_SELF_TEST_EXTRA = ("waves 0", "white noise 0")
_GOLDEN = GoldenEntry(
    frame="golden/frame.npy",
    boxes="golden/boxes.npy",
    crops="golden/crops.npy",
    landmarks="golden/landmarks.npy",
    max_px=0.02,  # parity allows 0.01, and another machine's engine rounds in its own way
    max_grey=2.0,  # releases of OpenCV differ by one level in warpAffine
)
_TOOLS = (
    "numpy",
    "onnx",
    "onnx-ir",
    "onnxruntime",
    "onnxscript",
    "onnxsim",
    "opencv-python-headless",
    "torch",
)


def graph_metadata(
    model: Model, checkpoint: Checkpoint, *, precision: str = FULL
) -> dict[str, str]:
    """Return what a graph says about itself, for a graph that was parted from its bundle."""
    return {
        "facealign_version": __version__,
        "family": model.family.name,
        "title": model.family.describe(model.hyperparameters),
        "scheme": model.scheme.name,
        "precision": precision,
        "checkpoint_sha256": checkpoint.sha256,
        "probes": " ".join(_probes(model)),
    }


def check_same_network(model: Model, manifest: Manifest) -> None:
    """Check that a model has the sizes of the network that a bundle was made from.

    Raises:
        ParityError: If it has not, naming the first that differs; a graph of other sizes can only
            give other landmarks, and finding that out would take a minute.
    """
    own = dict(_plain(asdict(model.hyperparameters)))
    for name, value in manifest.hyperparameters.items():
        if own.get(name) != value:
            raise ParityError(
                f"the checkpoint is another network than the bundle's: its {name} is "
                f"{own.get(name)}, the bundle's is {value}; pass the checkpoint "
                f"`{manifest.checkpoint.name}`"
            )


def bundle_files(
    model: Model,
    graphs: Mapping[Precision, ShippedGraph],
    golden: Golden,
    reduced: Reductions | None,
) -> dict[str, bytes]:
    """Return every file of the bundle but its manifest, by name."""
    files = {graph.entry.file: graph.data for graph in graphs.values()}
    files |= files_from_golden(golden, _GOLDEN)
    for name, asset in model.assets.items():
        files[f"assets/{name}.npy"] = npy_from_array(asset.array)
    if reduced is None:
        return files
    files["reports/precision.json"] = json_from_reductions(reduced.judge, reduced.reductions)
    if reduced.faces is not None:
        files[CALIBRATION_FACES] = json_from_set_manifest(reduced.faces.calibration)
    if reduced.ranges is not None:
        files["calibration/ranges.json"] = json_from_ranges(reduced.ranges)
    return files


def bundle_manifest(
    model: Model,
    checkpoint: Checkpoint,
    graphs: Mapping[Precision, ShippedGraph],
    *,
    options: Mapping[str, int | str],
) -> Manifest:
    """Return the manifest; its `files` are filled in when the bundle is written."""
    image, outputs = contract(model)
    return Manifest(
        schema_version=SCHEMA_VERSION,
        facealign_version=__version__,
        family=model.family.name,
        title=model.family.describe(model.hyperparameters),
        scheme=model.scheme.name,
        landmark_count=model.scheme.landmark_count,
        hyperparameters=dict(_plain(asdict(model.hyperparameters))),
        inputs=(image,),
        outputs=outputs,
        crop=model.crop,
        max_batch=_MAX_BATCH,
        graphs={precision: graph.entry for precision, graph in graphs.items()},
        probes=_probes(model),
        checkpoint=Fingerprint(checkpoint.path.name, checkpoint.sha256),
        assets={name: Fingerprint(a.file_name, a.sha256) for name, a in model.assets.items()},
        card=CardEntry(**asdict(model.card)),
        golden=_GOLDEN,
        tools={name: version(name) for name in _TOOLS},
        options={name: str(value) for name, value in options.items()},
        files={},
    )


def golden_of(model: Model) -> Golden:
    """Return the self-test: a frame with boxes, and crops, with what the module makes of them."""
    frame, boxes = face_frame(), face_boxes()
    placement = placement_from_boxes(boxes, model.crop.from_box)
    extra = [c.pixels for c in parity_crops(model.crop.size_px) if c.name in _SELF_TEST_EXTRA]
    crops = np.concatenate([crops_from_frame(frame, placement, model.crop), np.stack(extra)])
    points = model.exact_points(crops)
    landmarks = points["landmarks"]
    if "undecided" in points:  # what rounding decides may be otherwise on another machine
        landmarks = np.where(points["undecided"][..., None], np.float32(np.nan), landmarks)
    return Golden(frame=frame, boxes=boxes, crops=crops, landmarks=landmarks)


def _probes(model: Model) -> tuple[str, ...]:
    _, outputs = contract(model)
    return model.output_names[len(outputs) :]


def _plain(values: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, PlainValue]]:
    """Yield nested hyper-parameters flat, by dotted name."""
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _plain(value, f"{prefix}{name}.")
        elif isinstance(value, tuple) and any(isinstance(item, (Mapping, tuple)) for item in value):
            numbered = {str(index): item for index, item in enumerate(value)}
            yield from _plain(numbered, f"{prefix}{name}.")
        elif isinstance(value, (bool, int, float, str, tuple)):
            yield f"{prefix}{name}", value
