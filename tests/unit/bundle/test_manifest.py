from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from facealign.bundle import Manifest, VerdictEntry, json_from_manifest, manifest_from_json
from facealign.bundle.manifest import FileEntry, is_safe_name
from facealign.errors import IntegrityError

text = st.text(st.characters(codec="utf-8"), max_size=20)
plain = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**53), 2**53),
    st.floats(allow_nan=False, allow_infinity=False),
    text,
    st.lists(st.integers(0, 99), max_size=4).map(tuple),
)


@pytest.fixture
def complete(tiny_manifest: Manifest, tiny_files: dict[str, bytes]) -> Manifest:
    """Return the tiny manifest with its files filled in."""
    files = {name: FileEntry(sha256="a" * 64, size=1) for name in tiny_files}
    return msgspec.structs.replace(tiny_manifest, files=files)


@pytest.fixture
def plain_json(complete: Manifest) -> dict[str, Any]:
    """Return the complete manifest as plain values, to be broken."""
    return dict(json.loads(json_from_manifest(complete)))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    hyperparameters=st.dictionaries(text, plain, max_size=5),
    options=st.dictionaries(text, text, max_size=5),
    title=text,
)
def test_manifest_survives_json_whatever_it_says(
    complete: Manifest,
    hyperparameters: dict[str, Any],
    options: dict[str, str],
    title: str,
) -> None:
    manifest = msgspec.structs.replace(
        complete, hyperparameters=hyperparameters, options=options, title=title
    )

    again = manifest_from_json(json_from_manifest(manifest))

    assert again == manifest


def test_json_from_manifest_does_not_depend_on_the_order_of_insertion(complete: Manifest) -> None:
    turned = msgspec.structs.replace(complete, files=dict(reversed(complete.files.items())))

    assert json_from_manifest(turned) == json_from_manifest(complete)


def test_json_from_manifest_sorts_its_keys(complete: Manifest) -> None:
    data = json_from_manifest(complete)

    assert json.dumps(json.loads(data), sort_keys=True) == json.dumps(json.loads(data))


def test_manifest_from_json_asks_to_compile_again_when_the_schema_is_older() -> None:
    with pytest.raises(
        IntegrityError, match=r"schema version 1, of an older .* compile the bundle"
    ):
        manifest_from_json(b'{"schema_version": 1, "graphs": {}}')


def test_manifest_from_json_asks_to_upgrade_when_the_schema_is_newer(
    plain_json: dict[str, Any],
) -> None:
    newer = {"schema_version": 3, "something": plain_json["golden"]}

    with pytest.raises(IntegrityError, match=r"schema version 3 and .* reads 2; upgrade facealign"):
        manifest_from_json(json.dumps(newer).encode())


@pytest.mark.parametrize(
    ("data", "message"),
    [
        pytest.param(b"", "truncated", id="empty"),
        pytest.param(b"{", "truncated", id="half"),
        pytest.param(b"\xff\xfe", "malformed", id="not-utf8"),
        pytest.param(b"[]", "Expected `object`", id="a-list"),
        pytest.param(b"{}", "missing required field `schema_version`", id="no-version"),
        pytest.param(b'{"schema_version":"1"}', "Expected `int`", id="version-is-text"),
        pytest.param(b"[" * 100_000, "malformed", id="deep"),
    ],
)
def test_manifest_from_json_rejects_what_is_no_manifest(data: bytes, message: str) -> None:
    with pytest.raises(IntegrityError, match=f"malformed: .*{message}|{message}: "):
        manifest_from_json(data)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        pytest.param({"schema_version": 0}, "schema version 0 does not exist", id="version-0"),
        pytest.param({"new": 1}, "unknown field `new`", id="unknown-field"),
        pytest.param({"title": None}, "Expected `str`", id="wrong-type"),
        pytest.param({"max_batch": 0}, "max_batch, .* must be at least 1", id="no-batch"),
        pytest.param({"graphs": {}}, "it has no graph", id="no-graph"),
        pytest.param({"inputs": []}, "the one input must be .*uint8", id="no-input"),
        pytest.param({"outputs": []}, "the first output must be .*landmarks", id="no-output"),
        pytest.param({"landmark_count": 68}, "must be .*68, 2", id="contradicts-its-output"),
        pytest.param({"files": {}}, "mentions 'model.fp32.onnx', which is not", id="no-files"),
    ],
)
def test_manifest_from_json_rejects_a_bad_field(
    plain_json: dict[str, Any], change: dict[str, Any], message: str
) -> None:
    data = json.dumps({**plain_json, **change}).encode()

    with pytest.raises(IntegrityError, match=f"malformed: .*{message}.*; compile"):
        manifest_from_json(data)


def test_manifest_from_json_rejects_an_unknown_field_inside_the_crop_rule(
    plain_json: dict[str, Any],
) -> None:
    plain_json["crop"]["rotation"] = 90

    with pytest.raises(IntegrityError, match="it is not exactly what schema 2 asks"):
        manifest_from_json(json.dumps(plain_json).encode())


def test_manifest_from_json_rejects_an_output_without_a_free_batch(
    plain_json: dict[str, Any],
) -> None:
    plain_json["outputs"].append({"name": "pose", "dtype": "float32", "shape": [1, 6]})

    with pytest.raises(IntegrityError, match="output 'pose' must be float32 with a free batch"):
        manifest_from_json(json.dumps(plain_json).encode())


