"""Open a bundle and run it on frames."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from facealign.bundle import Bundle, Manifest, read_bundle
from facealign.errors import BackendError, SelfTestError, UsageError
from facealign.geometry import crops_from_frame, frame_from_crop, placement_from_boxes
from facealign.runtime.engine import Engine, open_engine
from facealign.runtime.frame_engine import FrameEngine, frames_of
from facealign.runtime.inputs import (
    boxes_from_input,
    check_boxes_in_frame,
    check_crops,
    check_frame,
)
from facealign.runtime.self_test import check_golden, check_golden_crops
from facealign.spec import Landmarks, Scheme, TensorSpec, scheme_by_name

__all__ = ["Session", "open_session"]

_logger = logging.getLogger(__name__)


def open_session(
    bundle: Path | str | Bundle,
    *,
    engine: str | Engine = "onnxruntime",
    precision: str = "fp32",
    threads: int | None = None,
    self_test: bool = True,
) -> Session:
    """Return a session on a bundle, checked byte for byte and then by its golden landmarks.

    Args:
        bundle: Folder of a bundle, or one that is read already.
        engine: Name of an engine, or an open one; the session closes it either way.
        precision: Which graph; ignored when `engine` is an open one.
        threads: Threads of one run; if None, what `OMP_NUM_THREADS` says, or one per core.
        self_test: Whether to run the golden crops first. It costs one run of some crops.

    Raises `UsageError` if there is no such bundle, engine or precision; `IntegrityError` if the
    bundle is corrupt, forged or from a newer facealign; `BackendError` if the engine's library is
    absent or cannot open the graph; `SelfTestError` if this machine does not give the golden crops
    and landmarks.
    """
    if not isinstance(bundle, Bundle):
        bundle = read_bundle(bundle)
    if isinstance(engine, str):
        engine = open_engine(bundle, name=engine, precision=precision, threads=threads)
    session = Session(engine, bundle.manifest)
    if self_test:
        try:
            check_golden(bundle, precision=precision, run_crops=session.run_crops)
            session.check_frames(bundle)
        except BaseException:
            session.close()
            raise
    return session


@final
class Session:
    """A bundle that is ready to run; a context manager.

    `run` and `run_crops` may be called from several threads at once and give the same results.
    """

    __slots__ = ("_engine", "_frames", "_is_closed", "manifest", "scheme")

    def __init__(self, engine: Engine, manifest: Manifest) -> None:
        self._engine = engine
        self._frames: FrameEngine | None = frames_of(engine)
        self._is_closed = False
        self.manifest: Manifest = manifest
        self.scheme: Scheme = scheme_by_name(manifest.scheme, manifest.landmark_count)

    @property
    def engine_name(self) -> str:
        """Name of the engine, such as ``onnxruntime``."""
        return self._engine.name

    def run(self, frame: NDArray[np.uint8], boxes: ArrayLike) -> Landmarks:
        """Return the landmarks of the face in each box.

        A box may reach outside the frame: what is missing is filled with the crop rule's border.
        A box that is not finite, inverted or flat, smaller than 2 px across, more than a million
        pixels away or wholly outside the frame is an error that names its index, and then no box
        is run. Without boxes the result has no faces and the engine is not called.

        Args:
            frame: ``(H, W, 3)`` uint8 BGR, as OpenCV reads it; any H and W, any strides.
            boxes: ``(F, 4)`` ``(x0, y0, x1, y1)`` frame pixels, array or lists, F from 0 up. More
                than one run of the engine takes are run in turns.

        Returns:
            F faces in the order of `boxes`, in frame pixels, with pose or score if the family gives
            them.

        Raises `ShapeError` if `frame` or `boxes` is not of that shape and type, `InputError` if a
        box cannot be used, `UsageError` if the session is closed and `BackendError` if the engine
        fails.
        """
        self._check_open()
        frame = check_frame(frame)
        corners = boxes_from_input(boxes)
        check_boxes_in_frame(corners, frame)
        placement = placement_from_boxes(corners, self.manifest.crop.from_box)
        if self._frames is not None and len(placement):
            outputs = self._checked(self._frames.run_frame(frame, placement), len(placement))
        else:
            outputs = self.run_crops(crops_from_frame(frame, placement, self.manifest.crop))
        return Landmarks(
            xy=frame_from_crop(outputs["landmarks"], placement).astype(np.float32),
            boxes=corners,
            scheme=self.manifest.scheme,
            pose=outputs.get("pose"),
            score=outputs.get("score"),
        )

    def run_crops(self, crops: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
        """Return every output of the graph, by name.

        Args:
            crops: ``(K, S, S, 3)`` uint8 BGR of the bundle's crop size, K from 0 up.

        Returns:
            ``landmarks`` is ``(K, N, 2)`` float32, a fraction of the crop; ``pose`` ``(K, 6)`` and
            ``score`` ``(K, N)`` are there if the family gives them, as in `Landmarks`.

        Raises `ShapeError` if `crops` is not of that shape and type, `UsageError` if the session is
        closed and `BackendError` if the engine fails or breaks the promise of the manifest.
        """
        self._check_open()
        crops = check_crops(crops, self.manifest.crop.size_px)
        step = self._engine.max_batch
        starts = range(0, len(crops), step)
        runs = [self._run_batch(crops[start : start + step]) for start in starts]
        if len(runs) == 1:
            return {output.name: runs[0][output.name] for output in self.manifest.outputs}
        return {
            output.name: np.concatenate([_no_rows(output), *(run[output.name] for run in runs)])
            for output in self.manifest.outputs
        }

    def check_frames(self, bundle: Bundle) -> None:
        """Cut crops on the CPU from now on if the engine does not give the golden ones.

        What the CPU cuts is the rule, so nothing is lost by it but time; a log line says so.
        """
        if self._frames is None:
            return
        try:
            check_golden_crops(bundle, self._frames.crops_from_frame)
        except SelfTestError as error:
            _logger.warning("crops are cut on the CPU: %s", error)
            self._frames = None

    def close(self) -> None:
        """Free the engine; a second call does nothing."""
        self._is_closed = True
        self._engine.close()

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _check_open(self) -> None:
        if self._is_closed:
            raise UsageError("the session is closed; open a new one with `open_session`")

    def _run_batch(self, crops: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
        return self._checked(self._engine.run(np.ascontiguousarray(crops)), len(crops))

    def _checked(
        self, outputs: dict[str, NDArray[np.float32]], count: int
    ) -> dict[str, NDArray[np.float32]]:
        """Return the outputs of `count` crops, checked against the manifest.

        Raises:
            BackendError: If they are not what it promises, or no numbers.
        """
        for promised in self.manifest.outputs:
            found = outputs.get(promised.name)
            expected = (count, *promised.shape[1:])
            if found is None or found.shape != expected or found.dtype != np.float32:
                got = "nothing" if found is None else f"{found.shape} {found.dtype}"
                raise BackendError(
                    f"the engine `{self.engine_name}` must give `{promised.name}` {expected} "
                    f"float32, got {got}; compile the bundle again"
                )
            if not np.isfinite(found).all():
                raise BackendError(
                    f"the engine `{self.engine_name}` gave a `{promised.name}` that is no number; "
                    "try another precision"
                )
        return outputs


def _no_rows(output: TensorSpec) -> NDArray[np.float32]:
    return np.empty((0, *(int(axis) for axis in output.shape[1:])), np.float32)
