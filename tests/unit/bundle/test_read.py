from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from facealign.bundle import Golden, read_bundle
from facealign.errors import IntegrityError, UsageError

FILES = (
    "golden/boxes.npy",
    "golden/crops.npy",
    "golden/frame.npy",
    "golden/landmarks.npy",
    "manifest.json",
    "manifest.sha256",
    "model.fp32.onnx",
)


def forge(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change the manifest and make its checksum fit, as a forger would."""
    manifest = json.loads((folder / "manifest.json").read_bytes())
    change(manifest)
    data = json.dumps(manifest).encode()
    (folder / "manifest.json").write_bytes(data)
    line = f"{hashlib.sha256(data).hexdigest()}  manifest.json\n"
    (folder / "manifest.sha256").write_text(line)


def test_read_bundle_returns_what_was_written(
    tiny_bundle: Path, tiny_files: dict[str, bytes], tiny_golden: Golden
) -> None:
    bundle = read_bundle(tiny_bundle)

    assert bundle.manifest.family == "tiny"
    assert {name: bundle.read_file(name) for name in tiny_files} == tiny_files
    np.testing.assert_array_equal(bundle.golden().landmarks, tiny_golden.landmarks)


def test_read_bundle_takes_a_string(tiny_bundle: Path) -> None:
    assert read_bundle(str(tiny_bundle)).folder == tiny_bundle


def test_bundle_fixture_has_the_files_that_the_tests_corrupt(tiny_bundle: Path) -> None:
    found = (path for path in tiny_bundle.rglob("*") if path.is_file())

    assert tuple(sorted(str(path.relative_to(tiny_bundle)) for path in found)) == FILES


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(name=st.sampled_from(FILES), where=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_read_bundle_refuses_any_flipped_bit(
    tiny_bundle: Path, name: str, where: float, bit: int
) -> None:
    path = tiny_bundle / name
    good = path.read_bytes()
    bad = bytearray(good)
    bad[int(where * len(good))] ^= 1 << bit
    path.write_bytes(bad)

    with pytest.raises(IntegrityError):
        read_bundle(tiny_bundle)

    path.write_bytes(good)
    read_bundle(tiny_bundle)  # so that the next example starts from a whole bundle


@pytest.mark.parametrize("name", FILES)
def test_read_bundle_refuses_an_appended_byte(tiny_bundle: Path, name: str) -> None:
    with (tiny_bundle / name).open("ab") as file:
        file.write(b"\n")

    with pytest.raises(IntegrityError, match=r"is not what the bundle was made with .*; copy"):
        read_bundle(tiny_bundle)


@pytest.mark.parametrize("name", FILES)
def test_read_bundle_refuses_an_emptied_file(tiny_bundle: Path, name: str) -> None:
    (tiny_bundle / name).write_bytes(b"")

    with pytest.raises(IntegrityError, match=r"is not what the bundle was made with .*; copy"):
        read_bundle(tiny_bundle)


@pytest.mark.parametrize("name", FILES)
def test_read_bundle_refuses_a_missing_file(tiny_bundle: Path, name: str) -> None:
    (tiny_bundle / name).unlink()

    with pytest.raises(IntegrityError, match=r"cannot read .*: No such file"):
        read_bundle(tiny_bundle)


def test_read_bundle_refuses_a_folder_in_the_place_of_a_file(tiny_bundle: Path) -> None:
    (tiny_bundle / "model.fp32.onnx").unlink()
    (tiny_bundle / "model.fp32.onnx").mkdir()

    with pytest.raises(IntegrityError, match=r"model.fp32.onnx` is not a plain file|cannot read"):
        read_bundle(tiny_bundle)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_read_bundle_does_not_wait_for_a_pipe(tiny_bundle: Path) -> None:
    (tiny_bundle / "model.fp32.onnx").unlink()
    os.mkfifo(tiny_bundle / "model.fp32.onnx")

    with pytest.raises(IntegrityError, match=r"model.fp32.onnx` is not a plain file"):
        read_bundle(tiny_bundle)


@pytest.mark.parametrize("name", ["manifest.json", "model.fp32.onnx", "golden"])
def test_read_bundle_refuses_a_link_even_to_the_same_content(
    tiny_bundle: Path, tmp_path: Path, name: str
) -> None:
    outside = tmp_path / "outside"
    (tiny_bundle / name).rename(outside)
    (tiny_bundle / name).symlink_to(outside)

    with pytest.raises(IntegrityError, match=rf"{name}` is a link, and a bundle has none"):
        read_bundle(tiny_bundle)


@pytest.mark.parametrize("name", ["../secret.bin", "/etc/hostname", "C:\\secret", "a/../../b"])
def test_read_bundle_refuses_a_forged_name_that_leaves_the_folder(
    tiny_bundle: Path, name: str
) -> None:
    secret = b"secret"
    (tiny_bundle.parent / "secret.bin").write_bytes(secret)
    entry = {"sha256": hashlib.sha256(secret).hexdigest(), "size": len(secret)}
    forge(tiny_bundle, lambda manifest: manifest["files"].update({name: entry}))

    with pytest.raises(IntegrityError, match="is not a name that a file of a bundle may have"):
        read_bundle(tiny_bundle)


def test_read_bundle_asks_to_upgrade_for_a_newer_schema(tiny_bundle: Path) -> None:
    forge(tiny_bundle, lambda manifest: manifest.update(schema_version=3, novelty=True))

    with pytest.raises(IntegrityError, match=r"schema version 3 .* upgrade facealign"):
        read_bundle(tiny_bundle)


def test_read_bundle_ignores_files_that_the_manifest_does_not_list(tiny_bundle: Path) -> None:
    (tiny_bundle / "notes.txt").write_text("mine")

    bundle = read_bundle(tiny_bundle)

    with pytest.raises(UsageError, match=r"has no file `notes.txt`; it has golden/boxes.npy, "):
        bundle.read_file("notes.txt")


def test_read_file_refuses_a_file_that_is_exchanged_after_the_bundle_was_read(
    tiny_bundle: Path,
) -> None:
    bundle = read_bundle(tiny_bundle)
    size = bundle.manifest.files["model.fp32.onnx"].size
    (tiny_bundle / "model.fp32.onnx").write_bytes(b"x" * size)

    with pytest.raises(IntegrityError, match=r"model.fp32.onnx` is not what the bundle was made"):
        bundle.read_file("model.fp32.onnx")


def test_golden_refuses_landmarks_of_another_scheme(tiny_bundle: Path) -> None:
    def shrink(manifest: dict[str, Any]) -> None:
        manifest["landmark_count"] = 5
        manifest["outputs"][0]["shape"] = ["B", 5, 2]

    forge(tiny_bundle, shrink)
    bundle = read_bundle(tiny_bundle)

    with pytest.raises(IntegrityError, match=r"do not fit crops of 16 px and 5 landmarks"):
        bundle.golden()


def test_read_bundle_says_so_when_there_is_nothing(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"there is no bundle at .*nowhere.*facealign export"):
        read_bundle(tmp_path / "nowhere")


def test_read_bundle_says_so_when_it_is_a_file(tiny_bundle: Path) -> None:
    with pytest.raises(UsageError, match=r"model.fp32.onnx` is a file and a bundle is a folder"):
        read_bundle(tiny_bundle / "model.fp32.onnx")


def test_read_bundle_says_so_when_the_folder_is_no_bundle(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"is not a bundle, it has no `manifest.json`"):
        read_bundle(tmp_path)
