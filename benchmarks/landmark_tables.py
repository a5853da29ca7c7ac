"""README's tables of how far landmarks move: mirror, shift and light, and FP16."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from markdown import network_title, rounded, table
from result_file import read_result

__all__ = ["LANDMARK_TABLES"]

_STILL_PX = 0.1  # what the light does not move at all by construction, but for rounding
_HALF_ORDER = ("sdfl_resnet34_lgrl", "sdfl_resnet34_scc", "slpt_98_dec6", "spiga_98", "propnet_98")


def _flip_and_shift(results: Path) -> str:
    figures = read_result("flip_and_shift", folder=results).figures
    header = (
        "",
        "differs between crops by",
        "half the contrast moves landmarks by",
        "a shift of 4 px is missed by",
        "a mirrored crop's, mirrored back, differ by",
    )
    return table(header, [_behaviour_row(name, row) for name, row in figures.items()])


def _behaviour_row(name: str, row: Mapping[str, float]) -> list[str]:
    light = row["half the contrast"]
    return [
        network_title(name).removesuffix(", 98 landmarks"),
        f"{row['spread between crops']:.1f} px",
        f"**{light:.2f} px**" if light < _STILL_PX else f"{light:.1f} px",
        f"{row['shifted by 4 px']:.1f} px",
        f"{row['mirrored']:.0f} px",
    ]


def _half_precision(results: Path) -> str:
    figures = read_result("half_precision", folder=results).figures
    header = ("", "p99", "largest", "median", "moved by the weights' noise, p99")
    return table(header, [_half_row(name, figures[name]) for name in _HALF_ORDER])


def _half_row(name: str, row: Mapping[str, Any]) -> list[str]:
    moved = row["fp16"]
    p99 = f"{rounded(moved['p99_px'])} px"
    draws = row["fp32_with_weights_off_by_2**-12"]
    noise = f"{rounded(max(draw['p99_px'] for draw in draws), most_decimals=2)} px"
    title = network_title(name)
    if moved["p99_px"] == 0 < moved["max_px"]:
        title = f"{title.partition(',')[0]} (landmarks stay, or jump to another peak)"
        noise += f", largest {max(draw['max_px'] for draw in draws):.0f} px"
    return [
        title,
        p99 if row["keeps_the_bar"] else f"**{p99}**",
        f"{rounded(moved['max_px'], most_decimals=2)} px",
        f"{rounded(moved['median_px'])} px",
        noise,
    ]


LANDMARK_TABLES: dict[str, Callable[[Path], str]] = {
    "flip_and_shift": _flip_and_shift,
    "half_precision": _half_precision,
}
