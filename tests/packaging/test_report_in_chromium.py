"""The HTML report in a real browser: nothing loaded, nothing cut off, readable light and dark."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from facealign.bundle import Manifest, read_bundle
from facealign.pipeline.evaluate import EvaluationRequest, evaluate_bundle
from facealign.pipeline.report_page import report_page
from tests.unit.evaluation_data import write_faces, write_two_graphs
from tests.unit.report_data import bench_result
from tests.webdriver import Browser, browser_problem, open_browser

PROBLEM = browser_problem()
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(PROBLEM is not None, reason=str(PROBLEM)),
]
PHONE_PX, DESKTOP_PX, PAPER_PX = 390, 1280, 688  # A4 less 14 mm on either side, at 96 per inch
LONG_NAME = "a-very-long-name-without-a-place-to-break-" * 3
MIN_CONTRAST = 4.5  # WCAG 2.2, 1.4.3, level AA
MIN_LETTER_PX = 11

# Every element with text of its own: its contrast with what it stands on, and the size of its type.
TEXTS = """
const numbers = text => text.match(/[\\d.]+/g).map(Number);
const light = rgb => {
  const [r, g, b] = rgb.slice(0, 3).map(value => {
    const x = value / 255;
    return x <= 0.03928 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const behind = element => {
  for (let each = element; each; each = each.parentElement) {
    const colour = numbers(getComputedStyle(each).backgroundColor);
    if (colour.length < 4 || colour[3] === 1) return colour;
  }
  return [255, 255, 255];
};
return [...document.querySelectorAll('body *')]
  .filter(each => [...each.childNodes].some(node => node.nodeType === 3 && node.data.trim()))
  .map(each => {
    const style = getComputedStyle(each);
    const [low, high] = [light(numbers(style.color)), light(behind(each))].sort((a, b) => a - b);
    const contrast = (high + 0.05) / (low + 0.05);
    return [contrast, parseFloat(style.fontSize), each.textContent.slice(0, 40)];
  });
"""
# What reaches beyond the page, other than inside a box that scrolls.
BEYOND = """
const width = document.documentElement.clientWidth;
return [...document.querySelectorAll('body *')]
  .filter(each => !each.parentElement.closest('.scroll'))
  .filter(each => each.getBoundingClientRect().right > width + 1)
  .map(each => `${each.tagName} ${each.textContent.trim().slice(0, 40)}`);
"""
CUT_OFF = """
return [...document.querySelectorAll('.scroll')]
  .filter(each => each.scrollWidth > each.clientWidth + 1)
  .map(each => `${each.textContent.trim().slice(0, 40)}: ${each.scrollWidth}`);
"""
PICTURES = """
return [...document.images].map(each => [each.alt, each.complete && each.naturalWidth > 0]);
"""
HEADINGS = "return [...document.querySelectorAll('h1,h2,h3')].map(each => each.tagName);"


@pytest.fixture(scope="module")
def report(
    tmp_path_factory: pytest.TempPathFactory,
    tiny_manifest: Manifest,
    tiny_files: dict[str, bytes],
) -> Path:
    """Return a page with everything on it, flags and long names too."""
    folder = tmp_path_factory.mktemp("report")
    bundle = write_two_graphs(folder / "b", tiny_manifest, tiny_files, shift_norm=0.01)
    frame: NDArray[np.uint8] = np.random.default_rng(6).integers(0, 256, (120, 160, 3), np.uint8)
    faces = write_faces(folder / "faces", bundle, frame)
    evaluation = evaluate_bundle(EvaluationRequest(bundle, faces, jitter_face_count=1))
    result = bench_result(flags=(f"Busy: {LONG_NAME}.",), bundle=LONG_NAME)
    command = f"facealign bench {LONG_NAME} --dataset {LONG_NAME}"
    page = folder / "report.html"
    page.write_bytes(
        report_page(result, read_bundle(bundle), command=command, evaluation=evaluation)
    )
    return page


@pytest.fixture(scope="module")
def browser(report: Path) -> Iterator[Browser]:
    """Return a browser that shows the page."""
    with open_browser() as opened:
        opened.open(report.as_uri())
        yield opened


def test_page_asks_for_nothing_but_itself_and_says_nothing_on_the_console(
    browser: Browser, report: Path
) -> None:
    browser.open(report.as_uri())

    requested = browser.requested()
    assert report.as_uri() in requested
    assert {url.split(":")[0] for url in requested} == {"file", "data"}
    assert [each for each in requested if each.startswith("file:")] == [report.as_uri()]
    assert browser.log("browser") == []


def test_console_of_a_page_that_loads_something_is_not_empty(
    browser: Browser, report: Path
) -> None:
    """The check above can fail: the policy forbids what is added here, and the console says so."""
    spoilt = report.with_name("spoilt.html")
    spoilt.write_bytes(report.read_bytes().replace(b"</main>", b"<img src='x.png' alt='x'></main>"))

    browser.open(spoilt.as_uri())

    assert "Content Security Policy" in browser.log("browser")[0]["message"]
    browser.open(report.as_uri())
    browser.log("browser")
    browser.requested()


@pytest.mark.parametrize("width_px", [PHONE_PX, DESKTOP_PX], ids=["phone", "desktop"])
def test_nothing_reaches_beyond_the_page(browser: Browser, width_px: int) -> None:
    browser.emulate()
    browser.resize(width_px, 900)

    assert browser.script(BEYOND) == []
    assert browser.script("return document.documentElement.scrollWidth") == width_px


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width_px", [PHONE_PX, DESKTOP_PX], ids=["phone", "desktop"])
def test_text_stands_out_and_is_large_enough(browser: Browser, scheme: str, width_px: int) -> None:
    browser.emulate(scheme=scheme)
    browser.resize(width_px, 900)

    texts = browser.script(TEXTS)
    assert len(texts) > 200
    assert [each for each in texts if each[0] < MIN_CONTRAST] == []
    assert [each for each in texts if each[1] < MIN_LETTER_PX] == []


def test_dark_page_is_dark(browser: Browser) -> None:
    script = "return getComputedStyle(document.body).backgroundColor"
    browser.emulate(scheme="dark")
    dark = browser.script(script)
    browser.emulate(scheme="light")

    assert (dark, browser.script(script)) == ("rgb(20, 23, 26)", "rgb(255, 255, 255)")


def test_every_picture_is_shown_and_has_a_text_instead(browser: Browser) -> None:
    pictures = browser.script(PICTURES)

    assert len(pictures) > 15
    assert [each for each in pictures if not each[0] or not each[1]] == []


def test_headings_begin_with_one_title_and_leave_out_no_level(browser: Browser) -> None:
    headings = browser.script(HEADINGS)

    assert headings[:2] == ["H1", "H2"]
    assert headings.count("H1") == 1
    assert ("H1", "H3") not in pairwise(headings)


def test_print_is_light_cuts_nothing_off_and_makes_pages(browser: Browser) -> None:
    browser.emulate(media="print", scheme="dark")
    browser.resize(PAPER_PX, 900)
    ink, beyond, cut_off = (
        browser.script(script)
        for script in ("return getComputedStyle(document.body).color", BEYOND, CUT_OFF)
    )
    browser.emulate(scheme="dark")
    pdf = browser.printed()

    assert ink == "rgb(22, 25, 29)"
    assert (beyond, cut_off) == ([], [])
    assert pdf.startswith(b"%PDF-")
    assert len(re.findall(rb"/Type\s*/Page\b", pdf)) >= 4


def test_browser_ends_where_a_test_fails() -> None:
    with pytest.raises(ZeroDivisionError), open_browser() as opened:
        raise ZeroDivisionError

    with pytest.raises(ProcessLookupError):
        os.kill(opened.process_id, 0)
