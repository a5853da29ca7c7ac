from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from facealign.bundle import Manifest
from facealign.cli.evaluation_tables import evaluation_texts
from facealign.pipeline.evaluate import EvaluationRequest, evaluate_bundle
from facealign.pipeline.evaluation_result import Evaluation
from tests.unit.evaluation_data import write_faces, write_two_graphs


@pytest.fixture
def evaluation(
    tmp_path: Path,
    tiny_manifest: Manifest,
    tiny_files: dict[str, bytes],
    frame: NDArray[np.uint8],
) -> Evaluation:
    bundle = write_two_graphs(tmp_path / "two", tiny_manifest, tiny_files, shift_norm=0.01)
    faces = write_faces(tmp_path / "faces", bundle, frame)
    return evaluate_bundle(EvaluationRequest(bundle, faces, limit=11))


def test_texts_have_a_table_for_each_graph_and_a_line_for_each_set(evaluation: Evaluation) -> None:
    texts = evaluation_texts(evaluation)

    assert list(texts) == ["faces", "crops", "NME", "fp32", "int8", "drift", "jitter"]
    assert texts["faces"] == "wflw test, the first 11 of 12 faces, wflw98"
    assert [line.split()[0] for line in texts["int8"]] == ["faces", "all", "pose", "blur", "NPE90"]


def test_lines_of_a_table_have_their_numbers_in_columns(evaluation: Evaluation) -> None:
    table = evaluation_texts(evaluation)["fp32"]

    assert isinstance(table, list)
    header, *rows, _ = table
    ends = [header.index(name) + len(name) for name in ("faces", "NME", "FR@10", "AUC@10", "P90")]
    assert all(row[end - 1].isdigit() for row in rows for end in ends)
    assert [len(row) for row in rows] == [len(header)] * 3


def test_numbers_do_not_touch_where_an_error_is_huge(evaluation: Evaluation) -> None:
    fp32 = evaluation.precisions["fp32"]
    assert fp32.report is not None
    huge = dataclasses.replace(fp32.report.overall, nme_percent=1234.5, nme_p90_percent=2345.5)
    report = dataclasses.replace(fp32.report, overall=huge)
    precisions = {"fp32": dataclasses.replace(fp32, report=report)}

    table = evaluation_texts(dataclasses.replace(evaluation, precisions=precisions))["fp32"]

    assert isinstance(table, list)
    name, count, nme, _, _, p90 = table[1].split()
    assert (name, count, nme, p90) == ("all", "11", "1234.500", "2345.500")


def test_last_line_names_the_landmark_that_is_worst(evaluation: Evaluation) -> None:
    fp32 = evaluation.precisions["fp32"]
    assert fp32.report is not None
    report = dataclasses.replace(fp32.report, npe_p90_per_landmark_percent=(1.0, 5.0, 3.0))
    precisions = {"fp32": dataclasses.replace(fp32, report=report)}

    table = evaluation_texts(dataclasses.replace(evaluation, precisions=precisions))["fp32"]

    assert isinstance(table, list)
    assert table[-1] == "NPE90 of single landmarks: mean 3.000, largest 5.000 (landmark 1)"


def test_fp32_alone_has_no_drift(evaluation: Evaluation) -> None:
    alone = {"fp32": evaluation.precisions["fp32"]}

    texts = evaluation_texts(dataclasses.replace(evaluation, precisions=alone))

    assert "drift" not in texts
    assert "change" not in "".join(texts["fp32"])


def test_drift_names_what_it_is_a_share_of(evaluation: Evaluation) -> None:
    int8 = evaluation.precisions["int8"]
    assert int8.drift is not None
    of_the_crop = dataclasses.replace(int8, drift=dataclasses.replace(int8.drift, length="crop"))
    both = {**evaluation.precisions, "int8": of_the_crop}

    drifts = evaluation_texts(dataclasses.replace(evaluation, precisions=both))["drift"]

    assert isinstance(drifts, dict)
    assert "% of the crop's side; mean 0.1600" in drifts["int8"]
