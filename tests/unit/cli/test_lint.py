"""``facealign lint``: a table or JSON, exit code 6, and one line for what cannot be linted."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import onnx
import pytest

from facealign.bundle import Manifest
from facealign.targets import discover_targets
from tests.unit.evaluation_data import write_two_graphs

RunCli = Callable[..., tuple[int, str, str]]
GRAPH = "good.bundle/model.fp32.onnx"
NAMES = [target.name for target in discover_targets()]
HOPELESS = """
<ir_version: 9, opset_import: ["": 19, "local": 1]>
g (float[B, 4] x) => (float[B, 4] y) { [n] y = local.Any(x) }
"""


@pytest.fixture
def hopeless(workspace: Path) -> Path:
    """Return a graph that no target takes."""
    path = workspace / "hopeless.onnx"
    onnx.save(onnx.parser.parse_model(HOPELESS), path)
    return path


@pytest.mark.usefixtures("workspace")
def test_lint_asks_all_targets_and_passes_if_one_takes_the_graph(run_cli: RunCli) -> None:
    code, stdout, stderr = run_cli("lint", GRAPH)

    lines = stdout.splitlines()
    assert (code, stderr) == (0, "")
    assert [line.split()[0] for line in lines if not line.startswith(" ")] == NAMES
    assert re.match(r"jetpack-5\.1 +refused  TensorRT 8\.5\.2: 1 error, ", lines[0])
    assert re.match(
        r" +error    opset: opset 19 is beyond TensorRT 8\.5\.2, which reads 17; use opset 17, as "
        r"`facealign export --target jetpack-5\.1` writes it \[measured: .*operators\.md",
        lines[1],
    )
    assert re.match(r"onnxruntime +ok       ONNX Runtime", lines[-1])


@pytest.mark.usefixtures("workspace")
def test_lint_of_all_targets_counts_notes_and_of_named_ones_shows_them(run_cli: RunCli) -> None:
    _, of_all, _ = run_cli("lint", GRAPH)
    _, of_one, _ = run_cli("lint", GRAPH, "--target", "jetpack-6.2")

    assert "note     " not in of_all
    assert re.search(r"^ +note     optimization-profiles: ", of_one, re.MULTILINE)
    assert re.search(r"^jetpack-6\.2 +ok +TensorRT 10\.3\.0: 2 notes$", of_one, re.MULTILINE)


@pytest.mark.usefixtures("workspace")
def test_lint_exits_with_6_if_a_named_target_refuses(run_cli: RunCli) -> None:
    code, stdout, stderr = run_cli(
        "lint", GRAPH, "--target", "tensorrt-11", "--target", "jetpack-6.0"
    )

    assert code == 6
    assert [line.split()[0] for line in stdout.splitlines() if line[0] != " "] == [
        "tensorrt-11",
        "jetpack-6.0",
    ]
    assert stderr == (
        f"error: 1 of 2 targets refuse `{GRAPH}`: jetpack-6.0 refuses the model.fp32.onnx graph: "
        "opset 19 is beyond TensorRT 8.6.2, which reads 17; use opset 17, as "
        "`facealign export --target jetpack-6.0` writes it\n"
    )


def test_lint_exits_with_6_if_all_targets_refuse(run_cli: RunCli, hopeless: Path) -> None:
    code, _, stderr = run_cli("lint", hopeless.name)

    assert code == 6
    assert f"{len(NAMES)} of {len(NAMES)} targets refuse" in stderr


@pytest.mark.usefixtures("workspace")
@pytest.mark.parametrize(("target", "code"), [("jetpack-6.1", 0), ("jetpack-6.0", 6)])
def test_lint_gives_every_finding_as_json(run_cli: RunCli, target: str, code: int) -> None:
    exit_code, stdout, _ = run_cli("lint", GRAPH, "--target", target, "--json")

    result = json.loads(stdout)
    (found,) = result["targets"]
    assert exit_code == result["code"] == code
    assert found["verdict"] == ("refused" if code else "ok")
    assert ("error" in result) == bool(code)
    assert found["findings"]
    assert all(
        {"graph", "severity", "rule", "nodes", "why", "fix", "source", "certainty"} == set(each)
        for each in found["findings"]
    )


def test_lint_reads_every_graph_of_a_bundle(
    run_cli: RunCli, workspace: Path, tiny_manifest: Manifest, tiny_files: dict[str, bytes]
) -> None:
    write_two_graphs(workspace / "two.bundle", tiny_manifest, tiny_files, name="int8-cpu")

    _, stdout, _ = run_cli("lint", "two.bundle", "--target", "jetpack-6.0", "--json")
    _, text, _ = run_cli("lint", "two.bundle", "--target", "onnxruntime", "--json")

    assert {each["graph"] for each in json.loads(stdout)["targets"][0]["findings"]} == {"fp32"}
    assert json.loads(text)["targets"][0]["verdict"] == "ok"


@pytest.mark.usefixtures("workspace", "corrupt_bundle")
@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ("text.onnx", 2, r"`text\.onnx` is no ONNX model; check the file"),
        ("none.onnx", 2, r"cannot read graph `none\.onnx`: No such file or directory"),
        ("none.bundle", 2, r"there is no bundle at `none\.bundle`; .*"),
        ("empty", 2, r"`empty` is not a bundle, .*"),
        ("corrupt.bundle", 8, r"`corrupt\.bundle/model\.fp32\.onnx` is not what the bundle .*"),
        (
            "text.onnx --target jetson",
            2,
            r"there is no target 'jetson'; (did you mean `.*`\? There are|choose from) jetpack-.*",
        ),
    ],
)
def test_lint_says_in_one_line_what_it_cannot_lint(
    run_cli: RunCli, arguments: str, code: int, message: str
) -> None:
    exit_code, stdout, stderr = run_cli("lint", *arguments.split())

    assert (exit_code, stdout) == (code, "")
    assert re.fullmatch(f"error: {message}\n", stderr)


def test_lint_refuses_an_empty_file(run_cli: RunCli, workspace: Path) -> None:
    (workspace / "empty.onnx").touch()

    code, _, stderr = run_cli("lint", "empty.onnx")

    assert (code, stderr) == (2, "error: `empty.onnx` is no ONNX model; check the file\n")


@pytest.mark.usefixtures("workspace")
def test_export_refuses_an_unknown_target_before_it_reads(run_cli: RunCli) -> None:
    code, _, stderr = run_cli("export", "absent.pt", "--target", "jetpack-6.3")

    assert code == 2
    assert stderr.startswith("error: there is no target 'jetpack-6.3'; did you mean ")


@pytest.mark.usefixtures("workspace")
def test_export_refuses_fp16_for_a_target_without_strong_typing(run_cli: RunCli) -> None:
    code, _, stderr = run_cli(
        "export", "absent.pt", "--target", "jetpack-6.0", "--precision", "fp32,fp16"
    )

    assert code == 6
    assert stderr.startswith("error: jetpack-6.0 (TensorRT 8.6.2) takes the types of a graph for")
