"""A real browser for tests: Chromium without a window, spoken to in its own protocol (CDP) over a WebSocket.

No WebDriver: a test opens pages as a visitor, runs script in them and closes them. Every visitor has cookies and storage
of their own.
"""

import contextlib
import itertools
import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from websockets.sync.client import ClientConnection, connect

NAMES = (
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
)
FLAGS = (
    "--headless=new",
    "--remote-debugging-port=0",
    "--no-first-run",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-extensions",
    "--disable-sync",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-proxy-server",
)
PATIENCE_SECONDS = 10.0


def wait_for(condition: Callable[[], Any], what: str, seconds: float = PATIENCE_SECONDS) -> Any:
    """The first true value of the condition; fails when there is none in time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.02)
    raise AssertionError(f"not within {seconds:g} s: {what}")


class Browser:
    """A running browser; answers to commands are matched by number, events are not used."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._numbers = itertools.count(1)

    def call(self, method: str, session: str | None = None, **params: Any) -> dict[str, Any]:
        """The result of a command; fails with the browser's own words."""
        number = next(self._numbers)
        command = {"id": number, "method": method, "params": params} | ({"sessionId": session} if session else {})
        self._socket.send(json.dumps(command))
        while True:
            answer = json.loads(self._socket.recv(timeout=PATIENCE_SECONDS))
            if answer.get("id") == number:
                assert "error" not in answer, f"{method}: {answer['error']}"
                return dict(answer["result"])

    @contextlib.contextmanager
    def visitor(self) -> Iterator["Visitor"]:
        """Somebody new: no cookies, no storage."""
        context = self.call("Target.createBrowserContext")["browserContextId"]
        try:
            yield Visitor(self, context)
        finally:
            self.call("Target.disposeBrowserContext", browserContextId=context)


class Visitor:
    """Opens tabs that share cookies and storage."""

    def __init__(self, browser: Browser, context: str) -> None:
        self._browser = browser
        self._context = context

    def open(self, url: str, before: str = "") -> "Tab":
        """A tab at this address; `before` is script that runs in every page of it before its own."""
        target = self._browser.call("Target.createTarget", url="about:blank", browserContextId=self._context)
        session = self._browser.call("Target.attachToTarget", targetId=target["targetId"], flatten=True)
        tab = Tab(self._browser, target["targetId"], session["sessionId"])
        tab.call("Page.enable")
        if before:
            tab.call("Page.addScriptToEvaluateOnNewDocument", source=before)
        tab.go(url)
        return tab


class Tab:
    """One page at a time."""

    def __init__(self, browser: Browser, target: str, session: str) -> None:
        self._browser = browser
        self._target = target
        self._session = session

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """A command to this tab."""
        return self._browser.call(method, self._session, **params)

    def go(self, url: str) -> None:
        """Opens another page and waits until it has loaded."""
        self.call("Page.navigate", url=url)
        wait_for(lambda: self.run("document.readyState") == "complete", f"loading {url}")

    def run(self, script: str) -> Any:
        """The value of an expression in the page; a promise is awaited, an error of the page fails the test."""
        answer = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def close(self) -> None:
        """As a person closes a tab: the page is told that it goes."""
        self._browser.call("Target.closeTarget", targetId=self._target)


@contextlib.contextmanager
def running_browser(profile: Path) -> Iterator[Browser]:
    """Starts a browser with this empty folder as its profile, and ends it."""
    program = next((found for found in map(shutil.which, NAMES) if found), None)
    assert program, "no Chromium or Chrome found; run: make browser"
    sandbox = ("--no-sandbox",) if os.geteuid() == 0 else ()  # Chromium refuses to start for root otherwise
    arguments = [program, *FLAGS, *sandbox, f"--user-data-dir={profile}", "about:blank"]
    with subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            with connect(_address(profile, process), max_size=None) as socket:
                browser = Browser(socket)
                yield browser
                browser.call("Browser.close")
        finally:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=PATIENCE_SECONDS)
            process.kill()


def _address(profile: Path, process: subprocess.Popen[bytes]) -> str:
    """Where the browser listens; it writes that into its profile when it is ready."""
    file = profile / "DevToolsActivePort"

    def lines() -> list[str]:
        assert process.poll() is None, f"the browser ended with {process.returncode}"
        return file.read_text("utf-8").splitlines() if file.exists() else []

    port, path = wait_for(lambda: len(found := lines()) == 2 and found, "the browser to listen", 30)
    return f"ws://127.0.0.1:{port}{path}"
