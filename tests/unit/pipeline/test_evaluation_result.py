from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from facealign.evaluation import Normalisation
from facealign.pipeline.evaluate import EvaluationRequest, evaluate_bundle
from facealign.pipeline.evaluation_result import facts_from_evaluation, nme_unit
from tests.unit.evaluation_data import NME_PERCENT

PERCENT = 1e-4  # measured 8e-7


def test_facts_say_which_crop_rule_and_what_each_face_was_worth(
    two_graphs: Path, faces: Path
) -> None:
    evaluation = evaluate_bundle(EvaluationRequest(two_graphs, faces, crops_from="box"))

    facts = json.loads(json.dumps(facts_from_evaluation(evaluation, with_faces=True)))

    assert facts["crops"] == {
        "from": "box",
        "side_factor": 1.15,
        "centre": "integer",
        "size_px": 16,
        "interpolation": "bilinear",
        "border_value": 0,
    }
    assert (facts["face_count"], facts["normalisation"], facts["reference"]) == (
        12,
        "corners",
        "fp32",
    )
    nme = [face["precisions"]["fp32"]["nme_percent"] for face in facts["faces"]]
    assert nme == pytest.approx([NME_PERCENT] * 12, abs=PERCENT)
    assert facts["precisions"]["int8"]["subsets"]["blur"]["difference"] is None
    assert len(facts["precisions"]["int8"]["landmarks"]["npe_p90_per_landmark_percent"]) == 98


def test_facts_have_the_interval_of_each_subset_that_has_one(two_graphs: Path, faces: Path) -> None:
    evaluation = evaluate_bundle(EvaluationRequest(two_graphs, faces))
    int8 = evaluation.precisions["int8"]
    assert int8.difference is not None
    with_interval = dataclasses.replace(int8, subset_differences={"pose": int8.difference})
    precisions = {**evaluation.precisions, "int8": with_interval}

    facts = json.loads(
        json.dumps(
            facts_from_evaluation(
                dataclasses.replace(evaluation, precisions=precisions), with_faces=False
            )
        )
    )

    subsets = facts["precisions"]["int8"]["subsets"]
    assert subsets["pose"]["difference"] == dataclasses.asdict(int8.difference)
    assert subsets["blur"]["difference"] is None


def test_facts_without_labels_have_no_scores(two_graphs: Path, boxed: Path) -> None:
    evaluation = evaluate_bundle(EvaluationRequest(two_graphs, boxed))

    facts = json.loads(json.dumps(facts_from_evaluation(evaluation, with_faces=False)))

    assert (facts["is_labelled"], facts["normalisation"], facts["split"]) == (False, None, None)
    assert set(facts["precisions"]["int8"]) == {"drift", "jitter"}
    assert "faces" not in facts


@pytest.mark.parametrize(
    ("normalisation", "unit"),
    [
        ("corners", "the distance of the outer eye corners"),
        ("pupils", "the distance of the pupils"),
        ("box", "the size of the box around the landmarks"),
        ("height", "the data set's box (height)"),
    ],
)
def test_unit_of_an_nme_is_named(normalisation: Normalisation, unit: str) -> None:
    assert nme_unit(normalisation) == unit
