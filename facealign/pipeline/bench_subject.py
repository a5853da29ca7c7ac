"""What a measuring process measures: one graph of a bundle on one engine, on a golden frame."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from facealign.bench.result import GpuTimes
from facealign.bench.worker import Run
from facealign.bundle import Bundle, Manifest, read_bundle
from facealign.errors import SelfTestError, UsageError
from facealign.geometry import crops_from_frame, placement_from_boxes
from facealign.runtime.engine import Engine, open_engine
from facealign.runtime.frame_engine import frames_of
from facealign.runtime.session import Session, open_session

__all__ = [
    "CROP",
    "END_TO_END",
    "FORWARD",
    "PYTORCH",
    "BundleSubject",
    "SubjectSpec",
    "open_subject",
]

FORWARD, END_TO_END, CROP = "forward", "end to end", "crop"
PYTORCH = "pytorch"


class SubjectSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to open.

    Attributes:
        bundle: Folder.
        engine: Of `engine_names`, or ``pytorch``.
        precision: Graph of the bundle.
        batch: Crops of a run.
        threads: As `open_session` has it.
        checkpoint: For ``pytorch``.
    """

    bundle: str
    engine: str
    precision: str
    batch: int
    threads: int | None = None
    checkpoint: str | None = None


def open_subject(line: bytes) -> BundleSubject:
    """Return what a line of JSON, a `SubjectSpec`, describes, after its self-test.

    Raises:
        FacealignError: What `open_session` and reading the checkpoint raise; `UsageError` if the
            checkpoint is not that of the bundle.
    """
    spec = msgspec.json.decode(line, type=SubjectSpec)
    bundle = read_bundle(spec.bundle)
    with ExitStack() as stack:
        engine = _engine(bundle, spec)
        stack.callback(engine.close)
        session = _session(bundle, engine, spec)
        stack.pop_all()  # the session closes it
    return BundleSubject(bundle, engine, session, precision=spec.precision, batch=spec.batch)


class BundleSubject:
    """A `Subject`: the engine alone, the session from the frame on, and the crops alone.

    The frame and the boxes are the golden ones of the bundle, again and again until there are as
    many as the batch; those that reach out of the frame are left out, as distances on a face that
    is cut off say little about a precision.
    """

    def __init__(
        self, bundle: Bundle, engine: Engine, session: Session, *, precision: str, batch: int
    ) -> None:
        self._read_graph = partial(bundle.read_file, bundle.manifest.graphs[precision].file)
        golden, rule = bundle.golden(), bundle.manifest.crop
        self._engine, self._session = engine, session
        self._frame, self._inside = golden.frame, _boxes_inside(golden.boxes, golden.frame)
        self._size_px = rule.size_px
        boxes = self._boxes(batch)
        placement = placement_from_boxes(boxes, rule.from_box)
        self._crops = crops_from_frame(golden.frame, placement, rule)
        runs: dict[str, Run] = {
            FORWARD: partial(engine.run, self._crops),
            END_TO_END: partial(session.run, golden.frame, boxes),
        }
        # A larger batch scatters by more than a session costs. On a GPU nobody cuts them here.
        if batch == 1 and frames_of(engine) is None:
            runs[CROP] = partial(crops_from_frame, golden.frame, placement, rule)
        self.runs: Mapping[str, Run] = runs

    def landmarks_px(self) -> NDArray[np.float64]:
        """Return the ``(B, N, 2)`` landmarks of the crops that are timed, in crop pixels."""
        found = self._session.run_crops(self._crops)["landmarks"]
        return self._size_px * found.astype(np.float64)

    def frame_run(self, faces: int) -> Run:
        """Return what finds so many faces in the frame."""
        return partial(self._session.run, self._frame, self._boxes(faces))

    def gpu_times(self, count: int) -> GpuTimes | None:
        """Return so many runs by the GPU's clock, in trtexec's terms, or None without a GPU."""
        if "facealign.runtime.tensorrt.engine" not in sys.modules:
            return None
        from facealign.pipeline.bench_gpu import gpu_times_of
        from facealign.runtime.tensorrt.engine import TensorrtEngine

        if not isinstance(self._engine, TensorrtEngine):
            return None
        return gpu_times_of(self._engine, self._crops, self._read_graph(), count=count)

    def close(self) -> None:
        """Free the engine."""
        self._session.close()

    def _boxes(self, count: int) -> NDArray[np.float64]:
        return np.resize(self._inside, (count, 4))


def _boxes_inside(boxes: NDArray[np.float64], frame: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return the boxes that lie in the frame; all of them if none does."""
    height, width = frame.shape[:2]
    is_inside = (boxes[:, :2] >= 0).all(1) & (boxes[:, 2:] <= (width, height)).all(1)
    return boxes[is_inside] if is_inside.any() else boxes


class _ModuleEngine:
    """The module of a checkpoint, eager, as an `Engine`."""

    name = PYTORCH

    def __init__(self, path: Path, bundle: Bundle) -> None:
        from facealign.models.checkpoint import read_checkpoint
        from facealign.models.detect import detect
        from facealign.models.load import assemble, load_assets

        manifest = bundle.manifest
        checkpoint = read_checkpoint(path)
        settings = {name: int(value) for name, value in _settings(manifest).items()}
        detection = detect(checkpoint.shapes, settings=settings, family=manifest.family)
        assets = load_assets(detection, _bundled_assets(bundle))
        self.max_batch = manifest.max_batch
        self._names = [output.name for output in manifest.outputs]
        self._model = assemble(checkpoint, detection, assets)

    def run(self, crops: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
        """Return the outputs by name."""
        points = self._model.points(crops)
        return {name: points[name] for name in self._names}

    def close(self) -> None:
        """Do nothing; the process ends soon."""


def _settings(manifest: Manifest) -> Mapping[str, int | str]:
    """Return the hyper-parameters among the options of the compile: those that are numbers."""
    return {name: value for name, value in manifest.options.items() if str(value).isdecimal()}


def _bundled_assets(bundle: Bundle) -> tuple[str, ...]:
    return tuple(
        f"{name}={bundle.folder / 'assets' / f'{name}.npy'}" for name in bundle.manifest.assets
    )


def _engine(bundle: Bundle, spec: SubjectSpec) -> Engine:
    if spec.engine != PYTORCH:
        return open_engine(bundle, name=spec.engine, precision=spec.precision, threads=spec.threads)
    if spec.checkpoint is None:
        raise UsageError("PyTorch needs the checkpoint; pass `--checkpoint FILE`")
    return _ModuleEngine(Path(spec.checkpoint), bundle)


def _session(bundle: Bundle, engine: Engine, spec: SubjectSpec) -> Session:
    """Return the session after its self-test.

    Raises:
        UsageError: If the checkpoint does not give the golden landmarks.
        SelfTestError: If an engine does not.
    """
    try:
        return open_session(bundle, engine=engine, precision=spec.precision)
    except SelfTestError as error:
        if spec.engine != PYTORCH:
            raise
        raise UsageError(
            f"`{spec.checkpoint}` is not the network of this bundle, which was compiled from "
            f"`{bundle.manifest.checkpoint.name}`: {error}"
        ) from error
