"""The HTML report: what it is made of, its figures, and the page itself; jinja2 and matplotlib."""

from __future__ import annotations

from facealign.report.page.html import check_page_libraries, page_html
from facealign.report.page.landmark_figure import LandmarkDistances, landmark_svg, magnification
from facealign.report.page.latency_figures import (
    LatencySeries,
    latency_course_svg,
    latency_spread_svg,
)
from facealign.report.page.parts import (
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
)
from facealign.report.page.roofline_figure import RoofPoint, roofline_svg
from facealign.report.page.trade_off_figure import TradeOff, trade_off_svg

__all__ = [
    "Block",
    "Cell",
    "Command",
    "Facts",
    "Figure",
    "Figures",
    "LandmarkDistances",
    "LatencySeries",
    "Note",
    "PageData",
    "RoofPoint",
    "Section",
    "Table",
    "TradeOff",
    "Verdict",
    "check_page_libraries",
    "landmark_svg",
    "latency_course_svg",
    "latency_spread_svg",
    "magnification",
    "page_html",
    "roofline_svg",
    "trade_off_svg",
]
