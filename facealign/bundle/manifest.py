"""What a bundle says about itself: the schema of `manifest.json`, and its two conversions."""

from __future__ import annotations

import re
from collections.abc import Iterator

import msgspec

from facealign.errors import IntegrityError
from facealign.spec import BATCH, CropSpec, TensorSpec, contract_input, contract_outputs

__all__ = [
    "CALIBRATION_FACES",
    "CHECKSUM_NAME",
    "MANIFEST_NAME",
    "SCHEMA_VERSION",
    "CardEntry",
    "FileEntry",
    "Fingerprint",
    "GoldenEntry",
    "GraphEntry",
    "Manifest",
    "ParityEntry",
    "PlainValue",
    "VerdictEntry",
    "is_safe_name",
    "json_from_manifest",
    "manifest_from_json",
]

SCHEMA_VERSION = 2
MANIFEST_NAME = "manifest.json"
CHECKSUM_NAME = "manifest.sha256"
CALIBRATION_FACES = "calibration/faces.json"  # what INT8 was calibrated on, if there is INT8

PlainValue = bool | int | float | str | tuple[bool | int | float | str, ...] | None

# A graph is a protobuf message, which ends at 2 GiB; a plan may be longer.
_MAX_FILE_BYTES = 2**32
_PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]*")
_SHA256 = re.compile(r"[0-9a-f]{64}")


