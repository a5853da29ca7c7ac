"""Rules on the file as a whole: opset, domains, functions, data beside it."""

from __future__ import annotations

from collections.abc import Iterator

import onnx_ir as ir

from facealign.export.graph import OPSET, STANDARD_DOMAINS, node_label, node_name
from facealign.export.tensorrt.by_release import beyond_opset
from facealign.export.tensorrt.values import (
    Problem,
    external_values,
    opset_of,
)

__all__ = [
    "external_data",
    "foreign_domains",
    "local_functions",
    "opset_beyond_oldest_release",
    "opset_range",
]

_LEAST_OPSET, _GREATEST_OPSET = 9, 24
_GREATEST_OPSET_OF_OLDEST = 20


def opset_range(model: ir.Model) -> Iterator[Problem]:
    """Find an opset that no release reads.

    Source: facts/tensorrt.md sec. 2, maximum opset: 9 to 24 from 10.14 on (operators.md).
    """
    opset = opset_of(model)
    if not _LEAST_OPSET <= opset <= _GREATEST_OPSET:
        yield Problem(
            f"opset must be {_LEAST_OPSET} to {_GREATEST_OPSET}, got {opset}",
            "export with opset 19",
        )


def opset_beyond_oldest_release(model: ir.Model) -> Iterator[Problem]:
    """Warn of an opset that TensorRT 10.3, that of JetPack 6, does not read.

    Source: facts/tensorrt.md sec. 2, maximum opset (10.1: 20), and 2.3 (JetPack 6.1 and 6.2: 10.3).
    """
    if opset_of(model) <= _GREATEST_OPSET:
        yield from beyond_opset(
            model,
            _GREATEST_OPSET_OF_OLDEST,
            reader="TensorRT 10.3 of JetPack 6",
            export_opset=OPSET,
        )


def foreign_domains(model: ir.Model) -> Iterator[Problem]:
    """Find domains other than ONNX's; the parser looks up names alone and would ignore them.

    Source: facts/tensorrt.md sec. 2.2 (lookup ignores the domain) and sec. 4, table (ONNX Runtime's
    quantiser leaves nine imports).
    """
    for domain in model.opset_imports:
        if domain not in STANDARD_DOMAINS:
            yield Problem(
                f"opset import {domain!r} is not ONNX's",
                "take it off",
            )
    for node in model.graph.all_nodes():
        if node.domain not in STANDARD_DOMAINS:
            yield Problem(
                f"{node_label(node)} is of domain {node.domain!r}, which TensorRT ignores: it "
                f"takes the built-in {node.op_type} or a plugin",
                "write it in standard operators",
                (node_name(node),),
            )


def local_functions(model: ir.Model) -> Iterator[Problem]:
    """Find local functions: releases differ in whether they or a plugin win.

    Source: facts/tensorrt.md sec. 2.2, table.
    """
    for domain, name, _ in model.functions:
        yield Problem(
            f"local function {domain}::{name} is taken or not by release of TensorRT, and no rule "
            "sees into it",
            "inline it",
        )


def external_data(model: ir.Model) -> Iterator[Problem]:
    """Find weights in other files, which parsing from bytes does not find.

    Source: facts/tensorrt.md sec. 1.3 (`parse` needs the path when weights are external).
    """
    for value in external_values(model):
        yield Problem(
            f"weight `{value.name}` lies in another file",
            "save the model as one file",
        )
