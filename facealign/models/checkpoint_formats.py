"""From the bytes of a checkpoint to what it holds, by content and never by name.

Three formats: torch's zip archive, torch's older sequence of pickles, and safetensors. Whatever
would take far more than the file's own size, or run code, is found before either library sees it.
"""

from __future__ import annotations

import io
import json
import pickle
import struct
import warnings
import zipfile
import zlib
from collections import Counter
from collections.abc import Sequence

import safetensors
import safetensors.torch
import torch

from facealign.errors import CheckpointError, UnsafeCheckpointError
from facealign.models.other_formats import check_no_other_format, kind_of_bytes
from facealign.models.pickle_globals import check_globals
from facealign.models.pickle_scan import scan_pickle

__all__ = ["read_content"]

_SAFETENSORS_BYTES_7_AND_8 = b"\0{"  # the length of the header, below 2**56; then JSON
_TORCH_MAGIC = 0x1950A86A20F9469CFC6C  # of the format before the zip archive
_LEGACY_PICKLES_AFTER_MAGIC = 4  # protocol version, system, the object, storage keys
_LARGEST_PICKLE_MIB = 64
_LARGEST_RATIO = 4  # torch stores its members uncompressed
_RATIO_FREE_BYTES = 1 << 20

_NAMES_SHOWN = 4

# What torch.load and zipfile raise on bytes that are not what they seem.
_LOAD_ERRORS = (
    pickle.UnpicklingError,
    struct.error,
    zipfile.BadZipFile,
    zlib.error,
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
)


def read_content(data: bytes, *, name: str) -> object:
    """Return what a checkpoint holds: as a rule a dict, of tensors and of other dicts.

    Args:
        data: The whole file.
        name: File name, for messages.

    Raises:
        CheckpointError: If it is no checkpoint, or a broken one.
        UnsafeCheckpointError: If loading it would run code or take far more than its size.
    """
    if data.startswith(b"PK\x03\x04"):  # the same test that torch.load makes
        _check_archive(data, name)
        return _load_torch(data, name)
    if data[7:9] == _SAFETENSORS_BYTES_7_AND_8:
        return _load_safetensors(data, name)
    check_no_other_format(data, name=name)
    _check_legacy(data, name)
    return _load_torch(data, name)


def _load_torch(data: bytes, name: str) -> object:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            content: object = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
        except _LOAD_ERRORS as caught:
            raise CheckpointError(
                f"checkpoint `{name}` is truncated or corrupt: torch cannot load it "
                f"({_first_line(caught)}); download or copy it again"
            ) from caught
    return content


def _check_archive(data: bytes, name: str) -> None:
    try:
        archive = zipfile.ZipFile(io.BytesIO(data))
    except _LOAD_ERRORS as caught:
        raise CheckpointError(
            f"checkpoint `{name}` is truncated: it starts as a zip archive and has no directory at "
            f"its end ({len(data)} bytes); download or copy it again"
        ) from caught
    with archive:
        members = archive.infolist()
        _check_members(members, archive_bytes=len(data), name=name)
        pickled = _pickle_member(members, name)
        try:
            content = _stored_bytes(data, pickled) or archive.read(pickled)
        except _LOAD_ERRORS as caught:
            raise CheckpointError(
                f"checkpoint `{name}` is corrupt: its member `{pickled.filename}` cannot be read; "
                "download or copy it again"
            ) from caught
    check_globals(scan_pickle(io.BytesIO(content), name=name).globals, name=name)


def _check_members(members: Sequence[zipfile.ZipInfo], *, archive_bytes: int, name: str) -> None:
    double, count = Counter(member.filename for member in members).most_common(1)[0]
    if count > 1:
        raise UnsafeCheckpointError(
            f"checkpoint `{name}` is a zip archive with two members `{double}` (expected one), so "
            "two readers may see different weights; get it again from its authors"
        )
    unpacked = sum(member.file_size for member in members)
    if unpacked > _LARGEST_RATIO * archive_bytes + _RATIO_FREE_BYTES:
        raise UnsafeCheckpointError(
            f"checkpoint `{name}` is a zip bomb: it unpacks to {unpacked:,} bytes (expected at "
            f"most {_LARGEST_RATIO} times its {archive_bytes:,}); get it again from its authors"
        )
    if any(member.flag_bits & 1 for member in members):
        raise CheckpointError(f"checkpoint `{name}` is an encrypted zip archive; unpack it first")


