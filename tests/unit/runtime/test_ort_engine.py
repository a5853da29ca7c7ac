from __future__ import annotations

import numpy as np
import onnxruntime as ort
import pytest

from facealign.bundle import Golden
from facealign.errors import BackendError, GraphContractError, UsageError
from facealign.runtime import ort_engine
from facealign.runtime.ort_engine import OrtEngine, run_graph, silent_sessions

SAME = 1e-6  # of the crop; measured 1.2e-7 between float32 here and float64 in the fixture


def open_tiny(graph: bytes, *, input_name: str = "image", output: str = "landmarks") -> OrtEngine:
    return OrtEngine(graph, input_name=input_name, output_names=[output], max_batch=4, threads=1)


def test_ort_engine_gives_the_golden_landmarks(tiny_graph: bytes, tiny_golden: Golden) -> None:
    outputs = open_tiny(tiny_graph).run(tiny_golden.crops)

    np.testing.assert_allclose(outputs["landmarks"], tiny_golden.landmarks, rtol=0, atol=SAME)


def test_run_graph_gives_every_output_by_default(tiny_graph: bytes, tiny_golden: Golden) -> None:
    outputs = run_graph(tiny_graph, tiny_golden.crops)

    assert list(outputs) == ["landmarks"]
    np.testing.assert_allclose(outputs["landmarks"], tiny_golden.landmarks, rtol=0, atol=SAME)


def test_run_graph_rejects_an_output_that_is_not_there(
    tiny_graph: bytes, tiny_golden: Golden
) -> None:
    with pytest.raises(BackendError, match=r"onnxruntime [\d.]+ cannot run the graph: .*nothing"):
        run_graph(tiny_graph, tiny_golden.crops, ["nothing"])


@pytest.mark.parametrize("graph", [b"", b"no graph at all"], ids=["empty", "garbage"])
def test_ort_engine_says_what_is_wrong_with_a_graph_in_one_line(
    graph: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(BackendError, match=r"^onnxruntime [\d.]+ cannot open the graph: .*$"):
        open_tiny(graph)

    assert capfd.readouterr() == ("", "")


def test_ort_engine_rejects_crops_of_another_size_without_noise(
    tiny_graph: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    engine = open_tiny(tiny_graph)

    with pytest.raises(BackendError, match=r"cannot run the graph: .*invalid dimensions"):
        engine.run(np.zeros((1, 8, 8, 3), np.uint8))

    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("names", "message"),
    [
        pytest.param({"input_name": "crop"}, r"no input 'crop', it has \['image'\]", id="input"),
        pytest.param({"output": "pose"}, r"no output 'pose', it has \['landm", id="output"),
    ],
)
def test_ort_engine_rejects_a_graph_that_breaks_the_contract(
    tiny_graph: bytes, names: dict[str, str], message: str
) -> None:
    with pytest.raises(GraphContractError, match=message):
        open_tiny(tiny_graph, **names)


def test_ort_engine_refuses_another_provider_than_it_asked_for(
    tiny_graph: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ort.InferenceSession, "get_providers", lambda _: ["AzureExecutionProvider"])

    with pytest.raises(BackendError, match=r"asked for \['CPUE.*gave \['AzureExecutionProvider'\]"):
        open_tiny(tiny_graph)


def test_ort_engine_says_that_it_is_closed(tiny_graph: bytes, tiny_golden: Golden) -> None:
    engine = open_tiny(tiny_graph)
    engine.close()
    engine.close()

    with pytest.raises(UsageError, match="the engine is closed; open a new one"):
        engine.run(tiny_golden.crops)


def test_ort_engine_takes_its_threads_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3")

    options = ort_engine._session_options(threads=None)

    assert options.intra_op_num_threads == 3


def test_ort_engine_prefers_the_threads_that_were_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3")

    options = ort_engine._session_options(threads=2)

    assert options.intra_op_num_threads == 2


def test_ort_engine_runs_pairs_as_written_when_told(tiny_graph: bytes) -> None:
    session = ort_engine.ort_session(tiny_graph, threads=1, integer_kernels=False)

    options = session.get_session_options()
    assert options.get_session_config_entry("session.disable_quant_qdq") == "1"


def test_ort_engine_has_integer_kernels_by_default(tiny_graph: bytes) -> None:
    session = ort_engine.ort_session(tiny_graph, threads=1)

    options = session.get_session_options()
    with pytest.raises(RuntimeError, match="disable_quant_qdq"):  # it was not set
        options.get_session_config_entry("session.disable_quant_qdq")


def test_silent_sessions_end_the_silence_after_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    severities: list[int] = []
    monkeypatch.setattr("onnxruntime.set_default_logger_severity", severities.append)

    with pytest.raises(ValueError, match="of the other library"), silent_sessions():
        raise ValueError("of the other library")

    assert severities == [4, 2]
