"""What the lint finds in a graph of ONNX text, for a target."""

from __future__ import annotations

from collections.abc import Callable

import onnx
import onnx_ir as ir
import pytest

from facealign.export.target_lint import Finding, lint_graph
from facealign.targets import targets_from_names

Lint = Callable[..., list[Finding]]


@pytest.fixture
def lint() -> Lint:
    """Return a function from ONNX text and a target's name to what the target has to say."""

    def findings(text: str, target: str, *, opset: int = 19, domains: str = "") -> list[Finding]:
        header = f'<ir_version: 9, opset_import: ["": {opset}{domains}]>'
        proto = onnx.parser.parse_model(f"{header}\n{text}")
        (report,) = lint_graph(ir.from_proto(proto), targets_from_names([target]))
        return list(report.findings)

    return findings
