"""Power mode, clocks and temperature."""

from __future__ import annotations

from pathlib import Path

import pytest

from facealign.machine.power import clocks_text, governors, hottest_zone, power_mode
from tests.unit.machine.machines import MODES, write_files, write_garbage

CPU = "sys/devices/system/cpu/cpufreq/policy0"
GPU = "sys/class/devfreq/17000000.gpu"


def test_power_mode_has_number_and_name(tmp_path: Path) -> None:
    files = {"var/lib/nvpmodel/status": "pmode:0002", "etc/nvpmodel.conf": MODES}

    assert power_mode(write_files(tmp_path, dict(files))) == "2 (MAXN_SUPER)"


def test_power_mode_without_names_is_the_number(tmp_path: Path) -> None:
    root = write_files(tmp_path, {"var/lib/nvpmodel/status": "pmode:0001 fmode:quiet"})

    assert power_mode(root) == "1"


def test_there_is_no_power_mode_on_a_pc(tmp_path: Path) -> None:
    assert power_mode(tmp_path) is None


@pytest.mark.parametrize(
    ("low", "expected"),
    [("1510400", "CPU fixed, GPU fixed"), ("115200", "CPU free, GPU fixed")],
    ids=["jetson_clocks", "free"],
)
def test_clocks_are_fixed_where_lowest_is_highest(tmp_path: Path, low: str, expected: str) -> None:
    files = {
        f"{CPU}/scaling_min_freq": low,
        f"{CPU}/scaling_max_freq": "1510400",
        f"{CPU}/scaling_governor": "schedutil\n",
        f"{GPU}/min_freq": "624750000",
        f"{GPU}/max_freq": "624750000",
    }
    root = write_files(tmp_path, dict(files))

    assert (clocks_text(root), governors(root)) == (expected, ("schedutil",))


def test_the_hottest_zone_that_can_be_read_counts(tmp_path: Path) -> None:
    zones = "sys/class/thermal/thermal_zone"
    files = {
        f"{zones}0/type": "cpu-thermal\n",
        f"{zones}0/temp": "48500\n",
        f"{zones}1/type": "gpu-thermal\n",
        f"{zones}1/temp": "54250\n",
        f"{zones}2/type": "cv0-thermal\n",
    }

    assert hottest_zone(write_files(tmp_path, dict(files))) == ("gpu-thermal", 54.25)


def test_garbage_has_neither_mode_nor_clocks_nor_temperature(tmp_path: Path) -> None:
    root = write_garbage(tmp_path)

    assert (power_mode(root), clocks_text(root), hottest_zone(root)) == (None, None, None)
