"""README's tables of what everything but the network costs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from markdown import network_title, table
from result_file import read_result

__all__ = ["COST_TABLES"]

_CROP_FACES = ("1", "2", "4", "8")
_MANY_FACES_IN = "1920 x 1080"


def _lean_import(results: Path) -> str:
    figures = read_result("lean_import", folder=results).figures
    header = ("import", "processor", "clock", "modules")
    return table(header, [_import_row(name, row) for name, row in figures.items()])


def _import_row(name: str, row: Mapping[str, float]) -> list[str]:
    before = {
        "numpy and cv2": "Python",
        "its engine on ONNX Runtime": "numpy, cv2 and onnxruntime",
        "facealign.runtime.tensorrt": "numpy",
        "all that runs a plan": "numpy",
    }
    title = f"`{name}`" if name.startswith(("facealign", "open")) else name
    return [
        f"{title} beyond {before.get(name, 'numpy and cv2')}",
        f"{row['least_cpu_s']:.3f} s",
        f"{row['least_wall_s']:.3f} s",
        f"{row['modules']:.0f}",
    ]


def _session_overhead(results: Path) -> str:
    figures = read_result("session_overhead", folder=results).figures
    engines = {"onnxruntime": "ONNX Runtime", "instant": "an engine that returns at once"}
    header = (
        "",
        "forward alone",
        "crop behind it",
        "end to end",
        "less forward and crop",
        "less crop and forward in a row",
        "kept per run",
    )
    return table(header, [_overhead_row(t, figures[name]) for name, t in engines.items()])


def _overhead_row(title: str, row: Mapping[str, Any]) -> list[str]:
    median = row["times"]["median_ms"]
    return [
        title,
        *(f"{median[each]:.2f} ms" for each in ("forward", "crop", "end to end")),
        _interval_ms(row["times"]["overhead_ms"]),
        _interval_ms(row["times"]["more_than_by_hand_ms"]),
        f"{row['memory']['bytes_per_run']:.2f} bytes",
    ]


def _interval_ms(value: Sequence[float]) -> str:
    median, low, high = value
    return f"{median:.3f} ({low:.3f} to {high:.3f}) ms"


def _crop_cost(results: Path) -> str:
    figures = read_result("crop_cost", folder=results).figures
    frames = list(next(iter(figures.values()))["median_ms_by_faces"])
    many = [f"{faces} faces in {_MANY_FACES_IN}" for faces in _CROP_FACES[1:]]
    header = ("", "rule", *(f"a face in {frame}" for frame in frames), *many)
    return table(header, [_crop_row(name, row) for name, row in figures.items()])


def _crop_row(names: str, row: Mapping[str, Any]) -> list[str]:
    cost, rule = row["median_ms_by_faces"], row["rule"]
    many = [cost[_MANY_FACES_IN][faces] for faces in _CROP_FACES[1:]]
    families = [network_title(name).partition(",")[0] for name in names.split(", ")]
    return [
        ", ".join(dict.fromkeys(families)),
        f"{rule['from_box']['side_factor']:g} times the box, {rule['interpolation']}",
        *(f"{by_faces['1']:.2f} ms" for by_faces in cost.values()),
        *(f"{each:.2f} ms" for each in many),
    ]


def _export_speed(results: Path) -> str:
    figures = read_result("export_speed", folder=results).figures
    stages = list(next(iter(figures.values()))["stages_s"])
    header = ("", "total", *("start, end" if each == "none" else f"`{each}`" for each in stages))
    rows = [
        [
            network_title(name),
            f"{row['total_s']:.0f} s",
            *(f"{row['stages_s'][each]:.1f} s" for each in stages),
        ]
        for name, row in figures.items()
    ]
    return table(header, rows)


COST_TABLES: dict[str, Callable[[Path], str]] = {
    "crop_cost": _crop_cost,
    "export_speed": _export_speed,
    "lean_import": _lean_import,
    "session_overhead": _session_overhead,
}
