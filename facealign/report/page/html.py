"""The page as one HTML file that needs nothing beside it."""

from __future__ import annotations

import base64
import hashlib
from importlib.util import find_spec
from pathlib import Path

from facealign.errors import MissingLibraryError
from facealign.report.drawing import check_matplotlib
from facealign.report.page.parts import Block, Figure, PageData

__all__ = ["check_page_libraries", "page_html"]

_FOLDER = Path(__file__).parent
_TEMPLATE = "page.html.jinja"


def check_page_libraries() -> None:
    """Check that a page can be made, before a minute of work depends on it.

    Raises:
        MissingLibraryError: If jinja2 or matplotlib is not installed.
    """
    check_matplotlib()
    if find_spec("jinja2") is None:
        raise MissingLibraryError(
            "the HTML report needs `jinja2`, which is not installed; "
            'install it with `pip install "facealign[report]"`'
        )


def page_html(data: PageData) -> str:
    """Return the page, whole in itself: style and pictures in it, no script, nothing loaded.

    Every text of `data` is escaped, whatever it holds. The page forbids the browser to load
    anything that is not in it. The same data give the same page.

    Raises:
        MissingLibraryError: If jinja2 or matplotlib is not installed.
    """
    check_page_libraries()
    import jinja2
    from markupsafe import Markup

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"kind": _kind, "data_uri": _data_uri, "code": _code}
    style = (_FOLDER / "page.css").read_text(encoding="utf-8")
    return environment.get_template(_TEMPLATE).render(
        data=data,
        style=Markup(style),  # noqa: S704  # our own file
        style_hash=base64.b64encode(hashlib.sha256(style.encode()).digest()).decode(),
    )


def _kind(block: Block) -> str:
    return type(block).__name__


def _code(text: str) -> str:
    """Return the text escaped, with what stands between backticks as code."""
    from markupsafe import Markup, escape

    parts = text.split("`")
    if len(parts) % 2 == 0:  # one without its partner
        return escape(text)
    marked = [
        Markup("<code>{}</code>").format(part) if i % 2 else part for i, part in enumerate(parts)
    ]
    return Markup("").join(marked)


def _data_uri(figure: Figure) -> str:
    return f"data:{figure.media_type};base64,{base64.b64encode(figure.data).decode()}"
