"""A bundle, with and without plans, to the folder of a server."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from pathlib import Path

import msgspec
import pytest

from facealign.bundle import Golden, Manifest, write_bundle
from facealign.errors import IntegrityError, OutputError, TargetError, UsageError
from facealign.pipeline.serve import check_serving_folder, serve_bundle, serving_folder
from facealign.runtime.patch_crop_body import patch_crop_kind
from facealign.runtime.tensorrt.build_options import BuildOptions
from facealign.runtime.tensorrt.plan import Plan, write_plan
from tests.patch_crop_bundle import patch_crop_bundle
from tests.unit.runtime.tensorrt.made_plans import KEY, made_plan

GRAPH, CONFIG = "models/tiny_fp32/1/model.onnx", "models/tiny_fp32/config.pbtxt"
PLAN_CONFIG = "models/tiny_fp32_plan/config.pbtxt"


@pytest.fixture
def bundle(tiny_bundle: Path) -> Path:
    return tiny_bundle.rename(tiny_bundle.with_name("tiny.bundle"))


@pytest.fixture
def plan(tiny_manifest: Manifest, tiny_files: dict[str, bytes]) -> Plan:
    """Return a plan of the tiny bundle's graph, for batches up to 2."""
    graph_sha256 = hashlib.sha256(tiny_files["model.fp32.onnx"]).hexdigest()
    made = made_plan(graph_sha256=graph_sha256, options=BuildOptions(max_batch=2))
    record = dataclasses.replace(
        made.record,
        precision="fp32",
        inputs=tiny_manifest.inputs,
        outputs=tiny_manifest.outputs,
        crop=tiny_manifest.crop,
    )
    return Plan(record, made.data)


def _keep(bundle: Path, plan: Plan, name: str = "orin-trt10.3.0-fp32.plan") -> Path:
    path = bundle / "engines" / name
    path.parent.mkdir(exist_ok=True)
    write_plan(path, plan)
    return path


def _names(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_serve_bundle_writes_a_model_repository_beside_the_bundle(bundle: Path) -> None:
    served = serve_bundle(bundle, "triton")

    assert (
        served.folder == serving_folder(bundle, "triton") == bundle.with_name("tiny.bundle.triton")
    )
    assert served.models == ("tiny_fp32",)
    assert _names(served.folder) == {GRAPH, CONFIG, "facealign-serve.json"}
    graph = (bundle / "model.fp32.onnx").read_bytes()
    assert (served.folder / GRAPH).read_bytes() == graph


def test_serve_bundle_writes_deepstream_a_configuration_too(bundle: Path) -> None:
    served = serve_bundle(bundle, "deepstream")

    assert _names(served.folder) == {
        GRAPH,
        CONFIG,
        "config_tiny_fp32.txt",
        "facealign-serve.json",
    }


def test_serve_bundle_adds_the_plan_with_its_own_batch(bundle: Path, plan: Plan) -> None:
    _keep(bundle, plan)

    served = serve_bundle(bundle, "triton")

    assert served.models == ("tiny_fp32", "tiny_fp32_plan")
    text = (served.folder / PLAN_CONFIG).read_text()
    assert "max_batch_size: 2\n" in text
    assert 'backend: "tensorrt"\n' in text
    assert (served.folder / "models/tiny_fp32_plan/1/model.plan").read_bytes() == plan.data


@pytest.mark.parametrize("ending", ["", ".json"], ids=["plan", "sidecar"])
def test_serve_bundle_refuses_a_changed_plan(bundle: Path, plan: Plan, ending: str) -> None:
    path = Path(f"{_keep(bundle, plan)}{ending}")
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)

    with pytest.raises(IntegrityError, match="not loaded"):
        serve_bundle(bundle, "triton")

    assert not serving_folder(bundle, "triton").exists()


def test_serve_bundle_refuses_a_plan_of_another_graph(bundle: Path, plan: Plan) -> None:
    other = Plan(dataclasses.replace(plan.record, graph_sha256="2" * 64), plan.data)
    _keep(bundle, other)

    with pytest.raises(IntegrityError, match="was built from another graph"):
        serve_bundle(bundle, "triton")


