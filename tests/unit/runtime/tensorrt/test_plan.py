from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from io import RawIOBase
from pathlib import Path

import pytest

from facealign.errors import IntegrityError, OutputError
from facealign.runtime.tensorrt.plan import (
    Plan,
    _sidecar_json,
    read_plan,
    read_record,
    sidecar_path,
    write_plan,
)
from tests.unit.runtime.tensorrt.made_plans import DATA, GRAPH_SHA256, KEY, made_plan

OTHER_KEY = b"fedcba9876543210"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return the path of an unsigned plan with its sidecar."""
    path = tmp_path / "orin-trt10.3.0-fp16.plan"
    write_plan(path, made_plan())
    return path


def _flip(path: Path, position: int) -> None:
    data = bytearray(path.read_bytes())
    data[position] ^= 1
    path.write_bytes(data)


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def _lengthen(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"\0")


def _make_link(path: Path) -> None:
    path.rename(path.with_suffix(".real"))
    path.symlink_to(path.with_suffix(".real"))


def _make_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def _make_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


CHANGES: dict[str, Callable[[Path], None]] = {
    "first byte": lambda path: _flip(path, 0),
    "last byte": lambda path: _flip(path, -1),
    "cut short": _cut,
    "one byte more": _lengthen,
    "empty": lambda path: os.truncate(path, 0),
    "missing": Path.unlink,
    "a link": _make_link,
    "a pipe": _make_pipe,
    "a folder": _make_folder,
}


def test_a_plan_comes_back_with_every_fact(path: Path) -> None:
    found = read_plan(path, graph_sha256=GRAPH_SHA256)

    assert found == made_plan()


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_read_plan_refuses_a_changed_plan(path: Path, change: Callable[[Path], None]) -> None:
    change(path)

    with pytest.raises(IntegrityError, match=f"{re.escape(str(path))}.*`facealign build`"):
        read_plan(path)


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_read_plan_refuses_a_changed_sidecar(path: Path, change: Callable[[Path], None]) -> None:
    change(sidecar_path(path))

    with pytest.raises(IntegrityError, match=re.escape(str(sidecar_path(path)))):
        read_plan(path)


def test_read_plan_refuses_every_single_changed_byte_of_the_sidecar(path: Path) -> None:
    sidecar = sidecar_path(path)
    whole = sidecar.read_bytes()

    with sidecar.open("r+b", buffering=0) as file:  # in place: to write it anew took 6 s in all
        accepted = [at for at in range(len(whole)) if _is_accepted_with_change(path, file, at)]

    assert len(whole) > 1000
    assert accepted == []
    assert sidecar.read_bytes() == whole


def _is_accepted_with_change(path: Path, sidecar: RawIOBase, at: int) -> bool:
    sidecar.seek(at)
    byte = sidecar.read(1) or b""
    try:
        _write_byte(sidecar, at, byte[0] ^ 1)
        read_plan(path)
    except IntegrityError:
        return False
    finally:
        _write_byte(sidecar, at, byte[0])
    return True


def _write_byte(file: RawIOBase, at: int, byte: int) -> None:
    file.seek(at)
    file.write(bytes([byte]))


def _resealed(path: Path, change: Callable[[dict[str, object]], None]) -> None:
    """Change the record as a forger without the key would: with a checksum that matches."""
    sidecar = sidecar_path(path)
    whole = json.loads(sidecar.read_bytes())
    change(whole["record"])
    sidecar.write_bytes(_sidecar_json(whole["record"], whole["hmac"]))


RECORD_FAULTS: dict[str, tuple[Callable[[dict[str, object]], object], str]] = {
    "a field more": (lambda record: record.update(more=1), "must have exactly the fields"),
    "a field less": (lambda record: record.pop("machine"), "must have exactly the fields"),
    "a text for a number": (lambda record: record.update(plan_bytes="768"), "cannot be '768'"),
    "true for a number": (lambda record: record.update(plan_bytes=True), "cannot be True"),
    "a newer schema": (lambda record: record.update(version=2), "it has version 2"),
    "no plan": (lambda record: record.update(plan_bytes=0), "0 bytes"),
    "no list": (lambda record: record.update(inputs=1), "must be a list"),
}


@pytest.mark.parametrize(("change", "message"), RECORD_FAULTS.values(), ids=RECORD_FAULTS.keys())
def test_read_record_refuses_what_is_no_record(
    path: Path, change: Callable[[dict[str, object]], None], message: str
) -> None:
    _resealed(path, change)

    with pytest.raises(IntegrityError, match=message):
        read_record(path)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "null",
        "{}",
        "[" * 100_000,
        f'{{"record": {"[" * 700}{"]" * 700}}}',
        '{"record": NaN}',
        "\xff",
        '{"a": 1, "a": 1}',
    ],
    ids=[
        "empty",
        "list",
        "null",
        "no-fields",
        "deep",
        "deep-to-write",
        "nan",
        "no-utf-8",
        "a-key-twice",
    ],
)
def test_read_record_refuses_what_is_no_sidecar(path: Path, text: str) -> None:
    sidecar_path(path).write_bytes(text.encode("latin-1"))

    with pytest.raises(IntegrityError, match="is not as facealign wrote it"):
        read_record(path)


def test_read_plan_refuses_the_plan_of_another_graph(path: Path) -> None:
    with pytest.raises(IntegrityError, match="was built from another graph than the bundle's"):
        read_plan(path, graph_sha256="0" * 64)


def test_a_plan_object_refuses_bytes_that_are_not_its_records() -> None:
    with pytest.raises(IntegrityError, match="it is not loaded"):
        Plan(made_plan().record, DATA[:-1] + b"?")


def test_a_signed_plan_is_read_with_its_key(path: Path) -> None:
    write_plan(path, made_plan(), key=KEY)

    assert read_plan(path, key=KEY) == made_plan()


@pytest.mark.parametrize(
    ("signed_with", "read_with", "message"),
    [
        (KEY, OTHER_KEY, "was signed with another key, or forged"),
        (None, KEY, "is not signed, and with a key only signed plans run"),
        (KEY, None, "is signed and there is no key to check it with"),
    ],
    ids=["wrong key", "not signed", "no key"],
)
def test_read_plan_refuses_a_signature_that_is_not_the_keys(
    path: Path, signed_with: bytes | None, read_with: bytes | None, message: str
) -> None:
    write_plan(path, made_plan(), key=signed_with)

    with pytest.raises(IntegrityError, match=message):
        read_plan(path, key=read_with)


def test_read_plan_refuses_a_record_that_was_changed_without_the_key(path: Path) -> None:
    write_plan(path, made_plan(), key=KEY)
    _resealed(path, lambda record: record.update(precision="fp32"))

    with pytest.raises(IntegrityError, match="was signed with another key, or forged"):
        read_plan(path, key=KEY)


@pytest.mark.parametrize("forged", ["", "0" * 64, "\u00e9", "\ud800"])
def test_read_plan_refuses_any_text_for_a_signature(path: Path, forged: str) -> None:
    record = json.loads(sidecar_path(path).read_bytes())["record"]
    sidecar_path(path).write_bytes(_sidecar_json(record, forged))

    with pytest.raises(IntegrityError, match="was signed with another key, or forged"):
        read_plan(path, key=KEY)


def test_equal_plans_give_equal_files(tmp_path: Path, path: Path) -> None:
    write_plan(tmp_path / "again.plan", made_plan())

    assert (tmp_path / "again.plan.json").read_bytes() == sidecar_path(path).read_bytes()


@pytest.mark.parametrize("failing", [0, 1], ids=["plan", "sidecar"])
def test_write_plan_leaves_nothing_when_the_disk_is_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: int
) -> None:
    outcomes = iter([None] * failing + [OSError(28, "No space left on device")])
    monkeypatch.setattr(os, "fsync", lambda _: _raise(next(outcomes)))

    with pytest.raises(OutputError, match=r"cannot write `.*`: No space left on device; no plan"):
        write_plan(tmp_path / "x.plan", made_plan())

    assert list(tmp_path.iterdir()) == []


def _raise(error: Exception | None) -> None:
    if error is not None:
        raise error


@pytest.mark.parametrize("error", [OSError(5, "Input/output error"), KeyboardInterrupt()])
def test_write_plan_leaves_no_plan_beside_the_sidecar_of_another(
    path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    real = Path.replace

    def fail_for_the_sidecar(source: Path, target: Path) -> Path:
        if target.suffix == ".json":
            raise error
        return real(source, target)

    monkeypatch.setattr(Path, "replace", fail_for_the_sidecar)

    with pytest.raises((OutputError, KeyboardInterrupt)):
        write_plan(path, made_plan(data=b"another"))

    assert list(path.parent.iterdir()) == []


def test_write_plan_says_where_it_cannot_write(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"cannot write .*copy the bundle to where it can be"):
        write_plan(tmp_path / "absent" / "x.plan", made_plan())


def test_cache_key_depends_on_the_record_only() -> None:
    record = made_plan().record

    assert replace(record, plan_bytes=9, precision="fp32").cache_key == record.cache_key


def test_a_plan_is_read_without_libraries_of_the_workstation(path: Path) -> None:
    code = (
        "import sys, pathlib\n"
        "from facealign.runtime.tensorrt.plan import read_plan\n"
        f"print(read_plan(pathlib.Path({str(path)!r})).record.precision)\n"
        "names = {'msgspec', 'onnx', 'torch', 'cv2', 'onnxruntime', 'typer', 'tensorrt'}\n"
        "print(sorted(names & set(sys.modules)))\n"
    )

    process = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )

    assert process.stdout == "fp16\n[]\n"
