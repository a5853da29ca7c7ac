"""Images that are files: read, missing, or no images."""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from facealign.datasets.image import ImageFile, check_images_exist, read_image
from facealign.errors import DatasetError, InputError
from tests.unit.datasets.official import WriteImage


def _images(folder: Path, count: int) -> list[ImageFile]:
    return [ImageFile(f"{index}.png", folder / f"{index}.png") for index in range(count)]


def test_image_file_gives_its_pixels(tmp_path: Path, write_image: WriteImage) -> None:
    written = write_image(tmp_path / "a.png")

    np.testing.assert_array_equal(ImageFile("a.png", tmp_path / "a.png").read(), written)


def test_image_file_that_is_gone_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cannot read image `.*a\.png`: No such file"):
        ImageFile("a.png", tmp_path / "a.png").read()


def test_images_that_are_all_there_pass(tmp_path: Path, write_image: WriteImage) -> None:
    write_image(tmp_path / "0.png")

    check_images_exist(_images(tmp_path, 1) * 2, owner="`list.txt`", advice="unpack it")


def test_all_missing_images_are_listed_and_the_first_are_named(
    tmp_path: Path, write_image: WriteImage
) -> None:
    write_image(tmp_path / "1.png")
    images = _images(tmp_path, 6)

    with pytest.raises(
        DatasetError,
        match=r"^5 of the 6 images of `list.txt` are missing "
        r"\(`0.png`, `2.png`, `3.png` and 2 more\); unpack it$",
    ) as caught:
        check_images_exist([*images, *images], owner="`list.txt`", advice="unpack it")

    assert caught.value.items == tuple(str(tmp_path / f"{i}.png") for i in (0, 2, 3, 4, 5))


def test_few_missing_images_are_all_named_in_the_line(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"missing \(`0.png`, `1.png`, `2.png`\); unpack"):
        check_images_exist(_images(tmp_path, 3), owner="`list.txt`", advice="unpack it")


def test_image_whose_name_is_too_long_is_missing(tmp_path: Path) -> None:
    name = "a" * 300

    with pytest.raises(DatasetError, match=r"1 of the 1 images of `list.txt` are missing"):
        check_images_exist([ImageFile(name, tmp_path / name)], owner="`list.txt`", advice="-")


def test_read_image_makes_eight_bits_of_sixteen(tmp_path: Path, frame: NDArray[np.uint8]) -> None:
    cv2.imwrite(str(tmp_path / "deep.png"), frame.astype(np.uint16) * 257)

    np.testing.assert_array_equal(read_image(tmp_path / "deep.png"), frame)


@pytest.mark.parametrize("ending", [".png", ".jpg"])
def test_read_image_refuses_half_a_file_without_a_word_of_the_codec(
    tmp_path: Path,
    frame: NDArray[np.uint8],
    capfd: pytest.CaptureFixture[str],
    ending: str,
) -> None:
    data = cv2.imencode(ending, frame)[1].tobytes()
    path = tmp_path / f"half{ending}"
    path.write_bytes(data[: len(data) // 2])

    with pytest.raises(InputError, match=r"half\.(png|jpg)` is no image that OpenCV can read"):
        read_image(path)

    assert capfd.readouterr().err == ""


@pytest.fixture
def jpeg() -> bytes:
    """Return a JPEG large enough to break off in the middle of its pixels, with a small one."""
    frame = np.random.default_rng(0).integers(0, 256, (60, 80, 3), dtype=np.uint8)
    whole, small = (cv2.imencode(".jpg", each)[1].tobytes() for each in (frame, frame[:8, :8]))
    exif = b"Exif\0\0" + small
    return whole[:2] + b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif + whole[2:]


@pytest.mark.parametrize("share", [0.3, 0.6, 0.999])
def test_read_image_refuses_a_jpeg_that_breaks_off_whatever_opencv_makes_of_it(
    tmp_path: Path, jpeg: bytes, monkeypatch: pytest.MonkeyPatch, share: float
) -> None:
    path = tmp_path / "half.jpg"
    path.write_bytes(jpeg[: int(len(jpeg) * share)])
    # OpenCV 4.9 gives a frame, and says nothing; OpenCV 5.0 refuses.
    monkeypatch.setattr(cv2, "imdecode", lambda *_: np.zeros((60, 80, 3), np.uint8))

    with pytest.raises(InputError, match=r"half\.jpg` is no image that OpenCV can read"):
        read_image(path)


@pytest.mark.parametrize(
    "flags",
    [[], [cv2.IMWRITE_JPEG_PROGRESSIVE, 1], [cv2.IMWRITE_JPEG_RST_INTERVAL, 1]],
    ids=["baseline", "progressive", "restarts"],
)
def test_read_image_takes_every_whole_jpeg(
    tmp_path: Path, frame: NDArray[np.uint8], flags: list[int]
) -> None:
    data = cv2.imencode(".jpg", frame, flags)[1].tobytes()
    (tmp_path / "a.jpg").write_bytes(data + b"more of a camera\xff\xda")

    assert read_image(tmp_path / "a.jpg").shape == frame.shape


def test_read_image_takes_a_jpeg_with_a_small_one_in_it(tmp_path: Path, jpeg: bytes) -> None:
    (tmp_path / "a.jpg").write_bytes(jpeg)

    assert read_image(tmp_path / "a.jpg").shape == (60, 80, 3)


def test_read_image_in_many_threads_gives_stderr_back(
    tmp_path: Path, write_image: WriteImage, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_image(tmp_path / "a.png")
    before = os.fstat(2)

    def slowly(*_: object) -> NDArray[np.uint8]:
        time.sleep(0.005)  # so that all threads are in it at once, if they can be
        return np.zeros((2, 2, 3), np.uint8)

    monkeypatch.setattr(cv2, "imdecode", slowly)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(read_image, [tmp_path / "a.png"] * 16))

    assert os.path.samestat(os.fstat(2), before)
