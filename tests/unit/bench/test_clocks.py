from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from facealign.bench.clocks import clock_state, throttle_count

_CPU = "sys/devices/system/cpu"
_FREE = {
    f"{_CPU}/cpu0/cpufreq/scaling_governor": "powersave",
    f"{_CPU}/cpu0/cpufreq/scaling_cur_freq": "1000000",
    f"{_CPU}/cpu0/cpufreq/scaling_min_freq": "800000",
    f"{_CPU}/cpu0/cpufreq/scaling_max_freq": "4000000",
    f"{_CPU}/cpu1/cpufreq/scaling_governor": "performance",
    f"{_CPU}/cpu1/cpufreq/scaling_cur_freq": "3000000",
    f"{_CPU}/cpu1/cpufreq/scaling_min_freq": "800000",
    f"{_CPU}/cpu1/cpufreq/scaling_max_freq": "4200000",
    f"{_CPU}/intel_pstate/no_turbo": "0",
}
_JETSON = {
    f"{_CPU}/cpu0/cpufreq/scaling_governor": "schedutil",
    f"{_CPU}/cpu0/cpufreq/scaling_cur_freq": "2201600",
    f"{_CPU}/cpu0/cpufreq/scaling_min_freq": "2201600",
    f"{_CPU}/cpu0/cpufreq/scaling_max_freq": "2201600",
    "sys/class/devfreq/17000000.gpu/cur_freq": "1300500000",
    "sys/class/devfreq/17000000.gpu/min_freq": "1300500000",
    "sys/class/devfreq/17000000.gpu/max_freq": "1300500000",
    "var/lib/nvpmodel/status": "pmode:0000",
    "etc/nvpmodel.conf": "< POWER_MODEL ID=0 NAME=MAXN >\n< POWER_MODEL ID=1 NAME=MODE_10W >\n",
}


def _written(root: Path, files: Mapping[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(f"{text}\n")
    return root


def test_clock_state_reads_what_a_pc_is_set_to(tmp_path: Path) -> None:
    found = clock_state(_written(tmp_path, _FREE))

    assert found == {
        "governor": "powersave, performance",
        "cpu frequency": "2000 MHz of 800 to 4200",
        "turbo": "on",
        "clocks": "free to move",
    }


def test_clock_state_reads_what_jetson_clocks_has_fixed(tmp_path: Path) -> None:
    found = clock_state(_written(tmp_path, _JETSON))

    assert found == {
        "governor": "schedutil",
        "cpu frequency": "2201 MHz of 2201 to 2201",
        "power mode": "0 (MAXN)",
        "gpu frequency": "1300 MHz of 1300 to 1300",
        "clocks": "fixed",
    }


def test_clock_state_is_not_fixed_while_the_gpu_is_free(tmp_path: Path) -> None:
    free_gpu = {**_JETSON, "sys/class/devfreq/17000000.gpu/min_freq": "306000000"}

    found = clock_state(_written(tmp_path, free_gpu))

    assert found["clocks"] == "free to move"


def test_clock_state_has_the_number_of_a_mode_without_a_name(tmp_path: Path) -> None:
    found = clock_state(_written(tmp_path, {"var/lib/nvpmodel/status": "pmode:0008"}))

    assert found == {"power mode": "8"}


def test_clock_state_is_empty_in_a_container_that_hides_it(tmp_path: Path) -> None:
    assert clock_state(tmp_path) == {}


def test_throttle_count_adds_up_all_cores(tmp_path: Path) -> None:
    folder = f"{_CPU}/cpu0/thermal_throttle"
    files = {f"{folder}/core_throttle_count": "2", f"{folder}/package_throttle_count": "5"}

    assert throttle_count(_written(tmp_path, files)) == 7


def test_throttle_count_is_none_where_nobody_counts(tmp_path: Path) -> None:
    assert throttle_count(tmp_path) is None
