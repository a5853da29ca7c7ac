from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from facealign.bundle import CALIBRATION_FACES, Manifest, write_bundle
from facealign.calibration import curate, json_from_set_manifest
from facealign.datasets import CropRule, read_dataset
from facealign.errors import CalibrationError, InputError, UsageError
from facealign.evaluation import Trembling, trembling_crops
from facealign.geometry import Placement
from facealign.pipeline.evaluate import EVALUATE_STAGES, EvaluationRequest, evaluate_bundle
from facealign.pipeline.evaluation_result import facts_from_evaluation
from facealign.pipeline.progress import Stage
from facealign.spec import CropSpec
from tests.unit.evaluation_data import NME_PERCENT, write_two_graphs

PERCENT = 1e-4  # measured 8e-7
PX = 1e-5  # of a crop of 16 px; measured 3e-7
SHIFT_PX = 0.16  # of `two_graphs`


class Recorder:
    """Notes the stages, what they say and how far they go."""

    def __init__(self) -> None:
        self.texts: dict[str, str] = {}
        self.steps: dict[str, list[tuple[int, int]]] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[Stage]:
        texts, steps = self.texts, self.steps.setdefault(name, [])
        texts[name] = ""

        class Running:
            def say(self, text: str) -> None:
                texts[name] = text

            def advance(self, done: int, *, total: int) -> None:
                steps.append((done, total))

        yield Running()


def test_fp32_has_the_error_that_the_truth_was_made_with(two_graphs: Path, faces: Path) -> None:
    evaluation = evaluate_bundle(EvaluationRequest(two_graphs, faces, crops_from="box"))

    fp32 = evaluation.precisions["fp32"]
    assert fp32.report is not None
    assert fp32.nme_percent is not None
    np.testing.assert_allclose(fp32.nme_percent, np.full(12, NME_PERCENT), rtol=0, atol=PERCENT)
    assert fp32.report.overall.nme_percent == pytest.approx(NME_PERCENT, abs=PERCENT)
    assert fp32.report.overall.fr_percent == 0
    assert fp32.report.overall.auc_percent == pytest.approx(50, abs=PERCENT)
    assert {name: s.face_count for name, s in fp32.report.subsets.items()} == {"pose": 6, "blur": 1}


def test_a_shifted_graph_is_as_much_better_as_it_is_nearer(two_graphs: Path, faces: Path) -> None:
    evaluation = evaluate_bundle(EvaluationRequest(two_graphs, faces, crops_from="box"))

    fp32, int8 = evaluation.precisions["fp32"], evaluation.precisions["int8"]
    assert int8.drift is not None
    assert int8.difference is not None
    # The truth lies to the right, by more than the shift.
    assert int8.difference.mean_percent == pytest.approx(-int8.drift.mean_percent, abs=PERCENT)
    assert int8.difference.high_percent < 0
    assert int8.drift.mean_px == pytest.approx(SHIFT_PX, abs=PX)
    assert int8.drift.max_px == pytest.approx(SHIFT_PX, abs=PX)
    assert (fp32.drift, fp32.difference, fp32.drift_percent.max()) == (None, None, 0)


def test_a_graph_that_is_fp32_again_differs_in_nothing(
    tmp_path: Path, tiny_manifest: Manifest, tiny_files: dict[str, bytes], faces: Path
) -> None:
    bundle = write_two_graphs(tmp_path / "same", tiny_manifest, tiny_files)

    evaluation = evaluate_bundle(EvaluationRequest(bundle, faces))

    fp32, int8 = evaluation.precisions["fp32"], evaluation.precisions["int8"]
    assert int8.difference is not None
    assert int8.drift is not None
    assert (int8.difference.low_percent, int8.difference.high_percent) == (0, 0)
    assert int8.drift.max_px == 0
    assert int8.report == fp32.report
    assert int8.jitter == fp32.jitter
    assert fp32.jitter.rms_px > 0


def test_subset_of_few_faces_gets_no_interval(two_graphs: Path, faces: Path) -> None:
    evaluation = evaluate_bundle(EvaluationRequest(two_graphs, faces))

    assert evaluation.precisions["int8"].subset_differences == {}
    assert evaluation.precisions["int8"].difference is not None


