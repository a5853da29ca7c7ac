from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from facealign.bundle import Bundle, read_bundle
from facealign.errors import IntegrityError, TargetError
from facealign.runtime.tensorrt.build_options import BuildOptions
from facealign.runtime.tensorrt.plan import sidecar_path, write_plan
from facealign.runtime.tensorrt.plan_cache import (
    look_up,
    plan_path,
    read_bundle_plan,
    timing_cache_path,
)
from facealign.runtime.tensorrt.plan_machine import Machine
from tests.unit.runtime.tensorrt.made_plans import GRAPH_SHA256, KEY, ORIN, made_plan

OPTIONS = BuildOptions(max_batch=8)
OTHER_MACHINES = {
    name: replace(ORIN, **{name: "other"})
    for name in ("gpu", "compute_capability", "board", "tensorrt", "cuda_driver", "l4t")
}
OTHER_OPTIONS = {
    "max_batch": replace(OPTIONS, max_batch=4),
    "opt_batch": replace(OPTIONS, opt_batch=2),
    "workspace_mib": replace(OPTIONS, workspace_mib=512),
    "level": replace(OPTIONS, level=5),
    "tf32": replace(OPTIONS, tf32=True),
    "version_compatible": replace(OPTIONS, version_compatible=True),
    "hardware_compatible": replace(OPTIONS, hardware_compatible=True),
    "weakly_typed": replace(OPTIONS, weakly_typed=True),
}


@pytest.fixture
def bundle(tiny_bundle: Path) -> Bundle:
    return read_bundle(tiny_bundle)


@pytest.fixture
def path(bundle: Bundle) -> Path:
    """Return the path of a plan of the bundle's graph, built on `ORIN`."""
    path = plan_path(bundle, precision="fp32", machine=ORIN)
    path.parent.mkdir()
    graph = bundle.manifest.files["model.fp32.onnx"].sha256
    write_plan(path, made_plan(graph_sha256=graph, options=OPTIONS))
    return path


def test_plan_path_names_gpu_version_and_precision(bundle: Bundle) -> None:
    machine = replace(ORIN, gpu="NVIDIA GeForce RTX 4090", tensorrt="10.13.0.35")

    path = plan_path(bundle, precision="int8", machine=machine)

    name = "nvidia-geforce-rtx-4090-trt10.13.0.35-int8.plan"
    assert path == bundle.folder / "engines" / name


@pytest.mark.parametrize("gpu", ["../../etc/passwd", "/", "\0", "", "日本"])
def test_plan_path_stays_in_its_folder(bundle: Bundle, gpu: str) -> None:
    path = plan_path(bundle, precision="fp32", machine=replace(ORIN, gpu=gpu))

    assert path.resolve().parent == (bundle.folder / "engines").resolve()
    assert not path.name.startswith(".")


def test_plan_path_refuses_a_linked_folder(bundle: Bundle, tmp_path: Path) -> None:
    (bundle.folder / "engines").symlink_to(tmp_path)

    with pytest.raises(IntegrityError, match="is a link, and a bundle has none"):
        plan_path(bundle, precision="fp32", machine=ORIN)


def test_a_timing_cache_is_of_one_device_and_version(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/cache")

    assert timing_cache_path(ORIN) == Path("/cache/facealign/orin-sm8.7-trt10.3.0.timing")


def test_a_user_without_a_home_has_no_timing_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody(_: Path) -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "expanduser", nobody)

    assert timing_cache_path(ORIN) is None


def test_plans_in_a_bundle_are_no_change_of_it(bundle: Bundle, path: Path) -> None:
    assert path.exists()
    assert read_bundle(bundle.folder) == bundle


def test_read_bundle_plan_gives_the_plan_of_its_graph(bundle: Bundle, path: Path) -> None:
    found = read_bundle_plan(bundle, precision="fp32", machine=ORIN)

    assert found.data == path.read_bytes()


def test_read_bundle_plan_without_a_plan_says_what_to_do(bundle: Bundle) -> None:
    with pytest.raises(
        TargetError, match=r"no fp32 plan for Orin and TensorRT 10\.3\.0, none .*`facealign build"
    ):
        read_bundle_plan(bundle, precision="fp32", machine=ORIN)


@pytest.mark.usefixtures("path")
def test_read_bundle_plan_names_plans_of_other_machines(bundle: Bundle) -> None:
    with pytest.raises(TargetError, match=r"for Thor .* orin-trt10\.3\.0-fp32\.plan; run"):
        read_bundle_plan(bundle, precision="fp32", machine=replace(ORIN, gpu="Thor"))


COMPATIBLE = replace(OPTIONS, version_compatible=True)
LATER = replace(ORIN, tensorrt="10.16.2", cuda_driver="13.2", l4t="39.2.0")


def test_read_bundle_plan_finds_a_plan_that_may_run_on_a_later_tensorrt(
    bundle: Bundle, path: Path
) -> None:
    graph = bundle.manifest.files["model.fp32.onnx"].sha256
    write_plan(path, made_plan(graph_sha256=graph, options=COMPATIBLE))

    found = read_bundle_plan(bundle, precision="fp32", machine=LATER)

    assert found.record.machine == ORIN


