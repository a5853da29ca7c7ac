from __future__ import annotations

import pytest

from facealign.bench.child import Child
from facealign.bench.noise import CpuTimes
from facealign.bench.result import Candidate
from facealign.bench.turns import Turns
from facealign.pipeline.bench_children import Opened
from facealign.pipeline.bench_turns import Watch, machine_state


def _opened(engine: str) -> Opened:
    candidate = Candidate(engine=engine, precision="fp32", batch=1, threads=None)
    return Opened(candidate, object.__new__(Child), base_memory_mb=1.0, open_s=1.0)


def _turns(*run_ms: float, cpu_s: float) -> Turns:
    rounds: tuple[dict[str, tuple[float, ...]], ...]
    rounds = tuple({"forward": (each,)} for each in run_ms)
    return Turns((rounds[:8], rounds[8:]), cpu_s, peak_memory_mb=1.0)


@pytest.fixture
def watch() -> Watch:
    """Return looks at two launches; between them others were busy."""
    busy_s = (100.0, 109.0, 129.0, 138.0)
    totals_s = (1000.0, 1020.0, 1040.0, 1060.0)
    return Watch(
        clocks=[{"governor": "powersave", "turbo": "on"}, {}, {}, {"governor": "performance"}],
        cpu=[CpuTimes(busy, 0.0, total) for busy, total in zip(busy_s, totals_s, strict=True)],
        own_s=[1.0, 1.5, 7.0, 7.5],
        throttled=[5, 5, 6, 6],
    )


@pytest.fixture(autouse=True)
def _many_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 32)


def test_machine_state_counts_what_others_took_during_the_rounds(watch: Watch) -> None:
    turns = [_turns(*[5.0] * 16, cpu_s=7.0), _turns(*[9.0] * 16, cpu_s=6.0)]
    opened = [_opened("onnxruntime"), _opened("openvino")]

    found = machine_state(watch, opened, turns, load_before=0.5)

    # 9 s of 20 in each launch, less 0.5 s twice of this process and 13 s of the children.
    assert found.foreign_cpu_percent == pytest.approx(100 * 4 / 40)
    assert found.load_before == 0.5
    assert found.flags[0].startswith(
        "other processes took 10.0 % of the time of all cores (more than 1.56 %)"
    )
    assert found.flags[1:] == ("the processor was slowed down for its heat; let it cool down",)


def test_machine_state_is_quiet_when_the_children_took_all(watch: Watch) -> None:
    watch.throttled = [5] * 4

    found = machine_state(watch, [_opened("a")], [_turns(*[5.0] * 16, cpu_s=17.0)], load_before=0)

    assert found.foreign_cpu_percent == 0
    assert found.flags == ()


def test_machine_state_has_the_clocks_before_and_after(watch: Watch) -> None:
    found = machine_state(watch, [_opened("a")], [_turns(*[5.0] * 16, cpu_s=17.0)], load_before=0)

    assert found.clocks == {"governor": "powersave, then performance", "turbo": "on"}


def test_machine_state_finds_the_engine_that_got_slower(watch: Watch) -> None:
    slower = [10.0 + index / 4 for index in range(16)]
    turns = [_turns(*[5.0] * 16, cpu_s=9.0), _turns(*slower, cpu_s=9.0)]
    watch.throttled = [0] * 4

    found = machine_state(watch, [_opened("cpu"), _opened("gpu")], turns, load_before=0)

    assert len(found.flags) == 1
    assert found.flags[0].startswith("the last third of the rounds on gpu was 26 % slower than")
