from __future__ import annotations

import hashlib
from pathlib import Path

import msgspec
import pytest

from facealign.calibration.observers import ObserverState
from facealign.calibration.ranges import Snapshot
from facealign.calibration.state_file import PartialCalibration, read_state, write_state
from facealign.errors import CalibrationError, OutputError

STATE = PartialCalibration(
    graph_sha256="0" * 64,
    observer="entropy",
    names=("a",),
    crop_count=3,
    crops_sha256="1" * 64,
    observers=(ObserverState(2.5, -3, bytes(range(256)), 7),),
    snapshots=(Snapshot(2, (1.5,)),),
)


def test_read_state_gives_what_was_written(tmp_path: Path) -> None:
    write_state(tmp_path / "state", STATE)

    assert read_state(tmp_path / "state") == STATE


def test_read_state_gives_nothing_where_there_is_no_file(tmp_path: Path) -> None:
    assert read_state(tmp_path / "state") is None


@pytest.mark.parametrize("position", [0, 63, 64, 200, -1])
def test_read_state_refuses_a_changed_byte(tmp_path: Path, position: int) -> None:
    write_state(tmp_path / "state", STATE)
    data = bytearray((tmp_path / "state").read_bytes())
    data[position] ^= 1
    (tmp_path / "state").write_bytes(data)

    with pytest.raises(CalibrationError, match="corrupt: its digest does not fit; delete it"):
        read_state(tmp_path / "state")


@pytest.mark.parametrize("length", [0, 10, 64, 300])
def test_read_state_refuses_a_shortened_file(tmp_path: Path, length: int) -> None:
    write_state(tmp_path / "state", STATE)
    data = (tmp_path / "state").read_bytes()
    (tmp_path / "state").write_bytes(data[:length])

    with pytest.raises(CalibrationError, match="corrupt: its digest does not fit"):
        read_state(tmp_path / "state")


def test_read_state_refuses_a_state_of_another_form(tmp_path: Path) -> None:
    payload = msgspec.msgpack.encode({"version": 2})
    digest = hashlib.sha256(payload).hexdigest().encode()
    (tmp_path / "state").write_bytes(digest + payload)

    with pytest.raises(CalibrationError, match=r"of another facealign: .*; delete it"):
        read_state(tmp_path / "state")


def test_read_state_refuses_a_folder(tmp_path: Path) -> None:
    with pytest.raises(CalibrationError, match=r"cannot read the calibration state .*: Is a dir"):
        read_state(tmp_path)


def test_write_state_replaces_the_old_one_and_leaves_nothing_else(tmp_path: Path) -> None:
    write_state(tmp_path / "state", STATE)
    newer = msgspec.structs.replace(STATE, crop_count=4)

    write_state(tmp_path / "state", newer)

    assert read_state(tmp_path / "state") == newer
    assert [path.name for path in tmp_path.iterdir()] == ["state"]


def test_write_state_keeps_the_old_one_when_it_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_state(tmp_path / "state", STATE)

    def full_disk(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("facealign.calibration.state_file.os.fsync", full_disk)
    with pytest.raises(OutputError, match=r"cannot write the calibration state .*No space left"):
        write_state(tmp_path / "state", msgspec.structs.replace(STATE, crop_count=4))

    assert read_state(tmp_path / "state") == STATE
    assert [path.name for path in tmp_path.iterdir()] == ["state"]