def _of_another_graph(path: Path) -> None:
    write_plan(path, made_plan(options=COMPATIBLE))


def _without_the_option(path: Path) -> None:
    assert path.exists()  # as the fixture made it


def _with_a_broken_sidecar(path: Path) -> None:
    sidecar_path(path).write_bytes(b"{}")


@pytest.mark.parametrize("change", [_of_another_graph, _without_the_option, _with_a_broken_sidecar])
def test_read_bundle_plan_passes_over_other_plans_that_do_not_fit(
    bundle: Bundle, path: Path, change: Callable[[Path], None]
) -> None:
    change(path)

    with pytest.raises(TargetError, match=r"no fp32 plan .* orin-trt10\.3\.0-fp32\.plan; run"):
        read_bundle_plan(bundle, precision="fp32", machine=LATER)


@pytest.mark.usefixtures("path")
def test_read_bundle_plan_refuses_a_plan_of_another_l4t(bundle: Bundle) -> None:
    with pytest.raises(TargetError, match=r"L4T 36\.4\.3 and this machine has L4T 36\.5\.0"):
        read_bundle_plan(bundle, precision="fp32", machine=replace(ORIN, l4t="36.5.0"))


@pytest.mark.usefixtures("path")
def test_read_bundle_plan_refuses_a_changed_graph(bundle: Bundle) -> None:
    graph = bundle.folder / "model.fp32.onnx"
    data = bytearray(graph.read_bytes())
    data[len(data) // 2] ^= 1
    graph.write_bytes(data)

    with pytest.raises(IntegrityError, match=r"model\.fp32\.onnx` is not what the bundle was made"):
        read_bundle_plan(bundle, precision="fp32", machine=ORIN)


def test_read_bundle_plan_refuses_the_plan_of_another_graph(bundle: Bundle, path: Path) -> None:
    write_plan(path, made_plan())

    with pytest.raises(IntegrityError, match="was built from another graph than the bundle's"):
        read_bundle_plan(bundle, precision="fp32", machine=ORIN)


@pytest.mark.usefixtures("path")
def test_read_bundle_plan_asks_for_a_signature_with_a_key(bundle: Bundle) -> None:
    with pytest.raises(IntegrityError, match="is not signed"):
        read_bundle_plan(bundle, precision="fp32", machine=ORIN, key=KEY)


@pytest.fixture
def look(tmp_path: Path) -> Callable[..., tuple[bool, str]]:
    """Return what looks for a plan that was built with `ORIN` and `OPTIONS`."""
    path = tmp_path / "x.plan"
    write_plan(path, made_plan(options=OPTIONS))

    def look(
        *,
        graph_sha256: str = GRAPH_SHA256,
        machine: Machine = ORIN,
        options: BuildOptions = OPTIONS,
        key: bytes | None = None,
    ) -> tuple[bool, str]:
        found = look_up(path, graph_sha256=graph_sha256, machine=machine, options=options, key=key)
        return found.record is not None, found.why_not

    return look


def test_the_cache_has_what_was_built_with_the_same(look: Callable[..., tuple[bool, str]]) -> None:
    assert look() == (True, "")


@pytest.mark.parametrize("machine", OTHER_MACHINES.values(), ids=OTHER_MACHINES.keys())
def test_another_machine_is_not_in_the_cache(
    look: Callable[..., tuple[bool, str]], machine: Machine
) -> None:
    assert look(machine=machine) == (False, "the graph, this machine or an option is another")


@pytest.mark.parametrize("options", OTHER_OPTIONS.values(), ids=OTHER_OPTIONS.keys())
def test_another_option_is_not_in_the_cache(
    look: Callable[..., tuple[bool, str]], options: BuildOptions
) -> None:
    assert look(options=options)[0] is False


def test_another_graph_is_not_in_the_cache(look: Callable[..., tuple[bool, str]]) -> None:
    assert look(graph_sha256="0" * 64)[0] is False


def test_an_unsigned_plan_is_built_again_with_a_key(look: Callable[..., tuple[bool, str]]) -> None:
    is_there, why_not = look(key=KEY)

    assert not is_there
    assert "is not signed" in why_not


def test_a_broken_plan_is_built_again(
    look: Callable[..., tuple[bool, str]], tmp_path: Path
) -> None:
    (tmp_path / "x.plan").write_bytes(b"broken")

    is_there, why_not = look()

    assert not is_there
    assert "is not what its sidecar was written for" in why_not


def test_a_plan_without_sidecar_is_built_again(
    look: Callable[..., tuple[bool, str]], tmp_path: Path
) -> None:
    sidecar_path(tmp_path / "x.plan").unlink()

    assert look()[0] is False


def test_a_plan_that_was_never_tested_is_built_again(
    look: Callable[..., tuple[bool, str]], tmp_path: Path
) -> None:
    plan = made_plan(options=OPTIONS)
    untested = replace(plan, record=replace(plan.record, self_test=None))
    write_plan(tmp_path / "x.plan", untested)

    assert look() == (False, "it was never tested")


def test_an_absent_plan_is_not_in_the_cache(
    look: Callable[..., tuple[bool, str]], tmp_path: Path
) -> None:
    (tmp_path / "x.plan").unlink()

    assert look() == (False, "")
