"""What a page is made of: sections of tables, figures, facts and sentences, all plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

__all__ = [
    "Block",
    "Cell",
    "Command",
    "Facts",
    "Figure",
    "Figures",
    "Note",
    "PageData",
    "Section",
    "Table",
    "Verdict",
]


@dataclass(frozen=True, slots=True)
class Cell:
    """A figure of a table and, smaller below it, what qualifies it, such as its interval."""

    text: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """A table whose first column names the rows.

    Attributes:
        caption: What it shows, with units that the columns do not name.
        columns: Headings, one for each column.
        rows: As many cells each as there are columns.
        marked: Indices of rows to mark, in bold type; the text says why in some cell.
    """

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str | Cell, ...], ...]
    marked: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Figure:
    """A picture that travels in the page.

    Attributes:
        data: The file.
        media_type: Such as ``image/svg+xml``.
        alt: What it shows, for those who do not see it; never empty.
        caption: Below it.
        kind: A drawing has dark lines on nothing, and is turned light where the page is dark.
        is_wide: Whether a telephone shows it at full size in a box that scrolls.
    """

    data: bytes
    media_type: Literal["image/svg+xml", "image/jpeg", "image/png"]
    alt: str
    caption: str
    kind: Literal["drawing", "photograph"] = "drawing"
    is_wide: bool = False


@dataclass(frozen=True, slots=True)
class Figures:
    """Figures side by side where there is room; small ones four, others two in a row."""

    figures: tuple[Figure, ...]
    is_small: bool = False


@dataclass(frozen=True, slots=True)
class Facts:
    """Names and values; values that are long, such as hashes, are not put side by side."""

    caption: str
    values: Mapping[str, str]
    is_long: bool = False


@dataclass(frozen=True, slots=True)
class Note:
    """A paragraph. What is missing is said in an aside: what would be here, and how to get it."""

    text: str
    is_missing: bool = False


@dataclass(frozen=True, slots=True)
class Command:
    """A line for a shell."""

    text: str


Block = Table | Figures | Facts | Note | Command


@dataclass(frozen=True, slots=True)
class Section:
    """A heading with what belongs under it; `name` is its address on the page."""

    name: str
    title: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True)
class Verdict:
    """One precision in one look.

    Attributes:
        precision: Its name.
        state: How it is coloured; `word` and `symbol` say the same without colour.
        symbol: One letter or sign.
        word: Such as ``ships``.
        facts: The figures behind it.
    """

    precision: str
    state: Literal["good", "slow", "bad", "plain"]
    symbol: str
    word: str
    facts: Mapping[str, Cell]


@dataclass(frozen=True, slots=True)
class PageData:
    """A whole page.

    Attributes:
        title: Of the network.
        subtitle: What was measured, where and when.
        flags: Why the figures should not be trusted; empty if they may be.
        verdicts: One per precision.
        verdict_note: What the verdicts mean.
        sections: In the order of the page.
    """

    title: str
    subtitle: tuple[str, ...]
    flags: tuple[str, ...]
    verdicts: tuple[Verdict, ...]
    verdict_note: str
    sections: tuple[Section, ...] = field(default=())
