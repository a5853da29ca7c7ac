"""Chromium, driven through chromedriver with the standard library alone: the WebDriver protocol."""

from __future__ import annotations

import base64
import json
import re
import shutil
import subprocess
import tempfile
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

__all__ = ["Browser", "browser_problem", "open_browser"]

_CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
# Without a sandbox, as CI runs as root; without what calls home, as there is no network.
_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
)
_ANSWER_S = 60
_START_S = 20
_PORT = re.compile(r"started successfully on port (\d+)")


def browser_problem() -> str | None:
    """Return why no browser can be driven here, or None."""
    if _chromium() is None:
        return "no Chromium is installed (Debian: apt-get install chromium chromium-driver)"
    if shutil.which("chromedriver") is None:
        return "no chromedriver is installed (Debian: apt-get install chromium-driver)"
    return None


def _chromium() -> str | None:
    return next((path for path in map(shutil.which, _CHROMIUM) if path), None)


class Browser:
    """One window of a headless Chromium."""

    def __init__(self, address: str, *, process_id: int) -> None:
        self._address = address
        self.process_id = process_id

    def open(self, url: str) -> None:
        """Load a page and wait until it is there."""
        self._post("url", {"url": url})

    def script(self, source: str) -> Any:  # noqa: ANN401  # whatever JSON the script returns
        """Return what a script returns, run in the page."""
        return self._post("execute/sync", {"script": source, "args": []})

    def devtools(self, command: str, **parameters: object) -> dict[str, Any]:
        """Return what a command of the DevTools protocol answers."""
        body = {"cmd": command, "params": parameters}
        answer: dict[str, Any] = self._post("goog/cdp/execute", body)
        return answer

    def resize(self, width_px: int, height_px: int) -> None:
        """Make the page's viewport that large, in CSS pixels."""
        self.devtools(
            "Emulation.setDeviceMetricsOverride",
            width=width_px,
            height=height_px,
            deviceScaleFactor=1,
            mobile=False,
        )

    def emulate(self, *, media: str = "", scheme: str = "light") -> None:
        """Show the page on ``screen`` or in ``print``, ``light`` or ``dark``.

        Printing chooses the medium itself if it is left empty.
        """
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.devtools("Emulation.setEmulatedMedia", media=media, features=features)

    def log(self, kind: str) -> list[dict[str, Any]]:
        """Return the entries of ``browser`` or ``performance`` since the last call."""
        entries: list[dict[str, Any]] = self._post("se/log", {"type": kind})
        return entries

    def requested(self) -> set[str]:
        """Return the addresses that were asked for since the last call."""
        messages = [json.loads(entry["message"])["message"] for entry in self.log("performance")]
        return {
            message["params"]["request"]["url"]
            for message in messages
            if message["method"] == "Network.requestWillBeSent"
        }

    def printed(self) -> bytes:
        """Return the page as PDF, in the paper size that the page asks for."""
        options = {"printBackground": True, "preferCSSPageSize": True}
        return base64.b64decode(self.devtools("Page.printToPDF", **options)["data"])

    def picture(self) -> bytes:
        """Return the whole page as PNG, however long it is."""
        shot = self.devtools("Page.captureScreenshot", captureBeyondViewport=True)
        return base64.b64decode(shot["data"])

    def _post(self, command: str, body: Mapping[str, object]) -> Any:  # noqa: ANN401  # JSON
        return _answer(f"{self._address}/{command}", body)


@contextmanager
def open_browser() -> Iterator[Browser]:
    """Return a browser that knows no other pages; it is closed at the end."""
    driver_path = shutil.which("chromedriver")
    assert driver_path is not None, "ask `browser_problem` first"
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile,
        subprocess.Popen(
            [driver_path, "--port=0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        ) as driver,
    ):
        try:
            with _session(f"http://127.0.0.1:{_port(driver)}/session", profile) as browser:
                browser.open("about:blank")  # it begins with a page of its own, which loads a lot
                browser.requested()
                yield browser
        finally:
            driver.terminate()


@contextmanager
def _session(address: str, profile: str) -> Iterator[Browser]:
    """Return a browser; it is told to end also where a test fails, as its driver leaves it open."""
    made = _answer(address, _capabilities(profile))
    own = f"{address}/{made['sessionId']}"
    try:
        yield Browser(own, process_id=made["capabilities"]["goog:processID"])
    finally:
        _answer(own, None, method="DELETE")


def _port(driver: subprocess.Popen[str]) -> int:
    assert driver.stdout is not None
    late = threading.Timer(_START_S, driver.terminate)  # which ends its output, and the loop below
    late.start()
    try:
        for line in driver.stdout:
            found = _PORT.search(line)
            if found:
                return int(found.group(1))
    finally:
        late.cancel()
    raise RuntimeError("chromedriver did not start; run `chromedriver --port=0` to see why")


def _capabilities(profile: str) -> dict[str, object]:
    options = {"args": [*_FLAGS, f"--user-data-dir={profile}"], "binary": _chromium()}
    wanted = {
        "browserName": "chrome",
        "goog:chromeOptions": options,
        "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"},
    }
    return {"capabilities": {"alwaysMatch": wanted}}


def _answer(address: str, body: Mapping[str, object] | None, *, method: str = "POST") -> Any:  # noqa: ANN401  # JSON
    """Return the value that chromedriver answers.

    Raises:
        RuntimeError: If it answers with an error.
    """
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(  # noqa: S310  # our own address
        address, data=data, method=method, headers={"Content-Type": "application/json"}
    )
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=_ANSWER_S) as response:
            return json.load(response)["value"]
    except urllib.error.HTTPError as error:
        with error:
            raise RuntimeError(json.load(error)["value"]["message"]) from error
