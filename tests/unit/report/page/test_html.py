from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser

import pytest

from facealign.errors import MissingLibraryError
from facealign.report.page import (
    Block,
    Cell,
    Command,
    Facts,
    Figure,
    Figures,
    Note,
    PageData,
    Section,
    Table,
    Verdict,
    check_page_libraries,
    page_html,
)

HOSTILE = "<script>alert(1)</script>'\"><img src=x onerror=alert(2)>{{ 7 * 7 }}&lt;`"
VOID = {"meta", "link", "img"}


class Parsed(HTMLParser):
    """Elements of a page with their attributes, and its text; unclosed elements are an error."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.open: list[str] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def page(text: str, *blocks: Block, flags: tuple[str, ...] = ()) -> PageData:
    return PageData(
        title=text,
        subtitle=(text,),
        flags=flags,
        verdicts=(Verdict(text, "good", text, text, {text: Cell(text, text)}),),
        verdict_note=text,
        sections=(Section("first", text, blocks),),
    )


def every_block(text: str) -> tuple[Block, ...]:
    return (
        Table(text, (text, text), ((text, Cell(text, text)),)),
        Figures((Figure(b"<svg/>", "image/svg+xml", text, text, is_wide=True),)),
        Facts(text, {text: text}),
        Note(text),
        Note(text, is_missing=True),
        Command(text),
    )


def test_hostile_text_stays_text_wherever_it_stands() -> None:
    harmless, hostile = (
        Parsed(page_html(page(text, *every_block(text), flags=(text,))))
        for text in ("harmless", HOSTILE)
    )

    assert [name for name, _ in hostile.elements] == [name for name, _ in harmless.elements]
    assert [[*own] for _, own in hostile.elements] == [[*own] for _, own in harmless.elements]
    assert hostile.text.count(HOSTILE) == harmless.text.count("harmless") > 15
    assert hostile.all("img")[0]["alt"] == HOSTILE


def test_page_forbids_to_load_anything_and_allows_its_own_style() -> None:
    text = page_html(page("SLPT", *every_block("x")))

    policy = Parsed(text).all("meta")[1]["content"]
    style = re.findall(r"<style>(.*?)</style>", text, re.DOTALL)[0]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert policy == (
        f"default-src 'none'; img-src data:; style-src 'sha256-{digest}'; base-uri 'none'; "
        "form-action 'none'"
    )


def test_page_refers_to_nothing_but_itself() -> None:
    elements = Parsed(page_html(page("SLPT", *every_block("x")))).elements

    addresses = [own[key] or "" for _, own in elements for key in ("src", "href") if key in own]
    assert len(addresses) == 3
    assert all(re.match(r"data:|#", address) for address in addresses)


def test_picture_is_in_the_page_byte_for_byte() -> None:
    figure = Figure(b"\x89PNG", "image/png", "alt", "caption", kind="photograph")

    found = Parsed(page_html(page("x", Figures((figure,), is_small=True))))

    source = found.all("img")[0]["src"] or ""
    assert source == f"data:image/png;base64,{base64.b64encode(figure.data).decode()}"
    assert found.all("figure") == [{"class": "photograph"}]


def test_table_names_its_columns_its_rows_and_itself() -> None:
    rows: tuple[tuple[str | Cell, ...], ...] = (("fp32", "1"), ("int8", Cell("2", "noisy")))
    block = Table("Times, ms", ("graph", "p50"), rows, marked=frozenset({1}))

    found = Parsed(page_html(page("x", block)))

    assert found.all("th") == [
        {"scope": "col"},
        {"scope": "col"},
        {"scope": "row"},
        {"scope": "row"},
    ]
    assert found.all("table") == [{"aria-labelledby": "first-1"}]
    assert {"class": "caption", "id": "first-1"} in found.all("p")
    assert found.all("tr") == [{}, {}, {"class": "marked"}]
    assert "noisy" in found.text


def test_flags_stand_above_the_verdicts_and_are_left_out_where_there_are_none() -> None:
    flagged = page_html(page("x", flags=("The machine was busy.",)))

    assert flagged.index("The machine was busy.") < flagged.index("At a glance")
    assert "Do not trust" not in page_html(page("x"))


def test_backticks_become_code_in_pairs_only() -> None:
    text = page_html(page("x", Note("run `a <b>` now"), Note("it's 5` long")))

    assert "run <code>a &lt;b&gt;</code> now" in text
    assert "it&#39;s 5` long" in text


def test_same_data_give_the_same_page() -> None:
    first, second = (page_html(page("x", *every_block("y"))) for _ in range(2))

    assert first == second


@pytest.mark.parametrize(
    ("module", "message"),
    [("html", "the HTML report needs `jinja2`"), ("drawing", "needs `matplotlib`")],
)
def test_missing_library_is_named_with_its_extra(
    monkeypatch: pytest.MonkeyPatch, module: str, message: str
) -> None:
    places = {"html": "facealign.report.page.html", "drawing": "facealign.report.drawing"}
    monkeypatch.setattr(f"{places[module]}.find_spec", lambda _name: None)

    with pytest.raises(MissingLibraryError, match=rf'{message}.*pip install "facealign\[report\]"'):
        check_page_libraries()
