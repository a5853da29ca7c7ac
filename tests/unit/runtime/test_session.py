from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from facealign.bundle import Golden, Manifest, read_bundle, write_bundle
from facealign.errors import BackendError, InputError, IntegrityError, ShapeError, UsageError
from facealign.geometry import crops_from_frame, frame_from_crop, placement_from_boxes
from facealign.runtime import Session, open_session
from facealign.runtime.fake_engine import FakeEngine
from facealign.spec import TensorSpec, contract_outputs

SAME = 1e-6  # of the crop; measured 1.2e-7
SAME_PX = 1e-3  # of the frame; measured 2e-6
BOXES: list[list[float]] = [
    [10.2, 8.7, 90.1, 79.0],
    [40, 30, 100, 100],
    [-30, -20, 40, 60],
    [120, 90, 190, 150],
]


def corner_and_mean(crops: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return landmark 0 at the crop's top left, the others at a place that depends on the crop."""
    landmarks = np.zeros((len(crops), 98, 2))
    landmarks[:, 1:] = crops.mean(axis=(1, 2, 3))[:, None, None] / 255
    return landmarks


@pytest.fixture
def open_fake(tiny_bundle: Path) -> Callable[..., tuple[Session, FakeEngine]]:
    """Return a function that opens a session on a fake engine without its self-test."""

    def open_it(
        landmarks_from_crops: Callable[[NDArray[np.uint8]], NDArray[np.floating]] = corner_and_mean,
        *,
        max_batch: int = 4,
    ) -> tuple[Session, FakeEngine]:
        engine = FakeEngine(landmarks_from_crops, max_batch=max_batch)
        return open_session(tiny_bundle, engine=engine, self_test=False), engine

    return open_it


def test_run_returns_landmarks_in_frame_pixels(
    open_fake: Callable[..., tuple[Session, FakeEngine]], frame: NDArray[np.uint8]
) -> None:
    session, _ = open_fake()

    landmarks = session.run(frame, [[10, 20, 50, 80]])

    side = 1.15 * 60  # the tiny bundle's rule
    np.testing.assert_allclose(landmarks.xy[0, 0], [30 - side / 2, 50 - side / 2], atol=1e-4)
    assert landmarks.xy.dtype == np.float32
    assert landmarks.scheme == "wflw98"
    np.testing.assert_array_equal(landmarks.boxes, [[10, 20, 50, 80]])


def test_run_gives_the_golden_landmarks_in_frame_pixels(
    tiny_bundle: Path, tiny_golden: Golden, tiny_manifest: Manifest
) -> None:
    placement = placement_from_boxes(tiny_golden.boxes, tiny_manifest.crop.from_box)

    with open_session(tiny_bundle) as session:
        found = session.run(tiny_golden.frame, tiny_golden.boxes)

    expected = frame_from_crop(tiny_golden.landmarks[:2], placement)
    np.testing.assert_allclose(found.xy, expected, rtol=0, atol=SAME_PX)


def test_run_crops_gives_the_golden_landmarks(tiny_bundle: Path, tiny_golden: Golden) -> None:
    with open_session(tiny_bundle, threads=1) as session:
        landmarks = session.run_crops(tiny_golden.crops)["landmarks"]

    np.testing.assert_allclose(landmarks, tiny_golden.landmarks, rtol=0, atol=SAME)


def test_run_gives_no_faces_for_no_boxes(
    open_fake: Callable[..., tuple[Session, FakeEngine]], frame: NDArray[np.uint8]
) -> None:
    session, engine = open_fake()

    landmarks = session.run(frame, [])

    assert len(landmarks) == 0
    assert landmarks.xy.shape == (0, 98, 2)
    assert landmarks.boxes.shape == (0, 4)
    assert engine.batch_sizes == []


@pytest.mark.parametrize(
    ("count", "batch_sizes"),
    [
        pytest.param(1, [1], id="one"),
        pytest.param(3, [3], id="full"),
        pytest.param(4, [3, 1], id="one-more"),
        pytest.param(10, [3, 3, 3, 1], id="many"),
    ],
)
def test_run_splits_by_what_the_engine_takes(
    open_fake: Callable[..., tuple[Session, FakeEngine]],
    frame: NDArray[np.uint8],
    count: int,
    batch_sizes: list[int],
) -> None:
    session, engine = open_fake(max_batch=3)

    landmarks = session.run(frame, [[i, i, 40 + 5 * i, 60] for i in range(count)])

    assert engine.batch_sizes == batch_sizes
    assert len(landmarks) == count


def test_run_gives_the_same_for_a_face_alone_and_among_others(
    tiny_bundle: Path, frame: NDArray[np.uint8]
) -> None:
    with open_session(tiny_bundle) as session:
        together = session.run(frame, BOXES * 3).xy
        alone = np.concatenate([session.run(frame, [box]).xy for box in BOXES * 3])

    np.testing.assert_allclose(together, alone, rtol=0, atol=SAME_PX)
    assert np.abs(together[0] - together[1]).max() > 1


@pytest.mark.parametrize(
    "box",
    [
        pytest.param([-1000, -900, 1200, 1100], id="frame-within-box"),
        pytest.param([-1e6, -1e6, 1e6, 1e6], id="as-huge-as-allowed"),
        pytest.param([80, 60, 82, 61], id="as-tiny-as-allowed"),
        pytest.param([-0.9, -0.9, 1.1, 1.1], id="tiny-across-zero"),
        pytest.param([159, 119, 400, 400], id="last-pixel"),
        pytest.param([0, 60, 160, 60.001], id="thin"),
    ],
)
def test_run_gives_finite_landmarks_for_any_box_that_touches_the_frame(
    tiny_bundle: Path, frame: NDArray[np.uint8], box: list[float]
) -> None:
    with open_session(tiny_bundle) as session:
        landmarks = session.run(frame, [box])

    assert np.isfinite(landmarks.xy).all()


@pytest.mark.parametrize(
    ("box", "message"),
    [
        pytest.param([200, 10, 240, 50], "lies outside the frame of 160 x 120 px", id="outside"),
        pytest.param([np.nan, 10, 240, 50], "is not finite", id="nan"),
        pytest.param([50, 50, 10, 10], "has no area", id="inverted"),
    ],
)
def test_run_names_the_bad_box_and_runs_none(
    open_fake: Callable[..., tuple[Session, FakeEngine]],
    frame: NDArray[np.uint8],
    box: list[float],
    message: str,
) -> None:
    session, engine = open_fake()

    with pytest.raises(InputError, match=f"^box 4 .*{message}"):
        session.run(frame, [*BOXES, box])

    assert engine.batch_sizes == []


def test_run_rejects_a_grey_frame(open_fake: Callable[..., tuple[Session, FakeEngine]]) -> None:
    session, _ = open_fake()

    with pytest.raises(ShapeError, match=r"it looks grey, so pass `cv2.cvtColor"):
        session.run(np.zeros((8, 8), np.uint8), BOXES)


def test_run_crops_rejects_another_size(
    open_fake: Callable[..., tuple[Session, FakeEngine]],
) -> None:
    session, _ = open_fake()

    with pytest.raises(ShapeError, match=r"`crops` must be \(K, 16, 16, 3\) uint8 BGR"):
        session.run_crops(np.zeros((1, 32, 32, 3), np.uint8))


def test_run_leaves_frame_and_boxes_alone(tiny_bundle: Path, frame: NDArray[np.uint8]) -> None:
    frame_before, boxes = frame.copy(), np.array(BOXES)

    with open_session(tiny_bundle) as session:
        session.run(frame, boxes).boxes[:] = -1

    np.testing.assert_array_equal(frame, frame_before)
    np.testing.assert_array_equal(boxes, BOXES)


def test_run_gives_the_same_from_eight_threads(tiny_bundle: Path, frame: NDArray[np.uint8]) -> None:
    frames = [np.roll(frame, 3 * shift, axis=1) for shift in range(8)]

    with open_session(tiny_bundle) as session:
        expected = [session.run(one, BOXES).xy for one in frames]
        with ThreadPoolExecutor(8) as pool:
            found = list(pool.map(lambda one: session.run(one, BOXES).xy, frames * 8))

    np.testing.assert_array_equal(np.array(found), np.array(expected * 8))


def test_session_is_closed_by_its_context(
    open_fake: Callable[..., tuple[Session, FakeEngine]], frame: NDArray[np.uint8]
) -> None:
    session, engine = open_fake()

    with session:
        pass

    assert engine.is_closed
    with pytest.raises(UsageError, match="the session is closed; open a new one with `open_sess"):
        session.run(frame, [])


def test_session_names_its_engine_and_scheme(
    open_fake: Callable[..., tuple[Session, FakeEngine]],
) -> None:
    session, _ = open_fake()

    assert session.engine_name == "fake"
    assert session.scheme.landmark_count == 98
    assert session.manifest.family == "tiny"


@pytest.mark.parametrize(
    ("landmarks_from_crops", "message"),
    [
        pytest.param(
            lambda crops: np.zeros((1, 98, 2)) * len(crops),
            r"`fake` must give `landmarks` \(2, 98, 2\) float32, got \(1, 98, 2\) float32",
            id="one-of-two",
        ),
        pytest.param(
            lambda crops: np.full((len(crops), 98, 2), np.nan),
            r"gave a `landmarks` that is no number; try another precision",
            id="nan",
        ),
    ],
)
def test_run_crops_refuses_what_the_manifest_does_not_promise(
    open_fake: Callable[..., tuple[Session, FakeEngine]],
    landmarks_from_crops: Callable[[NDArray[np.uint8]], NDArray[np.floating]],
    message: str,
) -> None:
    session, _ = open_fake(landmarks_from_crops)

    with pytest.raises(BackendError, match=message):
        session.run_crops(np.zeros((2, 16, 16, 3), np.uint8))


def test_run_crops_misses_an_output_that_the_manifest_promises(
    tmp_path: Path, tiny_manifest: Manifest, tiny_files: dict[str, bytes]
) -> None:
    outputs = (*tiny_manifest.outputs, TensorSpec("pose", "float32", ("B", 6)))
    manifest = msgspec.structs.replace(tiny_manifest, outputs=outputs)
    bundle = write_bundle(tmp_path / "posed", manifest, tiny_files)
    session = open_session(bundle, engine=FakeEngine(corner_and_mean), self_test=False)

    with pytest.raises(BackendError, match=r"must give `pose` \(2, 6\) float32, got nothing"):
        session.run_crops(np.zeros((2, 16, 16, 3), np.uint8))


def test_run_crops_of_none_has_the_shapes_of_the_manifest(
    open_fake: Callable[..., tuple[Session, FakeEngine]],
) -> None:
    session, _ = open_fake()

    outputs = session.run_crops(np.empty((0, 16, 16, 3), np.uint8))

    assert outputs["landmarks"].shape == (0, 98, 2)


def test_run_passes_on_the_failure_of_its_engine(
    tiny_bundle: Path, frame: NDArray[np.uint8]
) -> None:
    engine = FakeEngine(corner_and_mean, max_batch=1, failure=BackendError("gone"), fail_at=2)
    session = open_session(tiny_bundle, engine=engine, self_test=False)

    with pytest.raises(BackendError, match="gone"):
        session.run(frame, BOXES)


def test_open_session_takes_a_bundle_that_is_read_already(tiny_bundle: Path) -> None:
    with open_session(read_bundle(tiny_bundle)) as session:
        assert session.manifest.family == "tiny"


def test_open_session_refuses_a_changed_graph(tiny_bundle: Path) -> None:
    graph = tiny_bundle / "model.fp32.onnx"
    graph.write_bytes(graph.read_bytes()[:-1] + b"x")

    with pytest.raises(IntegrityError, match=r"model.fp32.onnx` is not what the bundle was made"):
        open_session(str(tiny_bundle))


def test_open_session_is_quiet(tiny_bundle: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with open_session(tiny_bundle) as session:
        session.run_crops(np.zeros((5, 16, 16, 3), np.uint8))

    assert capfd.readouterr() == ("", "")


def test_run_gives_pose_and_score_in_the_order_of_the_boxes(
    tmp_path: Path,
    tiny_manifest: Manifest,
    tiny_files: dict[str, bytes],
    frame: NDArray[np.uint8],
) -> None:
    outputs = contract_outputs(98, ("pose", "score"))
    manifest = msgspec.structs.replace(tiny_manifest, outputs=outputs)
    bundle = write_bundle(tmp_path / "posed", manifest, tiny_files)
    extra = {"pose": grey_of(6), "score": grey_of(98)}
    engine = FakeEngine(corner_and_mean, extra=extra, max_batch=3)
    session = open_session(bundle, engine=engine, self_test=False)

    landmarks = session.run(frame, BOXES)

    assert landmarks.pose is not None
    assert landmarks.score is not None
    grey = greys_of_boxes(session, frame)
    np.testing.assert_allclose(landmarks.pose, np.tile(grey[:, None], 6), atol=SAME)
    np.testing.assert_allclose(landmarks.score, np.tile(grey[:, None], 98), atol=SAME)


def test_run_gives_no_pose_where_the_family_has_none(
    open_fake: Callable[..., tuple[Session, FakeEngine]], frame: NDArray[np.uint8]
) -> None:
    session, _ = open_fake()

    landmarks = session.run(frame, BOXES)

    assert landmarks.pose is None
    assert landmarks.score is None


def grey_of(count: int) -> Callable[[NDArray[np.uint8]], NDArray[np.floating]]:
    """Return a function that gives the mean grey of each crop, `count` times."""
    return lambda crops: np.tile(crops.mean(axis=(1, 2, 3))[:, None] / 255, count)


def greys_of_boxes(session: Session, frame: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return the mean grey of the crop of each of `BOXES`."""
    placement = placement_from_boxes(np.array(BOXES), session.manifest.crop.from_box)
    crops = crops_from_frame(frame, placement, session.manifest.crop)
    return np.asarray(crops.mean(axis=(1, 2, 3)) / 255)