def test_serve_bundle_wants_signed_plans_where_there_is_a_key(
    bundle: Path, plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _keep(bundle, plan)
    (tmp_path / "plan.key").write_bytes(KEY)
    monkeypatch.setenv("FACEALIGN_PLAN_KEY", str(tmp_path / "plan.key"))

    with pytest.raises(IntegrityError, match="is not signed"):
        serve_bundle(bundle, "triton")


def test_serve_bundle_refuses_plans_of_two_machines(bundle: Path, plan: Plan) -> None:
    _keep(bundle, plan)
    _keep(bundle, plan, name="thor-trt10.13.3-fp32.plan")

    expected = "has 2 fp32 plans, `orin-trt10.3.0-fp32.plan`, `thor-trt10.13.3-fp32.plan`; a server"
    with pytest.raises(UsageError, match=re.escape(expected)):
        serve_bundle(bundle, "triton")


def test_serve_bundle_replaces_what_it_wrote_before(bundle: Path) -> None:
    first = serve_bundle(bundle, "triton").folder
    (first / "models" / "old").mkdir()

    second = serve_bundle(bundle, "triton").folder

    assert second == first
    assert not (second / "models" / "old").exists()


def test_marker_hashes_every_file(bundle: Path) -> None:
    folder = serve_bundle(bundle, "triton").folder

    marker = json.loads((folder / "facealign-serve.json").read_text())

    found = {
        name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in (GRAPH, CONFIG)
    }
    assert marker["files"] == found
    assert (marker["server"], marker["bundle"]) == ("triton", "tiny.bundle")


def test_serve_bundle_leaves_a_folder_of_others_alone(bundle: Path, tmp_path: Path) -> None:
    other = tmp_path / "thesis"
    other.mkdir()
    (other / "thesis.tex").write_text("precious")

    with pytest.raises(OutputError, match=r"is not empty and holds no `facealign-serve\.json`"):
        serve_bundle(bundle, "triton", folder=other)

    assert _names(other) == {"thesis.tex"}


def test_check_serving_folder_refuses_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(OutputError, match="cannot look into"):
        check_serving_folder(tmp_path / "file")


def test_serve_bundle_refuses_a_changed_graph(bundle: Path) -> None:
    path = bundle / "model.fp32.onnx"
    path.write_bytes(path.read_bytes()[:-1] + b"\0")

    with pytest.raises(IntegrityError, match="is not what the bundle was made with"):
        serve_bundle(bundle, "triton")


def test_serve_bundle_writes_nothing_that_deepstream_cannot_cut(
    tmp_path: Path, tiny_manifest: Manifest, tiny_files: dict[str, bytes]
) -> None:
    crop = dataclasses.replace(tiny_manifest.crop, border_value=9)
    manifest = msgspec.structs.replace(tiny_manifest, crop=crop)
    bundle = write_bundle(tmp_path / "grey.bundle", manifest, tiny_files)

    with pytest.raises(TargetError, match="fills what lies outside the frame with 9"):
        serve_bundle(bundle, "deepstream")

    assert not serving_folder(bundle, "deepstream").exists()


def test_serve_bundle_refuses_a_plan_that_needs_our_plugin(bundle: Path, plan: Plan) -> None:
    plugins = ("facealign::PatchCrop/1",)
    _keep(bundle, Plan(dataclasses.replace(plan.record, plugins=plugins), plan.data))

    with pytest.raises(
        UsageError, match=r"needs facealign::PatchCrop/1, which no server has; export .*standard"
    ):
        serve_bundle(bundle, "triton")


def test_serve_bundle_gives_a_server_the_body_of_the_patch_crop(
    tmp_path: Path, tiny_manifest: Manifest, tiny_golden: Golden
) -> None:
    made = patch_crop_bundle(tmp_path / "tiny.bundle", "plugin", tiny_manifest, tiny_golden)

    served = serve_bundle(made.folder, "triton")

    assert patch_crop_kind((served.folder / GRAPH).read_bytes()) == "with_body"
