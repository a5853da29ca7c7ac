from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest

from facealign.bundle import Bundle, Golden, Manifest, read_bundle, write_bundle
from facealign.errors import BackendError, IntegrityError, OutputError, SelfTestError, UsageError
from facealign.runtime.fake_engine import FakeEngine
from facealign.runtime.tensorrt.build_bundle import PlanBuilder, plan_precisions
from facealign.runtime.tensorrt.build_options import BuildOptions
from facealign.runtime.tensorrt.plan import Plan, read_plan, sidecar_path
from facealign.runtime.tensorrt.plan_cache import read_bundle_plan
from tests.doubles.host_device import HostDevice
from tests.doubles.tensorrt import TensorrtDouble
from tests.unit.runtime.tensorrt.made_plans import KEY

OPTIONS = BuildOptions(max_batch=4)
NAME = "host-double-trt10.3.0-fp32.plan"
Make = Callable[..., PlanBuilder]


@pytest.fixture
def bundle(tiny_bundle: Path) -> Bundle:
    return read_bundle(tiny_bundle)


@pytest.fixture
def make(bundle: Bundle, tiny_golden: Golden) -> Make:
    """Return what makes a builder on doubles, whose engine is right unless told otherwise.

    Args:
        offset: By how much of the crop its landmarks are off.
    """

    def make(
        *,
        offset: float = 0,
        double: TensorrtDouble | None = None,
        options: BuildOptions = OPTIONS,
        key: bytes | None = None,
    ) -> PlanBuilder:
        def open_plan(_: Plan) -> FakeEngine:
            return FakeEngine(lambda _: tiny_golden.landmarks + offset)

        trt = (double or TensorrtDouble("10.3")).module
        return PlanBuilder(trt, HostDevice(), open_plan, bundle, options, key)

    return make


def engines(bundle: Bundle) -> list[str]:
    """Return the names of all files in `engines`, hidden ones too."""
    folder = bundle.folder / "engines"
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def test_build_writes_a_plan_that_was_tested(bundle: Bundle, make: Make) -> None:
    builder = make()

    built = builder.build("fp32")

    assert built.is_new
    assert engines(bundle) == [NAME, f"{NAME}.json"]
    plan = read_bundle_plan(bundle, precision="fp32", machine=builder.machine)
    assert plan.record == built.record
    assert plan.record.self_test is not None
    assert plan.record.self_test.max_px == pytest.approx(0, abs=1e-4)
    assert plan.record.self_test.allowed_px == 0.01
    assert plan.record.self_test.crop_count == 3
    assert plan.record.crop == bundle.manifest.crop
    assert plan.record.provenance.family == "tiny"
    assert read_bundle(bundle.folder) == bundle


def test_build_takes_what_the_cache_has(make: Make) -> None:
    first = make().build("fp32")
    double = TensorrtDouble("10.3")

    again = make(double=double).build("fp32")

    assert (again.is_new, again.record) == (False, first.record)
    assert double.calls == []


def test_force_builds_what_the_cache_has(make: Make) -> None:
    make().build("fp32")
    double = TensorrtDouble("10.3")

    again = make(double=double).build("fp32", force=True)

    assert again.is_new
    assert "Builder.build_serialized_network" in double.calls


def test_another_option_builds_again_and_says_so(make: Make) -> None:
    make().build("fp32")

    again = make(options=replace(OPTIONS, level=1)).build("fp32")

    assert again.is_new
    assert again.notes == (
        "replaced what was there: the graph, this machine or an option is another",
    )


def test_a_changed_plan_is_built_again_and_never_opened(bundle: Bundle, make: Make) -> None:
    make().build("fp32")
    path = bundle.folder / "engines" / NAME
    path.write_bytes(b"\0" + path.read_bytes()[1:])

    again = make().build("fp32")

    assert again.is_new
    assert "is not what its sidecar was written for" in again.notes[0]
    assert read_plan(path).record == again.record


def test_a_changed_graph_is_refused_before_tensorrt_sees_it(bundle: Bundle, make: Make) -> None:
    graph = bundle.folder / "model.fp32.onnx"
    data = bytearray(graph.read_bytes())
    data[100] ^= 1
    graph.write_bytes(data)
    double = TensorrtDouble("10.3")

    with pytest.raises(IntegrityError, match="is not what the bundle was made with"):
        make(double=double).build("fp32")

    assert double.calls == []
    assert engines(bundle) == []


@pytest.mark.parametrize("offset", [0.01, np.nan], ids=["off", "nan"])
def test_a_plan_that_fails_its_self_test_is_deleted(
    bundle: Bundle, make: Make, offset: float
) -> None:
    with pytest.raises((SelfTestError, BackendError)):
        make(offset=offset).build("fp32")

    assert engines(bundle) == []


