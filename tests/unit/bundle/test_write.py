from __future__ import annotations

import errno
import hashlib
import os
from pathlib import Path
from typing import Any

import msgspec
import pytest

from facealign.bundle import Manifest, check_replaceable, read_bundle, write_bundle
from facealign.errors import OutputError


def contents(folder: Path) -> dict[str, bytes]:
    """Return every file below `folder`, hidden ones too."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def fail_on_fsync(monkeypatch: pytest.MonkeyPatch, error: BaseException, *, call: int) -> None:
    """Let the given call of `os.fsync` raise; every file makes one, so it is in the middle."""
    calls: list[int] = []

    def fsync(descriptor: int) -> None:
        calls.append(descriptor)
        if len(calls) == call:
            raise error

    monkeypatch.setattr(os, "fsync", fsync)


def test_write_bundle_twice_gives_identical_bytes(
    tmp_path: Path, tiny_manifest: Manifest, tiny_files: dict[str, bytes]
) -> None:
    turned = dict(reversed(tiny_files.items()))

    first = write_bundle(tmp_path / "a", tiny_manifest, tiny_files)
    second = write_bundle(tmp_path / "b", tiny_manifest, turned)

    assert contents(first) == contents(second)


def test_write_bundle_leaves_nothing_but_the_bundle(tiny_bundle: Path) -> None:
    assert [path.name for path in tiny_bundle.parent.iterdir()] == [tiny_bundle.name]


def test_write_bundle_makes_missing_parents(
    tmp_path: Path, tiny_manifest: Manifest, tiny_files: dict[str, bytes]
) -> None:
    folder = write_bundle(tmp_path / "a" / "b" / "c", tiny_manifest, tiny_files)

    assert read_bundle(folder).manifest.family == "tiny"


def test_write_bundle_checksum_is_in_the_format_of_sha256sum(tiny_bundle: Path) -> None:
    digest = hashlib.sha256((tiny_bundle / "manifest.json").read_bytes()).hexdigest()

    assert (tiny_bundle / "manifest.sha256").read_text() == f"{digest}  manifest.json\n"


def test_write_bundle_gives_the_permissions_that_the_umask_leaves(tiny_bundle: Path) -> None:
    usual = tiny_bundle.parent / "usual"
    usual.mkdir()

    assert tiny_bundle.stat().st_mode == usual.stat().st_mode


def test_write_bundle_replaces_an_empty_folder(
    tmp_path: Path, tiny_manifest: Manifest, tiny_files: dict[str, bytes]
) -> None:
    (tmp_path / "out").mkdir()

    write_bundle(tmp_path / "out", tiny_manifest, tiny_files)

    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    read_bundle(tmp_path / "out")


def test_write_bundle_replaces_an_older_bundle_as_a_whole(
    tiny_bundle: Path, tiny_manifest: Manifest, tiny_files: dict[str, bytes]
) -> None:
    (tiny_bundle / "stale.plan").write_bytes(b"x")
    newer = msgspec.structs.replace(tiny_manifest, title="newer")

    write_bundle(tiny_bundle, newer, tiny_files)

    assert read_bundle(tiny_bundle).manifest.title == "newer"
    assert not (tiny_bundle / "stale.plan").exists()
    assert [path.name for path in tiny_bundle.parent.iterdir()] == [tiny_bundle.name]


def test_write_bundle_follows_a_link_to_an_older_bundle(
    tiny_bundle: Path, tiny_manifest: Manifest, tiny_files: dict[str, bytes]
) -> None:
    link = tiny_bundle.parent / "latest"
    link.symlink_to(tiny_bundle)
    newer = msgspec.structs.replace(tiny_manifest, title="newer")

    write_bundle(link, newer, tiny_files)

    assert link.is_symlink()
    assert read_bundle(tiny_bundle).manifest.title == "newer"


@pytest.mark.parametrize("name", ["thesis.tex", "manifest.json"])
def test_write_bundle_leaves_another_folder_alone(
    tmp_path: Path, tiny_manifest: Manifest, tiny_files: dict[str, bytes], name: str
) -> None:
    (tmp_path / name).write_text("mine")

    with pytest.raises(OutputError, match=r"is not empty and not a bundle, so it is left alone"):
        write_bundle(tmp_path, tiny_manifest, tiny_files)

    assert contents(tmp_path) == {name: b"mine"}


def test_write_bundle_leaves_a_file_alone(
    tmp_path: Path, tiny_manifest: Manifest, tiny_files: dict[str, bytes]
) -> None:
    (tmp_path / "file").write_text("mine")

    with pytest.raises(OutputError, match=r"file` is a file, or below one; choose another"):
        write_bundle(tmp_path / "file", tiny_manifest, tiny_files)

    assert contents(tmp_path) == {"file": b"mine"}


@pytest.mark.parametrize("call", [1, 3, 7])
def test_write_bundle_leaves_nothing_when_the_disk_is_full(
    tmp_path: Path,
    tiny_manifest: Manifest,
    tiny_files: dict[str, bytes],
    monkeypatch: pytest.MonkeyPatch,
    call: int,
) -> None:
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    fail_on_fsync(monkeypatch, full, call=call)

    with pytest.raises(OutputError, match=r"cannot write the bundle .*: No space left on device"):
        write_bundle(tmp_path / "out", tiny_manifest, tiny_files)

    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("call", [1, 3, 7])
def test_write_bundle_keeps_the_older_bundle_on_ctrl_c(
    tiny_bundle: Path,
    tiny_manifest: Manifest,
    tiny_files: dict[str, bytes],
    monkeypatch: pytest.MonkeyPatch,
    call: int,
) -> None:
    before = contents(tiny_bundle.parent)
    fail_on_fsync(monkeypatch, KeyboardInterrupt(), call=call)
    newer = msgspec.structs.replace(tiny_manifest, title="newer")

    with pytest.raises(KeyboardInterrupt):
        write_bundle(tiny_bundle, newer, tiny_files)

    assert contents(tiny_bundle.parent) == before


@pytest.mark.parametrize(
    "error",
    [
        pytest.param(KeyboardInterrupt(), id="ctrl-c"),
        pytest.param(PermissionError(errno.EACCES, "Permission denied"), id="denied"),
    ],
)
def test_write_bundle_brings_the_older_bundle_back_when_the_last_rename_fails(
    tiny_bundle: Path,
    tiny_manifest: Manifest,
    tiny_files: dict[str, bytes],
    monkeypatch: pytest.MonkeyPatch,
    error: BaseException,
) -> None:
    before = contents(tiny_bundle.parent)
    rename = Path.rename

    def failing_rename(source: Path, target: Path) -> Path:
        if source.name.endswith(".partial"):
            raise error
        return rename(source, target)

    monkeypatch.setattr(Path, "rename", failing_rename)

    with pytest.raises((KeyboardInterrupt, OutputError)):
        write_bundle(tiny_bundle, tiny_manifest, tiny_files)

    assert contents(tiny_bundle.parent) == before


@pytest.mark.parametrize(
    ("files", "message"),
    [
        pytest.param({}, "mentions 'model.fp32.onnx'", id="graph-missing"),
        pytest.param({"../x": b""}, "'../x' is not a name", id="leaves-the-folder"),
        pytest.param({"manifest.json": b""}, "'manifest.json' is not a name", id="reserved"),
    ],
)
def test_write_bundle_refuses_what_could_not_be_read(
    tmp_path: Path, tiny_manifest: Manifest, files: dict[str, bytes], message: str
) -> None:
    with pytest.raises(ValueError, match=f"cannot be a bundle: .*{message}"):
        write_bundle(tmp_path / "out", tiny_manifest, files)

    assert not list(tmp_path.iterdir())


def test_write_bundle_refuses_a_value_that_json_would_lose(
    tmp_path: Path, tiny_manifest: Manifest, tiny_files: dict[str, bytes]
) -> None:
    golden = msgspec.structs.replace(tiny_manifest.golden, max_px=float("nan"))
    broken: dict[str, Any] = {"golden": golden}

    with pytest.raises(ValueError, match=r"cannot be a bundle: .*Expected `float`, got `null`"):
        write_bundle(tmp_path / "out", msgspec.structs.replace(tiny_manifest, **broken), tiny_files)


def test_check_replaceable_accepts_nothing_an_empty_folder_and_a_bundle(tiny_bundle: Path) -> None:
    (tiny_bundle.parent / "empty").mkdir()

    check_replaceable(tiny_bundle)
    check_replaceable(tiny_bundle.parent / "empty")
    check_replaceable(tiny_bundle.parent / "nothing")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write")
def test_write_bundle_says_so_when_the_parent_may_not_be_written(
    tmp_path: Path, tiny_manifest: Manifest, tiny_files: dict[str, bytes]
) -> None:
    tmp_path.chmod(0o500)

    with pytest.raises(OutputError, match=r"cannot write the bundle .*: Permission denied"):
        write_bundle(tmp_path / "out", tiny_manifest, tiny_files)
