from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx_ir as ir
import pytest
from numpy.typing import NDArray

from facealign.calibration import Ranges, observer_names
from facealign.errors import CalibrationError
from facealign.export.graph import bytes_from_graph, expose_values
from facealign.export.passes.quantize import tensors_to_observe
from facealign.pipeline.calibrate import calibrate, state_path
from facealign.runtime.ort_engine import OrtEngine, run_graph
from tests.unit.pipeline.small_network import Told, crops_for, network

Crops = NDArray[np.uint8]
FACES = 48  # the state is written after every 32
SAVED = 32
MEAN_COLOUR = (100, 110, 120)  # of the network; such a crop gives zeros everywhere


@dataclass
class Impatient(Told):
    """Presses Ctrl-C after so many crops."""

    after: int = 0

    def advance(self, done: int, *, total: int) -> None:
        super().advance(done, total=total)
        if self.done >= self.after:
            raise KeyboardInterrupt


@pytest.fixture(scope="module")
def crops() -> Crops:
    return crops_for(FACES)


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return how many crops each run of an engine had."""
    counts: list[int] = []
    run = OrtEngine.run

    def count(engine: OrtEngine, batch: Crops, names: Sequence[str] | None = None) -> object:
        counts.append(len(batch))
        return run(engine, batch, names)

    monkeypatch.setattr(OrtEngine, "run", count)
    return counts


def ranges_from(
    graph: ir.Model, crops: Crops, state: Path | None = None, *, observer: str = "min_max"
) -> Ranges:
    return calibrate(graph, crops, observer=observer, state=state, stage=Told())


def interrupt(graph: ir.Model, crops: Crops, state: Path, *, after: int = 40) -> None:
    with pytest.raises(KeyboardInterrupt):
        calibrate(graph, crops, observer="min_max", state=state, stage=Impatient(after=after))


def test_calibrate_gives_the_largest_magnitudes(small: ir.Model, crops: Crops) -> None:
    found = ranges_from(small, crops)

    names = tensors_to_observe(small)
    values = run_graph(expose_values(bytes_from_graph(small), names), crops, names)
    assert found.crop_count == FACES
    assert found.amax == pytest.approx(
        {name: float(np.abs(values[name]).max()) for name in names}, rel=1e-5
    )


@pytest.mark.parametrize("observer", observer_names())
def test_calibrate_gives_the_same_ranges_twice(
    small: ir.Model, crops: Crops, observer: str
) -> None:
    first, second = (ranges_from(small, crops, observer=observer) for _ in range(2))

    assert (first, first.observer) == (second, observer)


def test_calibrate_says_how_many_crops_the_ranges_needed(small: ir.Model, crops: Crops) -> None:
    told = Told()

    calibrate(small, crops, observer="min_max", state=None, stage=told)

    assert told.texts[0].startswith(f"min_max, {len(tensors_to_observe(small))} tensors; ranges ")
    assert (told.done, told.totals) == (FACES, {FACES})


def test_calibrate_removes_its_state_in_the_end(
    small: ir.Model, crops: Crops, tmp_path: Path
) -> None:
    ranges_from(small, crops, tmp_path / "state")

    assert list(tmp_path.iterdir()) == []


def test_calibrate_goes_on_where_it_was_interrupted(
    small: ir.Model, crops: Crops, tmp_path: Path, ran: list[int]
) -> None:
    expected = ranges_from(small, crops)
    state = tmp_path / "state"
    interrupt(small, crops, state)
    assert state.exists()
    ran.clear()

    found = ranges_from(small, crops, state)

    assert found == expected
    assert sum(ran) == FACES - SAVED
    assert not state.exists()


def test_calibrate_starts_anew_when_nothing_was_saved(
    small: ir.Model, crops: Crops, tmp_path: Path, ran: list[int]
) -> None:
    interrupt(small, crops, tmp_path / "state", after=8)
    ran.clear()

    found = ranges_from(small, crops, tmp_path / "state")

    assert found.crop_count == sum(ran) == FACES


def other_graph(state: Path, crops: Crops) -> None:
    interrupt(network(seed=6), crops, state)


def other_crops(state: Path, crops: Crops) -> None:
    interrupt(network(), crops_for(len(crops), seed=7), state)


def longer(state: Path, crops: Crops) -> None:
    interrupt(network(), np.concatenate([crops, crops]), state, after=len(crops) + SAVED)


def other_observer(state: Path, crops: Crops) -> None:
    with pytest.raises(KeyboardInterrupt):
        calibrate(
            network(), crops, observer="entropy", state=state, stage=Impatient(after=len(crops) - 1)
        )


def corrupt(state: Path, crops: Crops) -> None:
    interrupt(network(), crops, state)
    data = bytearray(state.read_bytes())
    data[-1] ^= 1
    state.write_bytes(data)


def garbage(state: Path, crops: Crops) -> None:
    state.write_bytes(b"hello" * len(crops))


@pytest.mark.parametrize(
    "spoil", [other_graph, other_crops, longer, other_observer, corrupt, garbage]
)
def test_calibrate_throws_away_a_state_that_does_not_fit(
    small: ir.Model,
    crops: Crops,
    tmp_path: Path,
    ran: list[int],
    spoil: Callable[[Path, Crops], None],
) -> None:
    expected = ranges_from(small, crops)
    state = tmp_path / "state"
    spoil(state, crops)
    assert state.exists()
    ran.clear()

    found = ranges_from(small, crops, state)

    assert found == expected
    assert sum(ran) >= FACES
    assert not state.exists()


def test_calibrate_that_has_no_end_is_not_tried_twice(tmp_path: Path, ran: list[int]) -> None:
    dull = np.full((SAVED + 4, 16, 16, 3), MEAN_COLOUR, np.uint8)
    crops = np.concatenate([dull, crops_for(4)])
    overflowing = network(outlier=5e38)

    with pytest.raises(CalibrationError, match="is not finite for a calibration crop"):
        ranges_from(overflowing, crops, tmp_path / "state")

    assert sum(ran) == len(crops)
    assert list(tmp_path.iterdir()) == []


def test_calibrate_refuses_no_crops(small: ir.Model) -> None:
    with pytest.raises(CalibrationError, match="there are no calibration crops"):
        ranges_from(small, crops_for(1)[:0])


@pytest.mark.parametrize(
    "bundle", ["demo.bundle", "./demo.bundle", ".", "../demo.bundle"], ids=lambda text: text
)
def test_state_is_hidden_beside_the_bundle(
    bundle: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside = tmp_path / "demo.bundle"
    inside.mkdir()
    monkeypatch.chdir({"demo.bundle": tmp_path, "./demo.bundle": tmp_path}.get(bundle, inside))

    assert state_path(Path(bundle)) == tmp_path.resolve() / ".demo.bundle.calibration"
