from __future__ import annotations

import json
from itertools import pairwise

import numpy as np
import pytest

from facealign.spec import AFLW19, COFW29, FACE68, WFLW98, Scheme, scheme_by_count, scheme_by_name
from tests.reference import REFERENCE, needs_reference

each_scheme = pytest.mark.parametrize(
    "scheme", [WFLW98, FACE68, COFW29, AFLW19], ids=lambda scheme: str(scheme.name)
)


@each_scheme
def test_mirror_of_a_mirror_is_the_face(scheme: Scheme) -> None:
    mirror = np.array(scheme.mirror)

    np.testing.assert_array_equal(mirror[mirror], np.arange(scheme.landmark_count))


@each_scheme
def test_mirror_keeps_every_line_that_contours_draw(scheme: Scheme) -> None:
    edges = {frozenset(edge) for line in scheme.contours for edge in pairwise(line)}

    mirrored = {frozenset(scheme.mirror[index] for index in edge) for edge in edges}

    assert mirrored == edges


@each_scheme
def test_contours_name_landmarks_of_the_scheme(scheme: Scheme) -> None:
    named = {index for line in scheme.contours for index in line}

    assert named <= set(range(scheme.landmark_count))


@each_scheme
def test_scheme_is_found_by_count_and_by_name(scheme: Scheme) -> None:
    assert scheme_by_count(scheme.landmark_count) is scheme
    assert scheme_by_name(scheme.name, scheme.landmark_count) is scheme


def test_unknown_count_gives_a_scheme_without_lines() -> None:
    scheme = scheme_by_count(7)

    assert (scheme.name, scheme.contours, scheme.mirror) == ("custom7", (), ())


@needs_reference
@pytest.mark.parametrize(
    ("scheme", "path"),
    [
        pytest.param(WFLW98, "wflw_db_info.json", id="wflw98"),
        pytest.param(FACE68, "300wpublic/db_info.json", id="300w68"),
    ],
)
def test_mirror_is_that_of_published_data_sets(scheme: Scheme, path: str) -> None:
    info = json.loads((REFERENCE / "data" / path).read_text(encoding="utf-8"))

    np.testing.assert_array_equal(scheme.mirror, info["ldm_flip_order"])
    assert len(scheme.mirror) == scheme.landmark_count


@needs_reference
def test_mirror_of_29_is_that_of_sdfl() -> None:
    with np.load(REFERENCE / "golden" / "preproc.npz") as file:
        pairs = file["sdfl_mirror_pairs_29"]

    mirror = np.array(COFW29.mirror)
    np.testing.assert_array_equal(mirror[pairs[:, 0]], pairs[:, 1])