def _pickle_member(members: Sequence[zipfile.ZipInfo], name: str) -> zipfile.ZipInfo:
    by_name = {member.filename.partition("/")[2]: member for member in members}
    if "constants.pkl" in by_name:
        raise UnsafeCheckpointError(
            f"checkpoint `{name}` is a TorchScript archive, which holds code (expected a state "
            "dict); save the state dict instead: `torch.save(module.state_dict(), 'weights.pt')`"
        )
    if "data.pkl" not in by_name:
        listed = ", ".join(f"`{member.filename}`" for member in members[:_NAMES_SHOWN])
        raise CheckpointError(
            f"checkpoint `{name}` is a zip archive that torch did not write (expected a member "
            f"`data.pkl`, got {listed or 'none'}); pass the checkpoint, or unpack it first"
        )
    member = by_name["data.pkl"]
    if member.file_size > _LARGEST_PICKLE_MIB << 20:
        raise UnsafeCheckpointError(
            f"checkpoint `{name}` has a pickle of {member.file_size:,} bytes beside its tensors "
            f"(expected at most {_LARGEST_PICKLE_MIB} MiB); re-save `model.state_dict()` alone"
        )
    return member


def _stored_bytes(data: bytes, member: zipfile.ZipInfo) -> bytes:
    """Return an uncompressed member as it stands, or nothing if it is compressed.

    `ZipFile.read` compares checksums; after `torch.serialization.set_crc32_options(False)` there
    are none.
    """
    if member.compress_type != zipfile.ZIP_STORED:
        return b""
    name_length, extra_length = struct.unpack_from("<HH", data, member.header_offset + 26)
    start = member.header_offset + 30 + name_length + extra_length
    return data[start : start + member.file_size]


def _check_legacy(data: bytes, name: str) -> None:
    stream = io.BytesIO(data)
    try:
        first = scan_pickle(stream, name=name)
    except UnsafeCheckpointError:
        raise
    except CheckpointError as caught:
        if data.startswith(b"\x80\x02"):
            raise
        raise CheckpointError(
            f"`{name}` is {kind_of_bytes(data)} (expected a checkpoint: torch zip, torch pickle "
            "or safetensors); check that it is the right file"
        ) from caught
    check_globals(first.globals, name=name)
    if first.integer != _TORCH_MAGIC:
        raise CheckpointError(
            f"`{name}` is a pickle that torch did not write (expected a checkpoint); "
            "save it with `torch.save(model.state_dict(), 'weights.pt')`"
        )
    for _ in range(_LEGACY_PICKLES_AFTER_MAGIC):
        check_globals(scan_pickle(stream, name=name).globals, name=name)


def _load_safetensors(data: bytes, name: str) -> object:
    header_bytes = int.from_bytes(data[:8], "little")
    if header_bytes > len(data) - 8:
        raise CheckpointError(
            f"checkpoint `{name}` is truncated: its safetensors header has {header_bytes:,} bytes "
            f"(the file has {len(data):,}); download or copy it again"
        )
    _check_safetensors_length(data, header_bytes=header_bytes, name=name)
    try:
        return safetensors.torch.load(data)
    except (safetensors.SafetensorError, *_LOAD_ERRORS) as caught:
        raise CheckpointError(
            f"checkpoint `{name}` is corrupt: safetensors cannot load it ({_first_line(caught)}); "
            "download or copy it again"
        ) from caught


def _check_safetensors_length(data: bytes, *, header_bytes: int, name: str) -> None:
    try:
        header = json.loads(data[8 : 8 + header_bytes], object_pairs_hook=_distinct_keys)
        ends = [
            tensor["data_offsets"][1] for key, tensor in header.items() if key != "__metadata__"
        ]
        expected = 8 + header_bytes + max(ends, default=0)
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as caught:
        raise CheckpointError(
            f"checkpoint `{name}` is corrupt: its safetensors header is not in order "
            f"({_first_line(caught)}); download or copy it again"
        ) from caught
    if len(data) < expected:
        raise CheckpointError(
            f"checkpoint `{name}` is truncated (expected {expected:,} bytes, got {len(data):,}); "
            "download or copy it again"
        )


def _distinct_keys(pairs: list[tuple[str, object]]) -> dict[str, object]:
    distinct: dict[str, object] = {}
    for key, value in pairs:
        if key in distinct:
            raise ValueError(f"`{key}` is there twice")
        distinct[key] = value
    return distinct


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:160]
