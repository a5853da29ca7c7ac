from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

RunCli = Callable[..., tuple[int, str, str]]


@pytest.mark.parametrize(
    ("arguments", "lines"),
    [
        (
            "tiny.pt --set heads=4",
            [
                r"kind +checkpoint",
                r"family +slpt",
                r"variant +SLPT with 2 layers, 98 landmarks, width 16, .*",
                r"landmarks +98",
                r"crop +256 x 256 px, bilinear, grey 0 outside the frame",
                r" +from a detector's box: 1\.15 times its larger side, integer centre",
                r"parameters +\d\d,\d{3}",
                r"parameters never used +32",
                r"macs +\d+\.\d+ [GM]",
                r"wrapper +none",
                r"sha256 +[0-9a-f]{64}",
                r"assets needed +mean-shape  the mean face .*",
                r"settings +heads  attention heads, .*",
                r"written from +the authors' code",
                r"licence of the authors code +GPL-2\.0 \(.*\)",
            ],
        ),
        (
            "good.bundle/model.fp32.onnx",
            [
                r"kind +graph",
                r"size +[\d,]+ bytes",
                r"opset +19",
                r"operators +3 Mul, 3 ReduceMean, .*1 Gemm.*",
                r"inputs +image  UINT8 \[B,16,16,3\]",
                r"metadata +none",
            ],
        ),
        (
            "good.bundle",
            [
                r"kind +bundle",
                r"family +tiny",
                r"graphs +fp32  model\.fp32\.onnx, for any engine, opset 19, 10 nodes, .*",
                r"outputs +landmarks  float32 \(B, 98, 2\)",
                r"checkpoint +tiny\.pth, sha256 0{64}",
                r"assets +mean-shape  ring\.npz",
                r"settings +opset  19",
                r"made with +facealign  0\.1\.0",
                r" +numpy      2\.0",
            ],
        ),
    ],
    ids=["checkpoint", "graph", "bundle"],
)
@pytest.mark.usefixtures("workspace")
def test_inspect_tells_facts_for_people(run_cli: RunCli, arguments: str, lines: list[str]) -> None:
    code, stdout, stderr = run_cli("inspect", *arguments.split())

    assert (code, stderr) == (0, "")
    assert [line for line in lines if not re.search(f"^{line}$", stdout, re.MULTILINE)] == []


@pytest.mark.parametrize("path", ["tiny.pt", "good.bundle/model.fp32.onnx", "good.bundle"])
@pytest.mark.usefixtures("workspace")
def test_inspect_tells_the_same_facts_as_json(run_cli: RunCli, path: str) -> None:
    _, text, _ = run_cli("inspect", path)
    code, stdout, _ = run_cli("inspect", path, "--json")

    facts = json.loads(stdout)
    assert code == facts.pop("code") == 0
    assert facts["path"] == path
    assert len(re.findall(r"^\S", text, re.MULTILINE)) == len(facts)


def test_inspect_tells_where_in_the_file_the_weights_were(run_cli: RunCli, workspace: Path) -> None:
    state_dict = torch.load(workspace / "tiny.pt", weights_only=True)
    wrapped = {"state_dict": {f"module.{key}": value for key, value in state_dict.items()}}
    torch.save(wrapped, workspace / "wrapped.pth.tar")

    _, stdout, _ = run_cli("inspect", "wrapped.pth.tar", "--json")

    facts = json.loads(stdout)
    assert (facts["wrapper"], facts["prefix"]) == ("state_dict", "module.")
    assert facts["crop"]["from_landmarks"] == {"side_factor": 1.2, "centre": "exact"}
