"""Files that are no checkpoint, broken or hostile; all are real files, nothing is mocked."""

from __future__ import annotations

import argparse
import io
import os
import pickle
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import Tensor, nn

from facealign.errors import CheckpointError, UnsafeCheckpointError
from facealign.models.checkpoint import read_checkpoint

_MAGIC = 0x1950A86A20F9469CFC6C
_PROTOCOL = 1001


class _Runs:
    """Runs a shell command when it is unpickled."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> tuple[Callable[..., object], tuple[str]]:
        return os.system, (self.command,)


class _Calls:
    """Calls a function when it is unpickled."""

    def __init__(self, function: Callable[..., object], *arguments: object) -> None:
        self.call = function, arguments

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return self.call


def _save(content: object, path: Path, *, legacy: bool = False) -> Path:
    torch.save(content, path, _use_new_zipfile_serialization=not legacy)
    return path


def _archive(path: Path, members: dict[str, bytes], *, compression: int = 0) -> Path:
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def _pickled_archive(path: Path, pickled: bytes) -> Path:
    return _archive(path, {"archive/data.pkl": pickled, "archive/version": b"3\n"})


def _legacy(path: Path, pickled: bytes) -> Path:
    start: list[object] = [_MAGIC, _PROTOCOL, {}]
    head = b"".join(pickle.dumps(each, 2) for each in start)
    path.write_bytes(head + pickled + pickle.dumps([], 2))
    return path


def _write(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


# --- files that would run code


@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
def test_read_checkpoint_runs_no_code(tmp_path: Path, legacy: bool) -> None:
    marker = tmp_path / "marker"
    content = {"state_dict": {"a": torch.ones(1)}, "note": _Runs(f"touch {marker}")}
    path = _save(content, tmp_path / "a.pt", legacy=legacy)

    with pytest.raises(UnsafeCheckpointError, match=r"would run code: it asks for `posix\.system`"):
        read_checkpoint(path)

    assert not marker.exists()


@pytest.mark.parametrize("protocol", [0, 1, 2, 4, 5])
def test_read_checkpoint_runs_no_code_of_plain_pickle(tmp_path: Path, protocol: int) -> None:
    marker = tmp_path / "marker"
    path = _write(tmp_path / "a.pt", pickle.dumps(_Runs(f"touch {marker}"), protocol))

    with pytest.raises(UnsafeCheckpointError, match=r"asks for `posix\.system`"):
        read_checkpoint(path)

    assert not marker.exists()


def test_read_checkpoint_runs_no_code_of_nested_pickle(tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    inner = pickle.dumps(_Runs(f"touch {marker}"))
    content = {"a": _Calls(pickle.loads, inner)}  # noqa: S301  # never called: that is the claim
    path = _save(content, tmp_path / "a.pt")

    with pytest.raises(UnsafeCheckpointError, match=r"asks for `pickle\.loads`"):
        read_checkpoint(path)

    assert not marker.exists()


def test_read_checkpoint_scans_second_pickle_of_legacy_file(tmp_path: Path) -> None:
    hostile = _Calls(eval, "1")  # noqa: S307  # never called: that is the claim
    path = _legacy(tmp_path / "a.pt", pickle.dumps(hostile, 2))

    with pytest.raises(UnsafeCheckpointError, match=r"asks for `__builtin__\.eval`"):
        read_checkpoint(path)


@pytest.mark.parametrize(
    ("content", "asked"),
    [
        pytest.param(argparse.Namespace(lr=1), r"`argparse\.Namespace`", id="namespace"),
        pytest.param(np.float64(0.5), r"`numpy\.\S*multiarray\.scalar`", id="numpy-scalar"),
        pytest.param(np.ones(2), r"`numpy\.\S*multiarray\._reconstruct`", id="numpy-array"),
        pytest.param(Path("a"), r"`pathlib\.\S+`", id="path"),
        pytest.param(bytearray(b"a"), r"`__builtin__\.bytearray`", id="bytearray"),
    ],
)
def test_read_checkpoint_names_harmless_globals_and_says_how_to_save(
    tmp_path: Path, content: object, asked: str
) -> None:
    path = _save({"state_dict": {"a": torch.ones(1)}, "args": content}, tmp_path / "a.pt")

    with pytest.raises(
        UnsafeCheckpointError,
        match=rf"holds more than tensors: it asks for {asked}.*save only the weights.*state_dict",
    ):
        read_checkpoint(path)


def test_read_checkpoint_refuses_whole_module(tmp_path: Path) -> None:
    path = _save(nn.Sequential(nn.Linear(2, 2), nn.ReLU()), tmp_path / "a.pt")

    with pytest.raises(
        UnsafeCheckpointError,
        match=r"holds a whole pickled module: it asks for `torch\.nn\.modules\.container\.S",
    ):
        read_checkpoint(path)


@pytest.mark.parametrize(
    "tensor",
    [
        pytest.param(torch.eye(3).to_sparse(), id="sparse"),
        pytest.param(torch.ones(2, device="meta"), id="meta"),
    ],
)
def test_read_checkpoint_refuses_tensor_without_plain_storage(
    tmp_path: Path, tensor: Tensor
) -> None:
    path = _save({"a": tensor}, tmp_path / "a.pt")

    with pytest.raises(UnsafeCheckpointError, match=r"asks for `torch\._utils\._rebuild_\w+tensor"):
        read_checkpoint(path)


def test_read_checkpoint_refuses_torchscript(tmp_path: Path) -> None:
    path = _archive(
        tmp_path / "a.pt",
        {"a/data.pkl": b"\x80\x02}.", "a/code/__torch__.py": b"", "a/constants.pkl": b"\x80\x02)."},
    )

    with pytest.raises(
        UnsafeCheckpointError, match=r"is a TorchScript archive.*save the state dict"
    ):
        read_checkpoint(path)


# --- bombs


def _memo_bomb(levels: int) -> bytes:
    doubled = b"".join(
        b"h" + bytes([level]) + b"h" + bytes([level]) + b"\x86q" + bytes([level + 1])
        for level in range(levels)
    )
    return b"\x80\x02}(K\x01\x85q\x00" + doubled + b"Nu."


_BOMBS = {
    "memo": (_memo_bomb(40), "is a pickle bomb"),
    "deep-tuples": (b"\x80\x02K\x01" + b"\x85" * 100_000 + b".", "nests values more than 64 deep"),
    "deep-lists": (
        b"\x80\x02" + b"](" * 100_000 + b"e" * 100_000 + b".",
        "nests values more than 64 deep",
    ),
    "many-steps": (b"\x80\x02" + b"N0" * 1_500_000 + b"N.", "is a pickle bomb"),
    "huge-bytearray": (
        b"\x80\x02c__builtin__\nbytearray\nJ\xff\xff\xff\x7f\x85R.",
        r"`__builtin__\.bytearray`",
    ),
    "huge-tensor": (
        b"\x80\x02ctorch\nFloatTensor\nJ\xff\xff\xff\x7f\x85R.",
        r"`torch\.FloatTensor`",
    ),
}


@pytest.mark.timeout(30)
@pytest.mark.parametrize("write", [_pickled_archive, _legacy], ids=["zip", "legacy"])
@pytest.mark.parametrize(("pickled", "message"), _BOMBS.values(), ids=_BOMBS)
def test_read_checkpoint_refuses_pickle_bomb(
    tmp_path: Path, pickled: bytes, message: str, write: Callable[[Path, bytes], Path]
) -> None:
    path = write(tmp_path / "a.pt", pickled)

    with pytest.raises(UnsafeCheckpointError, match=message):
        read_checkpoint(path)


def test_read_checkpoint_refuses_tensor_that_unpacks_to_more_than_its_file(tmp_path: Path) -> None:
    path = _save({"a": torch.ones(1).expand(1 << 20, 1 << 20)}, tmp_path / "a.pt")

    with pytest.raises(UnsafeCheckpointError, match=r"unpacks to 4,398,046,511,104 bytes"):
        read_checkpoint(path)


def test_read_checkpoint_refuses_zip_bomb(tmp_path: Path) -> None:
    members = {"a/data.pkl": b"\x80\x02}.", "a/data/0": bytes(10_000_000)}
    path = _archive(tmp_path / "a.pt", members, compression=zipfile.ZIP_DEFLATED)

    with pytest.raises(UnsafeCheckpointError, match="is a zip bomb: it unpacks to 10,000,00"):
        read_checkpoint(path)


def test_read_checkpoint_refuses_duplicate_members(tmp_path: Path) -> None:
    path = _archive(tmp_path / "a.pt", {"a/data.pkl": b"\x80\x02}.", "b/data.pkl": b"\x80\x02]."})
    path.write_bytes(path.read_bytes().replace(b"b/data.pkl", b"a/data.pkl"))

    with pytest.raises(UnsafeCheckpointError, match=r"two members `a/data\.pkl`"):
        read_checkpoint(path)


def test_read_checkpoint_refuses_huge_pickle(tmp_path: Path) -> None:
    path = _pickled_archive(tmp_path / "a.pt", bytes((64 << 20) + 1))

    with pytest.raises(UnsafeCheckpointError, match="has a pickle of 67,108,865 bytes"):
        read_checkpoint(path)


# --- broken files, and files of another kind


@pytest.mark.parametrize("share", [0.05, 0.4, 0.9, 0.999])
@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
def test_read_checkpoint_says_truncated(tmp_path: Path, share: float, legacy: bool) -> None:
    whole = _save({"a": torch.ones(4000)}, tmp_path / "whole.pt", legacy=legacy).read_bytes()
    path = _write(tmp_path / "a.pt", whole[: int(share * len(whole))])

    with pytest.raises(CheckpointError, match=r"`a\.pt` is truncated.*download or copy it again"):
        read_checkpoint(path)


@pytest.mark.parametrize("length", [9, 20, 60, 4000])
def test_read_checkpoint_says_truncated_safetensors(tmp_path: Path, length: int) -> None:
    whole = safetensors.torch.save({"a": torch.ones(4000)})
    path = _write(tmp_path / "a.safetensors", whole[:length])

    with pytest.raises(CheckpointError, match=r"is truncated.*download or copy it again"):
        read_checkpoint(path)


def test_read_checkpoint_refuses_safetensors_header_larger_than_file(tmp_path: Path) -> None:
    path = _write(tmp_path / "a.safetensors", struct.pack("<Q", 1 << 40) + b'{"a": 1}')

    with pytest.raises(
        CheckpointError, match=r"header has 1,099,511,627,776 bytes \(the file has 16"
    ):
        read_checkpoint(path)


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        pytest.param(b"{not json", "header is not in order", id="no-json"),
        pytest.param(b'{"a": 1}', "header is not in order", id="no-tensor"),
        pytest.param(b'{"a":{"data_offsets":[0]}}', "header is not in order", id="short-offsets"),
        pytest.param(b'{"a":{},"a":{}}', "`a` is there twice", id="duplicate-key"),
        pytest.param(b'{"a":' + b"[" * 100_000, "header is not in order", id="deep"),
        pytest.param(
            b'{"a":{"dtype":"F99","shape":[1],"data_offsets":[0,4]}}',
            "safetensors cannot load it",
            id="unknown-dtype",
        ),
        pytest.param(
            b'{"a":{"dtype":"F32","shape":[9],"data_offsets":[0,4]}}',
            "safetensors cannot load it",
            id="shape-and-offsets-differ",
        ),
    ],
)
def test_read_checkpoint_refuses_broken_safetensors(
    tmp_path: Path, header: bytes, reason: str
) -> None:
    path = _write(tmp_path / "a.pt", struct.pack("<Q", len(header)) + header + bytes(4))

    with pytest.raises(CheckpointError, match=f"is corrupt.*{reason}"):
        read_checkpoint(path)


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:1\n",
            "a git-lfs pointer.*lfs pull",
        ),
        (b"\n<!DOCTYPE html><html>Google Drive", "an HTML page.*download the file itself"),
        (b"<html><body>404", "an HTML page"),
        (b"<?xml version='1.0'?><Error>", "an XML document"),
        (b"\x89PNG\r\n\x1a\n" + bytes(20), "a PNG image"),
        (b"\xff\xd8\xff\xe0" + bytes(20), "a JPEG image"),
        (b"%PDF-1.7\n", "a PDF document"),
        (b"\x89HDF\r\n\x1a\n", "an HDF5 file"),
        (b"\x93NUMPY\x01\x00", "a NumPy array"),
        (b"\x1f\x8b\x08" + bytes(20), "a gzip archive.*unpack it"),
        (b"\xfd7zXZ\x00", "an xz archive"),
        (b"x" * 257 + b"ustar" + bytes(250), "a tar archive"),
        (b"hello, world\n", "a text file"),
        (b"c:\\data\\faces\nnotes\n", "a text file"),
        (b'{"a": 1, "b": [1, 2, 3]}', "a text file"),
        (b"\x00\x01\x02\x03" * 50, "a binary file of an unknown kind"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_read_checkpoint_names_other_format(tmp_path: Path, content: bytes, kind: str) -> None:
    path = _write(tmp_path / "a.pt", content)

    with pytest.raises(CheckpointError, match=rf"`a\.pt` is {kind}"):
        read_checkpoint(path)


def test_read_checkpoint_refuses_other_zip_archive(tmp_path: Path) -> None:
    path = tmp_path / "a.pt"
    with path.open("wb") as file:
        np.savez(file, face=np.ones(3))

    with pytest.raises(CheckpointError, match=r"zip archive that torch did not write.*`face\.npy`"):
        read_checkpoint(path)


def test_read_checkpoint_refuses_plain_pickle(tmp_path: Path) -> None:
    path = _write(tmp_path / "a.pt", pickle.dumps({"a": [1, 2]}))

    with pytest.raises(CheckpointError, match=r"is a pickle that torch did not write.*torch\.save"):
        read_checkpoint(path)


def test_read_checkpoint_refuses_storage_that_is_too_short(tmp_path: Path) -> None:
    whole = io.BytesIO()
    torch.save({"a": torch.arange(300.0)}, whole)
    with zipfile.ZipFile(whole) as archive:
        members = {member: archive.read(member) for member in archive.namelist()}
    pickled = members["archive/data.pkl"].replace(b"M,\x01tq", b"J\x00\x00\x00\x7ftq")
    path = _archive(tmp_path / "a.pt", {**members, "archive/data.pkl": pickled})

    with pytest.raises(CheckpointError, match=r"is truncated or corrupt: torch cannot load it"):
        read_checkpoint(path)


def test_read_checkpoint_ends_on_dict_that_holds_itself(tmp_path: Path) -> None:
    path = _pickled_archive(tmp_path / "a.pt", b"\x80\x02}q\x00X\x05\x00\x00\x00modelh\x00s.")

    with pytest.raises(CheckpointError, match="no tensors by name"):
        read_checkpoint(path)


@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
def test_read_checkpoint_raises_only_its_own_errors_on_flipped_bytes(
    tmp_path: Path, legacy: bool
) -> None:
    whole = _save({"state_dict": {"a": torch.ones(4)}}, tmp_path / "whole.pt", legacy=legacy)
    rng = np.random.default_rng(0)
    outcomes = [_outcome(tmp_path / "a.pt", whole.read_bytes(), rng) for _ in range(400)]

    assert set(outcomes) <= {"read", "refused"}
    assert "refused" in outcomes


def _outcome(path: Path, content: bytes, rng: np.random.Generator) -> str:
    flipped = bytearray(content)
    for position in rng.integers(0, len(content), size=3):
        flipped[position] = rng.integers(0, 256)
    path.write_bytes(flipped)
    try:
        read_checkpoint(path)
    except CheckpointError:
        return "refused"
    return "read"
