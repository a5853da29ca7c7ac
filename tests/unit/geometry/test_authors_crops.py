"""Against the crops that SLPT's own code cuts; the reference folder is not part of the project."""

from __future__ import annotations

from importlib.util import module_from_spec, spec_from_file_location

import numpy as np
import pytest
from numpy.typing import NDArray

from facealign.geometry import (
    crop_from_frame,
    crops_from_frame,
    frame_from_crop,
    placement_from_boxes,
)
from facealign.spec import CropSpec, SquareRule
from tests.reference import REFERENCE, needs_reference

pytestmark = needs_reference
SPEC = CropSpec(256, SquareRule(1.15, "integer"), SquareRule(1.2, "exact"))
# The authors solve for the matrix from three float32 positions; measured 7.7e-5 on translations.
MATRIX_PX = 2e-4
# The golden crops are of one OpenCV; measured 1 level, on 0.005 % of the values, OpenCV 5.0.
CROP_GREY = 2
BACK_PX = 1e-9  # measured 6e-14
SPIGA_BACK_PX = 1e-3


@pytest.fixture(scope="module")
def authors() -> dict[str, NDArray[np.float64]]:
    with np.load(REFERENCE / "golden" / "preproc.npz", allow_pickle=False) as archive:
        return {name: archive[name] for name in archive}


@pytest.fixture(scope="module")
def photo() -> NDArray[np.uint8]:
    """Return the (480, 640, 3) BGR image that the golden crops were cut from."""
    spec = spec_from_file_location("reference_recipe", REFERENCE / "recipe.py")
    assert spec is not None
    assert spec.loader is not None
    recipe = module_from_spec(spec)
    spec.loader.exec_module(recipe)
    return np.ascontiguousarray(recipe.image(size=640, seed=7)[0, :480])


def corners(boxes_xywh: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.concatenate([boxes_xywh[:, :2], boxes_xywh[:, :2] + boxes_xywh[:, 2:]], axis=1)


@pytest.mark.parametrize(
    ("protocol", "rule"),
    [
        pytest.param("test", SPEC.from_landmarks, id="test.py"),
        pytest.param("camera", SPEC.from_box, id="Camera.py"),
    ],
)
def test_crop_rule_gives_the_authors_matrices_and_crops(
    authors: dict[str, NDArray[np.float64]],
    photo: NDArray[np.uint8],
    protocol: str,
    rule: SquareRule,
) -> None:
    placement = placement_from_boxes(corners(authors["bboxes_xywh"]), rule)

    matrices = crop_from_frame(placement, 256)
    crops_rgb = crops_from_frame(photo, placement, SPEC)[..., ::-1]

    np.testing.assert_allclose(matrices, authors[f"slpt_{protocol}_trans"], rtol=0, atol=MATRIX_PX)
    expected = authors[f"slpt_{protocol}_crop_rgb_hwc"].astype(int)
    assert np.abs(crops_rgb.astype(int) - expected).max() <= CROP_GREY


def test_nearest_crop_rule_gives_every_pixel_of_spiga(
    authors: dict[str, NDArray[np.float64]], photo: NDArray[np.uint8]
) -> None:
    rule = SquareRule(1.6, "exact")
    placement = placement_from_boxes(corners(authors["bboxes_xywh"]), rule)

    crops = crops_from_frame(photo, placement, CropSpec(256, rule, rule, "nearest"))

    expected = authors["spiga_crop_u8_bgr_chw"].transpose(0, 2, 3, 1)
    np.testing.assert_array_equal(crops, expected)


def test_landmarks_return_to_the_frame_as_spiga_returns_them(
    authors: dict[str, NDArray[np.float64]],
) -> None:
    rule = SquareRule(1.6, "exact")
    placement = placement_from_boxes(corners(authors["bboxes_xywh"]), rule)

    landmarks = frame_from_crop(authors["spiga_post_in"], placement)

    np.testing.assert_allclose(landmarks, authors["spiga_post_out"], rtol=0, atol=SPIGA_BACK_PX)


def test_landmarks_return_to_the_frame_as_the_authors_return_them(
    authors: dict[str, NDArray[np.float64]],
) -> None:
    placement = placement_from_boxes(corners(authors["bboxes_xywh"][:1]), SPEC.from_landmarks)

    landmarks = frame_from_crop(authors["slpt_post_in"][None], placement)[0]

    np.testing.assert_allclose(landmarks, authors["slpt_post_out_bbox0"], rtol=0, atol=BACK_PX)
