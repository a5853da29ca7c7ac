"""Images that are files: read, missing, or no images."""

from __future__ import annotations

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
