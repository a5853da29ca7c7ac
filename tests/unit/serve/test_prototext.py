from __future__ import annotations

import importlib

import pytest

from facealign.serve.prototext import Field, Message, Symbol, prototext


@pytest.mark.parametrize(
    ("field", "line"),
    [
        (("name", "a b"), 'name: "a b"'),
        (("count", 3), "count: 3"),
        (("factor", 0.5), "factor: 0.5"),
        (("yes", True), "yes: true"),
        (("no", False), "no: false"),
        (("kind", Symbol("KIND_GPU")), "kind: KIND_GPU"),
        (("dims", (98, 2)), "dims: [98, 2]"),
        (("none", ()), "none: []"),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_prototext_writes_a_value_by_its_type(field: Field, line: str) -> None:
    assert prototext(Message((field,))) == f"{line}\n"


def test_prototext_indents_messages_and_repeats_fields() -> None:
    inner = Message((("a", 1),))

    text = prototext(Message((("m", inner), ("m", Message()))))

    assert text == "m {\n  a: 1\n}\nm {\n}\n"


@pytest.mark.parametrize("text", ['{"a": "b"}', "back\\slash", "two\nlines\r\t", "grüße"])
def test_prototext_quotes_texts_as_protobuf_reads_them(text: str) -> None:
    text_format = importlib.import_module("google.protobuf.text_format")
    struct = importlib.import_module("google.protobuf.struct_pb2")

    written = prototext(Message((("string_value", text),)))

    assert text_format.Parse(written, struct.Value()).string_value == text
