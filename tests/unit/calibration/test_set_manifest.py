from __future__ import annotations

import json

import msgspec
import pytest

from facealign.calibration import (
    CalibrationManifest,
    json_from_set_manifest,
    set_manifest_from_json,
    text_of_set,
)
from facealign.calibration.set_manifest import SELECTION_RULE, AttributeCount, FaceEntry, seal
from facealign.errors import CalibrationError
from tests.unit.calibration.faces import SPEC


@pytest.fixture
def manifest() -> CalibrationManifest:
    entries = [
        FaceEntry(
            image=name, image_sha256=digit * 64, box=(1.0, 2.5, 30.0, 40.25), attributes=labels
        )
        for name, digit, labels in [("a.png", "1", ("blur",)), ("é.png", "2", ())]
    ]
    return seal(
        CalibrationManifest(
            rule=SELECTION_RULE,
            seed=4,
            count_asked=2,
            face_total=9,
            crop=SPEC,
            crops_from="box",
            attributes={"blur": AttributeCount(chosen=1, total=4)},
            faces=tuple(entries),
        )
    )


def test_set_manifest_from_json_gives_what_was_written(manifest: CalibrationManifest) -> None:
    assert set_manifest_from_json(json_from_set_manifest(manifest)) == manifest


def test_json_from_set_manifest_is_indented_with_sorted_keys(manifest: CalibrationManifest) -> None:
    text = json_from_set_manifest(manifest).decode()

    assert list(json.loads(text)) == sorted(json.loads(text))
    assert '\n "count_asked": 2,\n' in text
    assert text.endswith("}\n")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        pytest.param('"seed": 4', '"seed": 5', id="seed"),
        pytest.param('"image": "a.png"', '"image": "b.png"', id="image"),
        pytest.param('"size_px": 8', '"size_px": 9', id="crop"),
        pytest.param('"size_px": 8', '"size_px": 8, "other": 1', id="unknown-in-crop"),
        pytest.param('"chosen": 1', '"chosen": 2', id="count"),
    ],
)
def test_set_manifest_from_json_refuses_what_was_changed(
    manifest: CalibrationManifest, old: str, new: str
) -> None:
    data = json_from_set_manifest(manifest).decode().replace(old, new, 1).encode()

    assert new.encode() in data
    with pytest.raises(
        CalibrationError, match="its digest does not fit, so it was changed; choose"
    ):
        set_manifest_from_json(data)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        pytest.param(b"", "truncated", id="empty"),
        pytest.param(b"{}", "missing required field", id="nothing-in-it"),
        pytest.param(b'{"other": 1}', "unknown field `other`", id="unknown-field"),
        pytest.param(b"\xff", "malformed", id="no-text"),
        pytest.param(b"[" * 100_000, "Expected `object`", id="deep"),
    ],
)
def test_set_manifest_from_json_refuses_other_files(data: bytes, message: str) -> None:
    with pytest.raises(CalibrationError, match=f"not a file of a calibration set: .*{message}"):
        set_manifest_from_json(data)


def test_set_manifest_from_json_refuses_another_rule(manifest: CalibrationManifest) -> None:
    other = seal(msgspec.structs.replace(manifest, rule="stratified-0"))

    with pytest.raises(CalibrationError, match=r"chosen by 'stratified-0' \(expected 'stratif"):
        set_manifest_from_json(json_from_set_manifest(other))


def test_text_of_set_says_how_many_and_from_where(manifest: CalibrationManifest) -> None:
    assert text_of_set(manifest) == (
        "2 of 9 faces in 2 images, cropped from their boxes; blur 1 of 4"
    )


def test_text_of_set_says_when_there_were_fewer_than_asked(manifest: CalibrationManifest) -> None:
    short = msgspec.structs.replace(
        manifest, count_asked=256, face_total=2, crops_from="landmarks", attributes={}
    )

    assert text_of_set(short) == (
        "all 2 faces, fewer than the 256 asked for, in 2 images, cropped from their landmarks"
    )