class _Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Base of every part of a manifest."""


class FileEntry(_Entry, frozen=True):
    """One file: its SHA-256 in lower-case hex and its size in bytes."""

    sha256: str
    size: int


class Fingerprint(_Entry, frozen=True):
    """A file that the bundle was made from: its name without folders, and its SHA-256."""

    name: str
    sha256: str


class CardEntry(_Entry, frozen=True):
    """Facts about the family, for people.

    `written_from` is what its network was written from and checked against: the authors' code, or
    the paper alone.
    """

    title: str
    paper: str
    code: str
    code_licence: str
    published: str
    written_from: str = "the authors' code"
    notes: str = ""


class ParityEntry(_Entry, frozen=True):
    """Distance of a graph from its PyTorch module, in crop pixels, and the bar it had to pass.

    `undecided_count` is the number of landmarks that were passed over, because rounding alone
    decides which of two equally high peaks of their heat map is taken. `noise_px` is how far the
    module's own landmarks move with the last bit of its weights; it was only asked for where it
    raised the bar. A graph of reduced precision has no bar here, as these crops are adversarial; it
    was judged on faces, see `VerdictEntry`.
    """

    max_px: float
    p99_px: float
    crop_count: int
    batch_sizes: tuple[int, ...]
    bar_px: float | None
    undecided_count: int = 0
    noise_px: float | None = None


class VerdictEntry(_Entry, frozen=True, kw_only=True):
    """Why a graph of reduced precision may ship: it beside the FP32 graph, on held-out crops.

    Attributes:
        faces: What the crops are, for people, such as ``wflw test``.
        crops_from: Rule that cut them: ``box``, ``landmarks``, or ``none`` if they are parity's.
        face_count: Number of crops.
        p99_px: 99th percentile of the distance between the two, over all landmarks, in crop pixels.
        max_px: The largest.
        bar_px: What `p99_px` may be; None where only the budget counts.
        drift_percent: Mean distance of a face's landmarks to those of FP32, normalised as NME is.
        nme_fp32_percent: NME of the FP32 graph; None without annotations.
        nme_percent: NME of this graph.
        change_points: What the budget bounds: `nme_percent` minus `nme_fp32_percent`, or without
            annotations `drift_percent`, which the change of NME cannot exceed.
        change_low_points: Lower end of its 95 % interval over faces.
        change_high_points: Upper end.
        budget_points: What `change_points` may be; None where only the bar counts.
        share: Of the multiply-accumulates, in the reduced precision, 0 to 1.
        left_float: Blocks of products that had to stay as they were, the most sensitive first.
    """

    faces: str
    crops_from: str
    face_count: int
    p99_px: float
    max_px: float
    bar_px: float | None = None
    drift_percent: float
    nme_fp32_percent: float | None = None
    nme_percent: float | None = None
    change_points: float
    change_low_points: float
    change_high_points: float
    budget_points: float | None = None
    share: float
    left_float: tuple[str, ...] = ()


class GraphEntry(_Entry, frozen=True):
    """One graph: a file of the bundle, and what was measured on it.

    `mac_count` is the multiply-accumulates of one crop in convolutions and matrix products.
    `golden_px` is how far the landmarks of each golden crop were from the module's when the bundle
    was made; the FP32 graph has the one tolerance of `GoldenEntry` instead. `purpose` says which
    engine the file is for. `verdict` is of a graph of reduced precision.
    """

    file: str
    opset: int
    node_count: int
    parameter_count: int
    mac_count: int
    parity: ParityEntry
    golden_px: tuple[float, ...] = ()
    purpose: str = "any engine"
    verdict: VerdictEntry | None = None


class GoldenEntry(_Entry, frozen=True, kw_only=True):
    """Files of the self-test, and how far a machine may be from them.

    `max_px` is a distance in pixels of the crop, `max_grey` a difference of grey levels.
    """

    frame: str = "golden/frame.npy"
    boxes: str = "golden/boxes.npy"
    crops: str = "golden/crops.npy"
    landmarks: str = "golden/landmarks.npy"
    max_px: float
    max_grey: float


class Manifest(_Entry, frozen=True, kw_only=True):
    """Everything a bundle says about itself; no time and no path of the machine that made it.

    Attributes:
        hyperparameters: Of the network, as plain values.
        inputs: Of every graph.
        outputs: Of every graph, in order; the probes are not among them.
        max_batch: Most crops that one run of a graph is meant for.
        graphs: By precision: ``fp32``, ``fp16``, ``int8`` and ``int8-cpu``.
        probes: Names of the points that the first-divergence finder compares.
        assets: Side files that went into the graph, by name.
        tools: Version of every library that had a part in it, by name.
        options: Resolved options of the compile, by name.
        files: Every file but the manifest and its checksum, by name relative to the bundle.
    """

    schema_version: int
    facealign_version: str
    family: str
    title: str
    scheme: str
    landmark_count: int
    hyperparameters: dict[str, PlainValue]
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    crop: CropSpec
    max_batch: int
    graphs: dict[str, GraphEntry]
    probes: tuple[str, ...]
    checkpoint: Fingerprint
    assets: dict[str, Fingerprint]
    card: CardEntry
    golden: GoldenEntry
    tools: dict[str, str]
    options: dict[str, str]
    files: dict[str, FileEntry]


class _Version(msgspec.Struct):
    """The one field that every schema has."""

    schema_version: int


def json_from_manifest(manifest: Manifest) -> bytes:
    """Return the manifest as indented JSON with sorted keys; equal manifests give equal bytes."""
    return msgspec.json.format(msgspec.json.encode(manifest, order="sorted"), indent=2) + b"\n"


def manifest_from_json(data: bytes) -> Manifest:
    """Return the manifest, strictly: nothing unknown, nothing missing, no name out of the folder.

    Raises:
        IntegrityError: If `data` is no manifest, contradicts itself, or needs a newer facealign.
    """
    try:
        version = msgspec.json.decode(data, type=_Version).schema_version
        if version > SCHEMA_VERSION:
            raise IntegrityError(
                f"`{MANIFEST_NAME}` has schema version {version} and this facealign reads "
                f"{SCHEMA_VERSION}; upgrade facealign"
            )
        if 1 <= version < SCHEMA_VERSION:
            raise IntegrityError(
                f"`{MANIFEST_NAME}` has schema version {version}, of an older facealign; compile "
                "the bundle again"
            )
        manifest = msgspec.json.decode(data, type=Manifest)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise IntegrityError(_malformed(str(error))) from error
    # Structs refuse unknown fields, the dataclasses of spec/ skip them: compare with what was said.
    if msgspec.json.decode(json_from_manifest(manifest)) != msgspec.json.decode(data):
        raise IntegrityError(_malformed(f"it is not exactly what schema {SCHEMA_VERSION} asks"))
    problem = next(_problems(manifest), None)
    if problem is not None:
        raise IntegrityError(_malformed(problem))
    return manifest


def is_safe_name(name: str) -> bool:
    """Return whether `name` is a plain relative path on every system: ``golden/crops.npy``."""
    return all(_PART.fullmatch(part) for part in name.split("/"))


def _malformed(problem: str) -> str:
    return f"`{MANIFEST_NAME}` is malformed: {problem}; compile the bundle again"


def _problems(manifest: Manifest) -> Iterator[str]:
    """Yield what the types cannot say."""
    if manifest.schema_version < 1:
        yield f"schema version {manifest.schema_version} does not exist"
    if manifest.max_batch < 1 or manifest.landmark_count < 1 or manifest.crop.size_px < 1:
        yield "max_batch, landmark_count and crop.size_px must be at least 1"
    if not manifest.graphs:
        yield "it has no graph"
    yield from _file_problems(manifest)
    yield from _tensor_problems(manifest)


def _file_problems(manifest: Manifest) -> Iterator[str]:
    for name, entry in manifest.files.items():
        if not is_safe_name(name) or name in {MANIFEST_NAME, CHECKSUM_NAME}:
            yield f"{name!r} is not a name that a file of a bundle may have"
        if not 0 <= entry.size <= _MAX_FILE_BYTES or not _SHA256.fullmatch(entry.sha256):
            yield f"size or SHA-256 of {name!r} cannot be"
    for name in _mentioned(manifest):
        if name not in manifest.files:
            yield f"it mentions {name!r}, which is not among its files"


def _tensor_problems(manifest: Manifest) -> Iterator[str]:
    if manifest.inputs != (contract_input(manifest.crop.size_px),):
        yield f"the one input must be {contract_input(manifest.crop.size_px)}"
    landmarks = contract_outputs(manifest.landmark_count)
    if manifest.outputs[:1] != landmarks:
        yield f"the first output must be {landmarks[0]}"
    for output in manifest.outputs:
        if output.dtype != "float32" or not _has_only_batch_free(output):
            yield f"output {output.name!r} must be float32 with a free batch and nothing else free"


def _has_only_batch_free(spec: TensorSpec) -> bool:
    rest = spec.shape[1:]
    return spec.shape[:1] == (BATCH,) and all(isinstance(n, int) and n > 0 for n in rest)


def _mentioned(manifest: Manifest) -> Iterator[str]:
    yield from (graph.file for graph in manifest.graphs.values())
    golden = manifest.golden
    yield from (golden.frame, golden.boxes, golden.crops, golden.landmarks)
