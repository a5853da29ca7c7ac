from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from cost_tables import COST_TABLES
from latency_tables import LATENCY_TABLES
from result_file import provenance, result_of, write_result

TABLES = {**COST_TABLES, **LATENCY_TABLES}
RULE = {"from_box": {"side_factor": 1.6}, "interpolation": "nearest"}
TIMES = {
    "median_ms": {"forward": 1.0, "crop": 2.0, "forward behind it": 9.0, "end to end": 3.0},
    "overhead_ms": [0.1, 0.01, 0.2],
    "more_than_by_hand_ms": [0.3, 0.25, 0.35],
}
ADDED = {"times": TIMES, "memory": {"bytes_per_run": 0.5}}
BY_FACES = {"1": 1.0, "2": 2.0, "4": 4.0, "8": 8.0}
FIGURES: dict[str, dict[str, Any]] = {
    "batch_scaling": {
        "spiga_98": {
            "crops_per_s": {"1": 10.0, "4": 12.5},
            "share_of_roof": {"1": 0.5, "4": 0.625},
        }
    },
    "export_speed": {"spiga_98": {"total_s": 9.0, "stages_s": {"trace": 5.0, "none": 4.0}}},
    "lean_import": {
        "open_session": {
            "least_cpu_s": 0.1,
            "least_wall_s": 0.2,
            "median_cpu_s": 0.3,
            "median_wall_s": 0.4,
            "modules": 7,
        }
    },
    "session_overhead": {"onnxruntime": ADDED, "instant": ADDED},
    "crop_cost": {
        "sdfl_resnet34_lgrl, sdfl_resnet34_scc": {
            "rule": RULE,
            "median_ms_by_faces": {"640 x 480": {"1": 0.5}, "1920 x 1080": BY_FACES},
        }
    },
}


@pytest.fixture
def results(tmp_path: Path) -> Path:
    where = provenance(threads=1)
    for name, figures in FIGURES.items():
        result = result_of("How?", where, settings={}, figures=figures)
        write_result(name, result, folder=tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("table", "row"),
    [
        (
            "batches",
            {
                "crops a second (share of the roof)": "SPIGA, 98 landmarks",
                "batch 1": "10.0 (50 %)",
                "batch 4": "12.5 (62 %)",
            },
        ),
        (
            "export_speed",
            {"": "SPIGA, 98 landmarks", "total": "9 s", "`trace`": "5.0 s", "start, end": "4.0 s"},
        ),
        (
            "lean_import",
            {
                "import": "`open_session` beyond numpy and cv2",
                "processor": "0.100 s",
                "clock": "0.200 s",
                "modules": "7",
            },
        ),
        (
            "session_overhead",
            {
                "": "ONNX Runtime",
                "forward alone": "1.00 ms",
                "crop behind it": "2.00 ms",
                "end to end": "3.00 ms",
                "less forward and crop": "0.100 (0.010 to 0.200) ms",
                "less crop and forward in a row": "0.300 (0.250 to 0.350) ms",
                "kept per run": "0.50 bytes",
            },
        ),
        (
            "crop_cost",
            {
                "": "SDFL, SCC",
                "rule": "1.6 times the box, nearest",
                "a face in 640 x 480": "0.50 ms",
                "a face in 1920 x 1080": "1.00 ms",
                "2 faces in 1920 x 1080": "2.00 ms",
                "4 faces in 1920 x 1080": "4.00 ms",
                "8 faces in 1920 x 1080": "8.00 ms",
            },
        ),
    ],
    ids=["batches", "export_speed", "lean_import", "session_overhead", "crop_cost"],
)
def test_first_row_has_each_figure_under_its_heading(
    results: Path, table: str, row: dict[str, str]
) -> None:
    lines = TABLES[table](results).splitlines()

    header, first = ([cell.strip() for cell in lines[at].strip("|").split("|")] for at in (0, 2))
    assert dict(zip(header, first, strict=True)) == row


def test_a_result_without_a_figure_of_its_table_is_an_error(results: Path) -> None:
    where = provenance(threads=1)
    result = result_of("How?", where, settings={}, figures={"instant": ADDED})
    write_result("session_overhead", result, folder=results)

    with pytest.raises(KeyError, match="onnxruntime"):
        TABLES["session_overhead"](results)
