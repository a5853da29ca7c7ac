"""Our plugins, made of and called with the real bindings' objects; no library, no GPU."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.contract.bindings import python_over_stub

HAS_NO_DECORATORS = "10.3"

pytestmark = pytest.mark.contract


@pytest.fixture(scope="session")
def probe(bindings: tuple[str, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Return what came of our plugins with the bindings of a version."""
    version, folder = bindings
    out = tmp_path_factory.mktemp("probe") / "found.json"
    python_over_stub(version, "probe_plugins.py", str(out), str(folder))
    return {"version": version, **json.loads(out.read_text("utf-8"))}


def test_creator_has_the_name_that_the_graph_writes(probe: dict[str, Any]) -> None:
    assert probe["v3"]["creator"] == ["PatchCrop", "facealign", "1"]


def test_plugin_is_one_of_tensorrt_with_all_capabilities(probe: dict[str, Any]) -> None:
    found = probe["v3"]

    assert found["plugin"] == ["PatchCrop", "facealign", 1]
    assert found["is_plugin"]
    assert found["capable"]


def test_plugin_takes_dense_float32_and_float16_with_a_float32_grid(
    probe: dict[str, Any],
) -> None:
    single, half = 0, 1

    assert probe["v3"]["taken"] == [[single, single, single], [half, single, half]]
    assert probe["v3"]["taken_in_other_formats"] is False


def test_plugin_gives_the_type_of_the_map(probe: dict[str, Any]) -> None:
    assert probe["v3"]["types"] == ["DataType.HALF"]


def test_plugin_keeps_its_contract_in_a_plan_and_refuses_another(probe: dict[str, Any]) -> None:
    assert probe["v3"]["fields"] == [["contract", [1]]]
    assert probe["v3"]["refused"] == (
        "the plan holds `PatchCrop` of contract none, this is 1; build the plan again"
    )


def test_plugin_refuses_inputs_of_another_rank(probe: dict[str, Any]) -> None:
    assert probe["v3"]["wrong_rank"] == (
        "`PatchCrop` takes a map (B, C, H, W) and a grid (B, P, N, 2), got 3 and 4 axes; export "
        "the graph again"
    )


def test_plugin_launches_the_kernel_on_the_stream_it_is_given(probe: dict[str, Any]) -> None:
    stream, blocks, addresses, dtype = 7, [1, 1, 2], [10, 20, 30], "float16"

    assert probe["v3"]["runs"] == [[stream, blocks, addresses, dtype]]


def test_decorators_take_our_functions(probe: dict[str, Any]) -> None:
    if probe["version"] == HAS_NO_DECORATORS:
        pytest.skip("TensorRT 10.3 has no `tensorrt.plugin`")

    assert probe["decorated"] == {
        "id": "facealign::PatchCrop",
        "inputs": ["features", "grid"],
        "outputs": 1,
        "patches_dtype": "DataType.FLOAT",
        "patches_axes": 4,
        "combinations": 2,
        "compiled": ["patch_crop_fp32", "// ptx", 4, "SymInt32"],
        "runs": [[9, [1, 1, 2], [100, 200, 300], "float32"]],
    }