def test_fp32_is_run_first_whichever_graph_is_asked_for(two_graphs: Path, faces: Path) -> None:
    asked = evaluate_bundle(EvaluationRequest(two_graphs, faces, precisions=("int8",)))
    alone = evaluate_bundle(EvaluationRequest(two_graphs, faces, precisions=("fp32",)))

    assert list(asked.precisions) == ["fp32", "int8"]
    assert list(alone.precisions) == ["fp32"]


def test_fp32_comes_before_a_name_that_sorts_before_it(
    tmp_path: Path, tiny_manifest: Manifest, tiny_files: dict[str, bytes], faces: Path
) -> None:
    bundle = write_two_graphs(tmp_path / "fp16", tiny_manifest, tiny_files, name="fp16")

    evaluation = evaluate_bundle(EvaluationRequest(bundle, faces))

    assert list(evaluation.precisions) == ["fp32", "fp16"]


def test_scores_are_by_the_normalisation_and_the_threshold_that_were_asked_for(
    two_graphs: Path, faces: Path
) -> None:
    request = EvaluationRequest(two_graphs, faces, normalisation="box", threshold_percent=0.01)

    report = evaluate_bundle(request).precisions["fp32"].report

    assert report is not None
    assert (report.normalisation, report.threshold_percent) == ("box", 0.01)
    assert report.overall.fr_percent == 100


def test_crop_rule_moves_the_landmarks(two_graphs: Path, faces: Path) -> None:
    by_box = evaluate_bundle(EvaluationRequest(two_graphs, faces, crops_from="box"))
    by_landmarks = evaluate_bundle(EvaluationRequest(two_graphs, faces, crops_from="landmarks"))

    moved = by_landmarks.precisions["fp32"].landmarks - by_box.precisions["fp32"].landmarks
    assert by_landmarks.face_set.rule.source == "landmarks"
    assert np.abs(moved).max() > 0.1


def test_faces_of_an_image_need_not_stand_together(two_graphs: Path, faces: Path) -> None:
    path = next(faces.glob("WFLW_annotations/*/*_test.txt"))
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*lines[::2], *lines[1::2]]) + "\n")

    evaluation = evaluate_bundle(EvaluationRequest(two_graphs, faces, crops_from="box"))

    names = [face.image.name for face in evaluation.face_set.faces]
    assert names == (["a.png"] * 3 + ["b.png"] * 3) * 2
    nme_percent = evaluation.precisions["fp32"].nme_percent
    assert nme_percent is not None
    np.testing.assert_allclose(nme_percent, np.full(12, NME_PERCENT), rtol=0, atol=PERCENT)


def test_without_labels_there_are_drift_and_jitter_only(two_graphs: Path, boxed: Path) -> None:
    recorder = Recorder()

    evaluation = evaluate_bundle(EvaluationRequest(two_graphs, boxed), recorder)

    int8 = evaluation.precisions["int8"]
    assert (int8.report, int8.nme_percent, int8.difference) == (None, None, None)
    assert int8.drift is not None
    assert int8.drift.mean_px == pytest.approx(SHIFT_PX, abs=PX)
    assert int8.jitter.face_count == 2
    assert recorder.texts["score"] == "no labels, so drift and jitter only"


def test_jitter_of_a_still_crop_is_nothing(two_graphs: Path, faces: Path) -> None:
    still = Trembling(pan_px=0, zoom=0, noise_grey=0)

    evaluation = evaluate_bundle(EvaluationRequest(two_graphs, faces, trembling=still))

    # Another place in a batch may round otherwise; measured 0.
    assert evaluation.precisions["int8"].jitter.rms_px == pytest.approx(0, abs=PX)


def test_jitter_is_asked_of_faces_from_the_first_to_the_last(two_graphs: Path, faces: Path) -> None:
    few = evaluate_bundle(EvaluationRequest(two_graphs, faces, jitter_face_count=3))
    all_of_them = evaluate_bundle(EvaluationRequest(two_graphs, faces, jitter_face_count=50))

    assert few.jitter_faces == (0, 5, 11)
    assert all_of_them.jitter_faces == tuple(range(12))
    assert few.precisions["fp32"].jitter.face_count == 3