@pytest.mark.parametrize(
    "entry",
    [
        pytest.param({"sha256": "A" * 64, "size": 1}, id="upper-case"),
        pytest.param({"sha256": "a" * 63, "size": 1}, id="short"),
        pytest.param({"sha256": "a" * 64, "size": -1}, id="negative"),
        pytest.param({"sha256": "a" * 64, "size": 2**60}, id="exabyte"),
    ],
)
def test_manifest_from_json_rejects_an_impossible_size_or_hash(
    plain_json: dict[str, Any], entry: dict[str, Any]
) -> None:
    plain_json["files"]["model.fp32.onnx"] = entry

    with pytest.raises(IntegrityError, match=r"size or SHA-256 of 'model.fp32.onnx' cannot be"):
        manifest_from_json(json.dumps(plain_json).encode())


UNSAFE = [
    pytest.param("../model.onnx", id="parent"),
    pytest.param("golden/../../x", id="parent-inside"),
    pytest.param("/etc/passwd", id="absolute"),
    pytest.param("C:/x", id="drive"),
    pytest.param("C:x", id="drive-relative"),
    pytest.param("golden\\x", id="backslash"),
    pytest.param("", id="empty"),
    pytest.param(".", id="dot"),
    pytest.param("a//b", id="empty-part"),
    pytest.param("a/", id="trailing-slash"),
    pytest.param(".hidden", id="hidden"),
    pytest.param("a\0b", id="nul"),
    pytest.param("a\nb", id="newline"),
    pytest.param("model.onnx\n", id="trailing-newline"),
    pytest.param("mod\u00e9le", id="not-ascii"),
]


@pytest.mark.parametrize("name", [*UNSAFE, pytest.param("manifest.json", id="the-manifest")])
def test_manifest_from_json_rejects_an_unsafe_name(plain_json: dict[str, Any], name: str) -> None:
    plain_json["files"][name] = {"sha256": "a" * 64, "size": 1}

    with pytest.raises(IntegrityError, match="is not a name that a file of a bundle may have"):
        manifest_from_json(json.dumps(plain_json).encode())


@pytest.mark.parametrize("name", UNSAFE)
def test_is_safe_name_refuses(name: str) -> None:
    assert not is_safe_name(name)


@pytest.mark.parametrize("name", ["model.fp32.onnx", "golden/crops.npy", "engines/a+b-10.3.plan"])
def test_is_safe_name_accepts(name: str) -> None:
    assert is_safe_name(name)


VERDICT = VerdictEntry(
    faces="wflw test",
    crops_from="box",
    face_count=12,
    p99_px=0.05,
    max_px=0.4,
    drift_percent=0.03,
    change_points=-0.01,
    change_low_points=-0.02,
    change_high_points=0.01,
    budget_points=0.1,
    share=0.75,
    left_float=("block-03", "block-01"),
)


def with_int8(manifest: Manifest, verdict: VerdictEntry) -> Manifest:
    """Return the manifest with a second graph, of the same file."""
    fp32 = manifest.graphs["fp32"]
    int8 = msgspec.structs.replace(fp32, verdict=verdict, golden_px=(0.1, 0.0), purpose="TensorRT")
    return msgspec.structs.replace(manifest, graphs={"fp32": fp32, "int8": int8})


@pytest.mark.parametrize(
    "verdict",
    [
        pytest.param(VERDICT, id="boxes"),
        pytest.param(
            msgspec.structs.replace(VERDICT, nme_percent=4.9, nme_fp32_percent=4.91), id="annotated"
        ),
        pytest.param(
            msgspec.structs.replace(VERDICT, bar_px=0.1, budget_points=None, left_float=()),
            id="bar-alone",
        ),
    ],
)
def test_verdict_survives_json(complete: Manifest, verdict: VerdictEntry) -> None:
    manifest = with_int8(complete, verdict)

    assert manifest_from_json(json_from_manifest(manifest)) == manifest


@pytest.mark.parametrize(
    ("change", "message"),
    [
        pytest.param({"signed_by": "me"}, "unknown field `signed_by`", id="unknown-field"),
        pytest.param({"share": "all"}, "Expected `float`", id="wrong-type"),
        pytest.param({"p99_px": None}, "Expected `float`", id="infinite"),
        pytest.param({"left_float": "block-01"}, "Expected `array`", id="no-list"),
    ],
)
def test_manifest_from_json_rejects_a_bad_verdict(
    complete: Manifest, change: dict[str, Any], message: str
) -> None:
    plain = json.loads(json_from_manifest(with_int8(complete, VERDICT)))
    plain["graphs"]["int8"]["verdict"] |= change

    with pytest.raises(IntegrityError, match=f"malformed: .*{message}.*; compile"):
        manifest_from_json(json.dumps(plain).encode())


def test_manifest_from_json_rejects_a_verdict_without_its_cost(complete: Manifest) -> None:
    plain = json.loads(json_from_manifest(with_int8(complete, VERDICT)))
    del plain["graphs"]["int8"]["verdict"]["change_points"]

    with pytest.raises(IntegrityError, match="missing required field `change_points`"):
        manifest_from_json(json.dumps(plain).encode())
