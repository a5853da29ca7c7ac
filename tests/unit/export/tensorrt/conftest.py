"""What a rule finds in a graph of ONNX text."""

from __future__ import annotations

from collections.abc import Callable

import onnx
import onnx_ir as ir
import pytest

from facealign.export.tensorrt.values import Rule

Find = Callable[..., list[str]]


@pytest.fixture
def find() -> Find:
    """Return a function from a rule and ONNX text to what the rule finds."""

    def findings(rule: Rule, text: str, *, opset: int = 19) -> list[str]:
        proto = onnx.parser.parse_model(f'<ir_version: 9, opset_import: ["": {opset}]>\n{text}')
        inferred = onnx.shape_inference.infer_shapes(proto, data_prop=True)
        return [str(problem) for problem in rule(ir.from_proto(inferred))]

    return findings
