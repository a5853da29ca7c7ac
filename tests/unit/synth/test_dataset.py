from __future__ import annotations

import os
import re
from pathlib import Path

import cv2
import numpy as np
import pytest

from facealign.errors import OutputError, UsageError
from facealign.synth import TEST_LIST, TRAIN_LIST, check_free, synthetic_face, write_dataset

LISTS = "WFLW_annotations/list_98pt_rect_attr_train_test"
SIZE_PX = 64
COUNT = 10
SEED = 7
JPEG = 12  # mean grey levels between a picture and its JPEG; measured 2.1 at the most


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("synth") / "data" / "wflw"
    write_dataset(folder, count=COUNT, seed=SEED, size_px=SIZE_PX)
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def lines(folder: Path) -> dict[str, list[str]]:
    """Return the words of each line by the image's name."""
    text = (folder / TRAIN_LIST).read_text() + (folder / TEST_LIST).read_text()
    return {line.split(" ")[-1]: line.split(" ") for line in text.splitlines()}


def test_dataset_has_the_layout_of_wflw(dataset: Path) -> None:
    names = sorted(contents(dataset))

    images = [f"WFLW_images/0--Synthetic/face_{index:06d}.jpg" for index in range(COUNT)]
    assert names == [
        f"{LISTS}/list_98pt_rect_attr_test.txt",
        f"{LISTS}/list_98pt_rect_attr_train.txt",
        *images,
    ]
    assert [path.name for path in dataset.parent.iterdir()] == [dataset.name]


def test_line_is_196_coordinates_a_box_six_attributes_and_a_name(dataset: Path) -> None:
    text = (dataset / TRAIN_LIST).read_bytes().decode("ascii")

    number, whole = r"-?\d+\.\d{6} ", r"\d+ "
    line = rf"({number}){{196}}({whole}){{4}}([01] ){{6}}0--Synthetic/face_\d{{6}}\.jpg\n"
    assert re.fullmatch(rf"({line}){{8}}", text)


def test_lines_say_what_was_drawn(dataset: Path) -> None:
    words = lines(dataset)["0--Synthetic/face_000003.jpg"]

    face = synthetic_face(SEED, 3, size_px=SIZE_PX)
    image = cv2.imread(str(dataset / "WFLW_images" / words[-1]))
    assert image is not None
    np.testing.assert_allclose(np.array(words[:196], float), face.landmarks.ravel(), atol=6e-7)
    assert [int(word) for word in words[196:200]] == face.box.tolist()
    assert tuple(int(word) for word in words[200:206]) == face.attributes.as_numbers()
    assert np.abs(image.astype(float) - face.image).mean() < JPEG


def test_every_face_is_in_one_list_and_one_of_five_is_for_the_test(dataset: Path) -> None:
    train, test = ((dataset / name).read_text().splitlines() for name in (TRAIN_LIST, TEST_LIST))

    indices = sorted(int(line[-10:-4]) for line in [*train, *test])
    assert indices == list(range(COUNT))
    assert sorted(int(line[-10:-4]) // 5 for line in test) == [0, 1]


@pytest.mark.parametrize(("seed", "place"), [(0, 3), (2, 2), (5, 4)])
def test_seed_chooses_which_of_five_is_for_the_test(tmp_path: Path, seed: int, place: int) -> None:
    write_dataset(tmp_path / "out", count=5, seed=seed, size_px=64)

    (line,) = (tmp_path / "out" / TEST_LIST).read_text().splitlines()
    assert line.endswith(f"face_00000{place}.jpg")


def test_write_dataset_counts_what_it_writes(tmp_path: Path) -> None:
    done: list[int] = []

    counts = write_dataset(tmp_path / "a", count=5, seed=SEED, size_px=64, on_face=done.append)

    numbers = np.array([words[200:206] for words in lines(tmp_path / "a").values()], int)
    assert done == [1] * 5
    assert (counts.train, counts.test) == (4, 1)
    assert list(counts.attributes.values()) == numbers.sum(axis=0).tolist()


def test_write_dataset_writes_the_same_bytes_again(dataset: Path, tmp_path: Path) -> None:
    write_dataset(tmp_path / "again", count=COUNT, seed=SEED, size_px=SIZE_PX)

    assert contents(tmp_path / "again") == contents(dataset)


def test_first_faces_do_not_depend_on_the_count(dataset: Path, tmp_path: Path) -> None:
    write_dataset(tmp_path / "few", count=6, seed=SEED, size_px=SIZE_PX)

    many, few = contents(dataset), contents(tmp_path / "few")
    images = [name for name in few if name.endswith(".jpg")]
    assert len(images) == 6
    assert {name: few[name] for name in images} == {name: many[name] for name in images}
    assert many[TRAIN_LIST].startswith(few[TRAIN_LIST])
    assert many[TEST_LIST].startswith(few[TEST_LIST])


def test_write_dataset_fills_an_empty_folder(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()

    write_dataset(tmp_path / "empty", count=1, seed=0, size_px=64)

    assert len(contents(tmp_path / "empty")) == 3


def test_write_dataset_goes_where_a_link_leads(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(Path("new") / "folder")

    write_dataset(tmp_path / "link", count=1, seed=0, size_px=64)

    assert len(contents(tmp_path / "new" / "folder")) == 3
    assert (tmp_path / "link").is_symlink()


def test_write_dataset_makes_no_folder_that_a_path_only_passes(tmp_path: Path) -> None:
    write_dataset(tmp_path / "passed" / ".." / "out", count=1, seed=0, size_px=64)

    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(28, "No space left on device")])
def test_write_dataset_leaves_nothing_half_written(tmp_path: Path, error: BaseException) -> None:
    def stop(_done: int) -> None:
        raise error

    with pytest.raises((KeyboardInterrupt, OutputError)):
        write_dataset(tmp_path / "out", count=2, seed=0, size_px=64, on_face=stop)

    assert not list(tmp_path.iterdir())


def test_write_dataset_says_why_it_cannot_write(tmp_path: Path) -> None:
    def fill_disk(_done: int) -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(OutputError, match=r"cannot write the data set .*: No space left on device"):
        write_dataset(tmp_path / "out", count=1, seed=0, size_px=64, on_face=fill_disk)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write")
def test_write_dataset_says_so_when_the_parent_may_not_be_written(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)

    with pytest.raises(OutputError, match=r"cannot write the data set .*: Permission denied"):
        write_dataset(tmp_path / "out", count=1, seed=0, size_px=64)


def test_write_dataset_refuses_a_count_below_one(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="count must be 1 or more, got 0; pass for example"):
        write_dataset(tmp_path / "out", count=0, seed=0)

    assert not list(tmp_path.iterdir())


def test_write_dataset_leaves_a_full_folder_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("precious")

    with pytest.raises(OutputError, match="is not empty, so it is left alone; choose another"):
        write_dataset(tmp_path, count=1, seed=0)

    assert contents(tmp_path) == {"thesis.tex": b"precious"}


@pytest.mark.parametrize("name", ["file", "file/below"])
def test_check_free_refuses_a_file(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(OutputError, match="is a file, or below one; choose another folder"):
        check_free(tmp_path / name)


def test_check_free_says_why_it_cannot_look(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_folder: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "iterdir", refuse)

    with pytest.raises(OutputError, match=r"cannot look into .*: Permission denied; choose"):
        check_free(tmp_path)