def test_each_face_trembles_in_its_own_frame_about_its_own_square_in_its_own_way(
    two_graphs: Path, faces: Path, frame: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[bool, list[float], int]] = []

    def noting(
        own: NDArray[np.uint8], placement: Placement, spec: CropSpec, trembling: Trembling
    ) -> tuple[NDArray[np.uint8], Placement]:
        is_first = np.array_equal(own, frame)
        seen.append((is_first, placement.centre[0].tolist(), trembling.seed))
        return trembling_crops(own, placement, spec, trembling)

    monkeypatch.setattr("facealign.pipeline.evaluate.trembling_crops", noting)
    request = EvaluationRequest(
        two_graphs, faces, jitter_face_count=3, trembling=Trembling(step_count=3, seed=7)
    )

    evaluation = evaluate_bundle(request)

    centres = evaluation.face_set.placement.centre[[0, 5, 11]].tolist()
    assert seen == list(zip([True, True, False], centres, [7, 8, 9], strict=True))


def test_evaluation_passes_its_stages_and_says_how_crops_were_cut(
    two_graphs: Path, faces: Path
) -> None:
    recorder = Recorder()

    evaluate_bundle(EvaluationRequest(two_graphs, faces, limit=9), recorder)

    assert tuple(recorder.texts) == EVALUATE_STAGES
    assert recorder.texts["bundle"] == "fp32, int8 on onnxruntime, golden landmarks found"
    assert recorder.texts["data set"] == (
        "wflw test: the first 9 of 12 faces, crops from the landmarks"
    )
    assert recorder.steps["run"] == [(8, 9), (1, 9)]
    assert recorder.steps["jitter"] == [(1, 8)] * 8


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        pytest.param(
            {"precisions": ("int4",)},
            UsageError,
            "the bundle has no 'int4' graph; choose from fp32, int8",
            id="precision",
        ),
        pytest.param(
            {"jitter_face_count": 0},
            UsageError,
            "`jitter_face_count` must be 1 or more, got 0",
            id="jitter",
        ),
        pytest.param(
            {"normalisation": "height"},
            InputError,
            "normalisation 'height' needs `boxes`; pass them or use 'box'",
            id="normalisation",
        ),
    ],
)
def test_evaluation_refuses_before_anything_is_run(
    two_graphs: Path,
    faces: Path,
    changes: dict[str, object],
    error: type[Exception],
    message: str,
) -> None:
    request = EvaluationRequest(two_graphs, faces, **changes)  # type: ignore[arg-type]  # one of many
    recorder = Recorder()

    with pytest.raises(error, match=message):
        evaluate_bundle(request, recorder)

    assert "run" not in recorder.texts


def test_bundle_without_fp32_is_refused(
    tmp_path: Path, tiny_manifest: Manifest, tiny_files: dict[str, bytes], faces: Path
) -> None:
    graphs = {"int8": tiny_manifest.graphs["fp32"]}
    bundle = write_bundle(
        tmp_path / "lone", msgspec.structs.replace(tiny_manifest, graphs=graphs), tiny_files
    )

    with pytest.raises(UsageError, match=r"no 'fp32' graph to compare with \(it has int8\); comp"):
        evaluate_bundle(EvaluationRequest(bundle, faces))


def test_evaluation_is_the_same_twice(two_graphs: Path, faces: Path) -> None:
    first = evaluate_bundle(EvaluationRequest(two_graphs, faces))
    second = evaluate_bundle(EvaluationRequest(two_graphs, faces))

    assert facts_from_evaluation(first, with_faces=True) == facts_from_evaluation(
        second, with_faces=True
    )


def test_images_that_a_bundle_was_calibrated_on_are_refused(
    tmp_path: Path,
    faces: Path,
    tiny_manifest: Manifest,
    tiny_files: dict[str, bytes],
) -> None:
    dataset = read_dataset(faces)
    rule = CropRule(tiny_manifest.crop, "box")
    chosen = curate(dataset.faces, rule, count=1, seed=0).manifest
    files = {**tiny_files, CALIBRATION_FACES: json_from_set_manifest(chosen)}
    bundle = write_bundle(tmp_path / "calibrated", tiny_manifest, files)

    with pytest.raises(CalibrationError, match="1 of the 2 images to evaluate on are in the calib"):
        evaluate_bundle(EvaluationRequest(bundle, faces))