def test_a_plan_that_fails_its_self_test_says_by_how_much(make: Make) -> None:
    with pytest.raises(
        SelfTestError,
        match=r"fp32 plan fails its self-test and was deleted: landmark \d+ of .* 0\.2\d+ px off",
    ):
        make(offset=0.01).build("fp32")


def test_an_older_plan_survives_a_build_that_fails(bundle: Bundle, make: Make) -> None:
    first = make().build("fp32")

    with pytest.raises(SelfTestError):
        make(offset=0.01).build("fp32", force=True)

    path = bundle.folder / "engines" / NAME
    assert read_plan(path).record == first.record


def test_a_failing_tensorrt_leaves_no_file(bundle: Bundle, make: Make) -> None:
    double = TensorrtDouble("10.3")
    double.reset_calls(fail_at=2)

    with pytest.raises(BackendError):
        make(double=double).build("fp32")

    assert engines(bundle) == []


def test_an_engine_that_cannot_open_the_plan_leaves_no_file(bundle: Bundle, make: Make) -> None:
    def refuse(_: Plan) -> FakeEngine:
        raise BackendError("TensorRT cannot open the plan")

    builder = replace(make(), open_plan=refuse)

    with pytest.raises(BackendError, match="cannot open the plan"):
        builder.build("fp32")

    assert engines(bundle) == []


def test_a_full_disk_leaves_no_file(
    bundle: Bundle, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)

    with pytest.raises(OutputError, match=r"No space left on device; no plan was written\. Make"):
        make().build("fp32")

    assert engines(bundle) == []


def test_a_bundle_that_cannot_be_written_is_said_before_the_build(
    bundle: Bundle, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read_only(_self: Path, *_: object, **__: object) -> None:
        raise OSError(30, "Read-only file system")

    double = TensorrtDouble("10.3")
    builder = make(double=double)
    monkeypatch.setattr(Path, "mkdir", read_only)

    with pytest.raises(OutputError, match=r"engines`: Read-only file system; no plan was"):
        builder.build("fp32")

    assert double.calls == []
    assert engines(bundle) == []


def test_a_key_signs_what_is_built(bundle: Bundle, make: Make) -> None:
    make(key=KEY).build("fp32")

    path = bundle.folder / "engines" / NAME
    assert read_plan(path, key=KEY).record.precision == "fp32"
    with pytest.raises(IntegrityError, match="is signed and there is no key"):
        read_plan(path)


def test_a_changed_byte_of_the_sidecar_is_refused_for_the_bundle(
    bundle: Bundle, make: Make
) -> None:
    builder = make()
    builder.build("fp32")
    sidecar = sidecar_path(bundle.folder / "engines" / NAME)
    sidecar.write_bytes(sidecar.read_bytes().replace(b"fp32", b"fp16"))

    with pytest.raises(IntegrityError, match="is not as facealign wrote it"):
        read_bundle_plan(bundle, precision="fp32", machine=builder.machine)


def test_weak_typing_is_in_the_sidecar_and_in_the_notes(make: Make) -> None:
    built = make(options=replace(OPTIONS, weakly_typed=True)).build("fp32")

    assert built.record.options.weakly_typed
    assert built.notes[0].startswith("weakly typed: TensorRT chose types on its own")


@pytest.fixture
def of_all_precisions(
    tmp_path: Path, tiny_manifest: Manifest, tiny_files: dict[str, bytes]
) -> Bundle:
    """Return a bundle that has one graph under every name."""
    entry = tiny_manifest.graphs["fp32"]
    names = ("fp32", "fp16", "int8", "int8-cpu")
    manifest = msgspec.structs.replace(tiny_manifest, graphs=dict.fromkeys(names, entry))
    return read_bundle(write_bundle(tmp_path / "all.bundle", manifest, tiny_files))


def test_plan_precisions_are_all_that_are_meant_for_tensorrt(of_all_precisions: Bundle) -> None:
    assert set(plan_precisions(of_all_precisions)) == {"fp32", "fp16", "int8"}


def test_plan_precisions_are_those_asked_for_once(of_all_precisions: Bundle) -> None:
    assert plan_precisions(of_all_precisions, ["int8", "fp32", "int8"]) == ("int8", "fp32")


@pytest.mark.parametrize("name", ["int8-cpu", "fp8"])
def test_a_precision_that_is_not_for_tensorrt_is_refused(
    of_all_precisions: Bundle, name: str
) -> None:
    with pytest.raises(UsageError, match=f"no '{name}' graph for TensorRT; choose from .*fp16"):
        plan_precisions(of_all_precisions, [name])


def test_the_engine_of_the_self_test_is_closed(make: Make, tiny_golden: Golden) -> None:
    engine = FakeEngine(lambda _: tiny_golden.landmarks)

    def open_plan(_: Plan) -> FakeEngine:
        return engine

    replace(make(), open_plan=open_plan).build("fp32")

    assert engine.is_closed
    assert engine.batch_sizes == [3]
