from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from facealign.errors import InputError, ShapeError
from facealign.evaluation import drift, drift_distances_px, drift_lengths_px
from facealign.spec import COFW29, FACE68, Scheme

EXACT = 1e-9  # measured 1e-13
SIZE_PX = 200


@pytest.fixture
def reference() -> NDArray[np.float64]:
    """Return three faces whose outer eye corners are a quarter of the crop, 50 px, apart."""
    landmarks = np.full((3, 68, 2), 0.5)
    landmarks[:, 45, 0] = 0.75
    return landmarks


def test_drift_of_equal_landmarks_is_nothing(reference: NDArray[np.float64]) -> None:
    found = drift(reference, reference, size_px=SIZE_PX, scheme=FACE68)

    assert (found.mean_px, found.p99_px, found.max_px) == (0, 0, 0)
    assert (found.mean_percent, found.p99_percent, found.max_percent) == (0, 0, 0)
    assert (found.face_count, found.length) == (3, "corners")


def test_drift_of_a_shift_is_its_length_and_its_share_of_the_eyes(
    reference: NDArray[np.float64],
) -> None:
    moved = reference + np.array([0.003, -0.004])  # 0.005 of the crop: 1 px

    found = drift(moved, reference, size_px=SIZE_PX, scheme=FACE68)

    assert found.mean_px == pytest.approx(1, abs=EXACT)
    assert found.p99_px == pytest.approx(1, abs=EXACT)
    assert found.max_percent == pytest.approx(2, abs=EXACT)


def test_drift_finds_the_landmark_that_jumped(reference: NDArray[np.float64]) -> None:
    moved = reference.copy()
    moved[1, 17, 1] += 0.5

    found = drift(moved, reference, size_px=SIZE_PX, scheme=FACE68)

    assert (found.worst_face, found.worst_landmark) == (1, 17)
    assert found.max_px == pytest.approx(100, abs=EXACT)
    assert found.mean_px == pytest.approx(100 / (3 * 68), abs=EXACT)
    assert found.p99_px == 0


def test_drift_divides_each_face_by_its_own_eyes(reference: NDArray[np.float64]) -> None:
    reference[2, 45, 0] = 1.0  # twice as far apart

    found = drift(reference + np.array([0.005, 0]), reference, size_px=SIZE_PX, scheme=FACE68)

    assert found.mean_px == pytest.approx(1, abs=EXACT)
    assert found.mean_percent == pytest.approx((2 + 2 + 1) / 3, abs=EXACT)


def test_drift_is_a_share_of_the_crop_where_eyes_are_unknown() -> None:
    reference = np.full((2, 29, 2), 0.5)

    found = drift(reference + np.array([0.01, 0]), reference, size_px=SIZE_PX, scheme=COFW29)

    assert found.length == "crop"
    assert found.mean_percent == pytest.approx(1, abs=EXACT)
    np.testing.assert_array_equal(
        drift_lengths_px(reference, size_px=SIZE_PX, scheme=COFW29), [200, 200]
    )


def test_drift_refuses_landmarks_of_other_faces(reference: NDArray[np.float64]) -> None:
    with pytest.raises(ShapeError, match=r"must be \(3, 68, 2\) as `reference_norm`, got \(2, 68"):
        drift_distances_px(reference[:2], reference, size_px=SIZE_PX)


@pytest.mark.parametrize("scheme", [COFW29, FACE68], ids=["without eyes", "with eyes"])
def test_drift_refuses_landmarks_of_another_scheme(scheme: Scheme) -> None:
    other = np.full((3, 98, 2), 0.5)

    with pytest.raises(ShapeError, match=r"`reference_norm` must have .* landmarks, got 98; check"):
        drift(other, other, size_px=SIZE_PX, scheme=scheme)


def test_drift_refuses_eyes_in_one_place(reference: NDArray[np.float64]) -> None:
    reference[1, 45] = reference[1, 36]

    with pytest.raises(InputError, match="'corners' normaliser of face 1 must be a length above 0"):
        drift(reference, reference, size_px=SIZE_PX, scheme=FACE68)


def test_drift_refuses_landmarks_that_are_no_numbers(reference: NDArray[np.float64]) -> None:
    moved = reference.copy()
    moved[2, 3, 0] = np.nan

    with pytest.raises(InputError, match="must be finite, got nan at landmark 3 of face 2"):
        drift(moved, reference, size_px=SIZE_PX, scheme=FACE68)
