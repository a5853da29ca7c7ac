"""The example application: it follows a face, loses it, finds it again, and ends as it should."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from embed import landmarks_app
from embed.landmarks_app import DETECT_EVERY, Boxes, Frame, detector_of, follow, frames_of
from numpy.typing import NDArray

from facealign.bundle import read_bundle
from facealign.errors import InputError
from facealign.runtime import Landmarks, Session, open_session
from facealign.runtime.fake_engine import FakeEngine
from facealign.runtime.tensorrt import build_bundle, bundle_engine
from facealign.runtime.tensorrt.build_options import BuildOptions
from tests.doubles.host_device import HostDevice
from tests.doubles.tensorrt import TensorrtDouble

APP = Path(landmarks_app.__file__)
SHAPE = (240, 320)  # of the frames
RADIUS_PX = 24
START = "76,76,48,48"  # of the disc at (100, 100)
CLOSE_PX = 1.0  # max measured 0.21, a disc's edge in whole pixels of a crop of 16
MOVES_PX = 3  # per frame
SAME_PX = 1e-3  # the double runs the graph in ONNX Runtime


def _disc(centre: tuple[int, int] | None) -> Frame:
    frame = np.zeros((*SHAPE, 3), np.uint8)
    if centre is not None:
        cv2.circle(frame, centre, RADIUS_PX, (255, 255, 255), cv2.FILLED)
    return frame


def _ring_of_disc(crops: NDArray[np.uint8]) -> NDArray[np.floating]:
    """Return 98 landmarks on the rim of the bright disc; all in one place where there is none."""
    angle = np.linspace(0, 2 * np.pi, 98, endpoint=False)
    ring = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    found = [np.argwhere(crop[..., 0] > 127)[:, ::-1] for crop in crops]
    middles = [pixels.mean(axis=0) if len(pixels) else np.zeros(2) for pixels in found]
    radii = [np.sqrt(len(pixels) / np.pi) + 1e-3 for pixels in found]
    landmarks = [middle + radius * ring for middle, radius in zip(middles, radii, strict=True)]
    return np.asarray(np.stack(landmarks) / crops.shape[1])


@pytest.fixture
def session(tiny_bundle: Path) -> Iterator[Session]:
    """Return a session whose landmarks lie on the rim of a bright disc."""
    engine = FakeEngine(_ring_of_disc)
    with open_session(tiny_bundle, engine=engine, self_test=False) as opened:
        yield opened


def _followed(session: Session, frames: list[Frame], start: str = START) -> list[Landmarks]:
    found: list[Landmarks] = []
    follow(session, frames, detector_of(start), lambda _, faces: found.append(faces))
    return found


def test_application_is_shorter_than_100_lines() -> None:
    assert len(APP.read_text(encoding="utf-8").splitlines()) < 100


def test_follow_keeps_a_moving_face(session: Session) -> None:
    centres = [(100 + MOVES_PX * i, 100 + i) for i in range(40)]

    found = _followed(session, [_disc(centre) for centre in centres])

    middles = np.array([faces.xy[0].mean(axis=0) for faces in found])
    assert np.abs(middles - centres).max() < CLOSE_PX


def test_follow_calls_back_once_per_frame(session: Session) -> None:
    assert len(_followed(session, [_disc((100, 100))] * 7)) == 7


def test_follow_looks_where_it_started_after_a_loss(session: Session) -> None:
    away = [_disc((100 + MOVES_PX * i, 100)) for i in range(30)]
    frames = [*away, _disc(None), _disc(None), _disc((100, 100))]

    found = _followed(session, frames)

    assert np.abs(found[-1].xy[0].mean(axis=0) - (100, 100)).max() < CLOSE_PX
    assert found[-2].boxes.tolist() == [[76, 76, 124, 124]]


def test_follow_gives_no_faces_where_a_detector_finds_none(session: Session) -> None:
    found: list[int] = []

    follow(
        session,
        [_disc(None)] * 3,
        lambda _frame, followed: followed,
        lambda _, faces: found.append(len(faces)),
    )

    assert found == [0, 0, 0]


def test_follow_asks_the_detector_again_now_and_then(session: Session) -> None:
    asked: list[int] = []
    start = detector_of(START)

    def detect(frame: Frame, followed: Boxes) -> Boxes:
        asked.append(len(followed))
        return start(frame, followed)

    follow(session, [_disc((100, 100))] * (DETECT_EVERY + 2), detect, lambda *_: None)

    assert asked == [0, 1]


def test_follow_drops_a_face_that_leaves_the_frame(session: Session) -> None:
    centres = [(100 - MOVES_PX * i, 100) for i in range(50)]

    found = _followed(session, [_disc(centre) for centre in centres])

    assert found[-1].boxes.tolist() == [[76, 76, 124, 124]]  # it looks at the start


def test_follow_gives_the_same_on_doubles_of_tensorrt_and_cuda(
    tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = HostDevice()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setitem(sys.modules, "tensorrt", TensorrtDouble("10.3", device).module)
    monkeypatch.setattr(build_bundle, "open_device", lambda: device)
    monkeypatch.setattr(bundle_engine, "open_device", lambda: device)
    monkeypatch.delenv("FACEALIGN_PLAN_KEY", raising=False)
    with build_bundle.open_builder(read_bundle(tiny_bundle), BuildOptions(max_batch=4)) as builder:
        builder.build("fp32")
    frames = [_disc((100 + MOVES_PX * i, 100)) for i in range(5)]

    with open_session(tiny_bundle) as ort, open_session(tiny_bundle, engine="tensorrt") as trt:
        expected, found = _followed(ort, frames), _followed(trt, frames)

    assert trt.engine_name == "tensorrt"
    differences = [np.abs(a.xy - b.xy).max() for a, b in zip(expected, found, strict=True)]
    assert max(differences) < SAME_PX


class _YuNetDouble:
    """A double of `cv2.FaceDetectorYN`: one face, or none in a black frame."""

    @classmethod
    def create(cls, _path: str, _config: str, _size: tuple[int, int]) -> _YuNetDouble:
        return cls()

    def setInputSize(self, size: tuple[int, int]) -> None:  # noqa: N802  # OpenCV's name
        self.size = size

    def detect(self, frame: Frame) -> tuple[int, NDArray[np.float32] | None]:
        assert self.size == frame.shape[1::-1]
        face = np.array([[10, 20, 30, 40, *range(11)]], np.float32)
        return 1, face if frame.any() else None


def test_detector_turns_yunets_faces_into_corners(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cv2, "FaceDetectorYN", _YuNetDouble)

    detect = detector_of("yunet.onnx")

    followed = np.array([[1.0, 2.0, 3.0, 4.0]])
    assert detect(_disc((100, 100)), followed).tolist() == [[10, 20, 40, 60]]
    assert detect(_disc(None), followed) is followed


def _write_video(path: Path, frames: list[Frame]) -> Path:
    """Write a video, or skip the test where this OpenCV cannot."""
    size = (frames[0].shape[1], frames[0].shape[0])
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 25, size)
    if not writer.isOpened():
        pytest.skip("this OpenCV writes no video")
    for frame in frames:
        writer.write(frame)
    writer.release()
    return path


def test_frames_of_a_video_end_with_it(tmp_path: Path) -> None:
    video = _write_video(tmp_path / "discs.avi", [_disc((100, 100))] * 5)

    frames = list(frames_of(str(video)))

    assert [frame.shape for frame in frames] == [(*SHAPE, 3)] * 5


def test_frames_of_a_folder_come_by_name(tmp_path: Path) -> None:
    for name, grey in (("b", 20), ("a", 10)):
        cv2.imwrite(str(tmp_path / f"{name}.png"), np.full((4, 4, 3), grey, np.uint8))

    assert [int(frame[0, 0, 0]) for frame in frames_of(str(tmp_path))] == [10, 20]


def _process(*arguments: str | Path) -> subprocess.Popen[str]:
    command = [sys.executable, str(APP), *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_application_prints_a_line_per_frame(tiny_bundle: Path, tmp_path: Path) -> None:
    video = _write_video(tmp_path / "discs.avi", [_disc((100, 100))] * 5)

    stdout, stderr = _process(tiny_bundle, video, START).communicate(timeout=60)

    lines = [json.loads(line) for line in stdout.splitlines()]
    assert stderr == ""
    assert [line["frame"] for line in lines] == list(range(5))
    assert np.shape(lines[0]["landmarks"]) == (1, 98, 2)


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Let children hear Ctrl-C: those of a job in the background inherit that it is ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT to send")
def test_application_ends_quietly_on_ctrl_c(tiny_bundle: Path, tmp_path: Path) -> None:
    video = _write_video(tmp_path / "long.avi", [_disc((100, 100))] * 2000)
    process = _process(tiny_bundle, video, START)
    assert process.stdout is not None
    first = process.stdout.readline()

    process.send_signal(signal.SIGINT)
    rest, stderr = process.communicate(timeout=60)

    assert (process.returncode, stderr) == (130, "")
    assert json.loads(first)["frame"] == 0
    assert len(rest.splitlines()) < 1999


@pytest.mark.parametrize(
    "text", ["1,2,3", "a,b,c,d", "no-such.onnx", str(APP)], ids=["three", "words", "none", "text"]
)
def test_detector_refuses_what_is_neither_a_box_nor_a_model(text: str) -> None:
    with pytest.raises(InputError, match="is neither a box, X,Y,W,H, nor YuNet's model file"):
        detector_of(text)


@pytest.mark.parametrize(
    ("source", "more", "words"),
    [
        ("nothing.mp4", [], "error: cannot open `nothing.mp4`; pass the number of a camera"),
        ("bundle", ["--precision", "fp64"], "error: the bundle has no 'fp64' graph"),
        ("bundle", ["--engine", "torch"], "error: there is no engine 'torch'"),
    ],
    ids=["source", "precision", "engine"],
)
def test_application_says_in_one_line_what_is_wrong(
    tiny_bundle: Path, source: str, more: list[str], words: str
) -> None:
    process = _process(tiny_bundle, source, START, *more)

    stdout, stderr = process.communicate(timeout=60)

    assert (process.returncode, stdout) == (1, "")
    assert words in stderr.splitlines()[-1]
    assert "Traceback" not in stderr
