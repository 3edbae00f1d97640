"""Both ends of the browser snippet: a shop's pages that embed it, and a collector that answers as a test wants it to.

They are two origins, so that the browser's rules for requests to another site hold as they do in a shop.
"""

import contextlib
import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from browserkit import Browser, Tab, Visitor, running_browser, wait_for

from jobs.core.settings import PROJECT_ROOT

SNIPPET = PROJECT_ROOT / "jobs" / "ingest" / "collector" / "snippet" / "c360.js"
DOCS = PROJECT_ROOT / "docs" / "collector.md"
STATEMENT = "Consent Preference Updated"
GRANT = "analytics.consent({Analytics: true})"
QUICK = {"flushMs": 20, "retryMs": 20}
SLOW = {"flushMs": 60_000, "retryMs": 60_000}
QUIET_SECONDS = 0.25  # in which a page with QUICK would have sent long since
SLOW_SCRIPT_SECONDS = 0.3  # so that a page makes its calls before the script is there
DROP = "drop"  # an answer of the fake collector: none, the connection is closed
CORS = {"Access-Control-Allow-Origin": "*", "Access-Control-Expose-Headers": "Retry-After"}


def embed_code() -> str:
    """What docs/collector.md tells a shop to put into its pages."""
    return DOCS.read_text("utf-8").split("```html\n")[1].split("```")[0]


@dataclass(frozen=True)
class Request:
    """A request as the collector saw it, and the status that it answered; `at` is on the monotonic clock."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    status: int
    at: float

    @property
    def messages(self) -> list[dict[str, Any]]:
        """What the batch holds."""
        return list(json.loads(self.body)["batch"])


@dataclass
class FakeCollector:
    """Answers 200, or what stands first in `answers`: a status, a status with headers, or DROP."""

    url: str = ""
    answers: list[Any] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    always: Any = 200

    @property
    def taken(self) -> list[dict[str, Any]]:
        """The messages of all requests that were answered 200, repeats left out as the stream does it."""
        all_taken = [message for request in self.requests if request.status == 200 for message in request.messages]
        return list({message["messageId"]: message for message in reversed(all_taken)}.values())[::-1]

    @property
    def repeats(self) -> int:
        """How many messages were taken again."""
        return sum(len(request.messages) for request in self.requests if request.status == 200) - len(self.taken)

    def taken_events(self) -> list[str]:
        """Names of the messages taken, statements of consent left out."""
        return [name for name in map(name_of, self.taken) if name != STATEMENT]

    def wait_for_events(self, *names: str) -> list[dict[str, Any]]:
        """Waits until exactly these messages were taken, in any order, and returns all that was taken."""
        wait_for(lambda: sorted(self.taken_events()) == sorted(names), f"{names}; there are {self.taken_events()}")
        return self.taken

    def next_answer(self) -> tuple[int, dict[str, str]]:
        """Status (0: none) and further headers of the next answer."""
        answer = self.answers.pop(0) if self.answers else self.always
        status, headers = answer if isinstance(answer, tuple) else (answer, {})
        return (0 if status == DROP else status), headers


def name_of(message: dict[str, Any]) -> str:
    """The event, or the type of a message that is no event."""
    return str(message.get("event") or message["type"])


@contextlib.contextmanager
def fake_collector() -> Iterator[FakeCollector]:
    """A collector on a free port of this machine."""
    fake = FakeCollector()

    class Handler(_Quiet):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            status, headers = fake.next_answer()
            fake.requests.append(
                Request(self.command, self.path, dict(self.headers.items()), body, status, time.monotonic())
            )
            if status:
                self.answer(status, "application/json", b"{}", CORS | headers)
            else:
                self.close_connection = True

        def do_OPTIONS(self) -> None:
            headers = dict(self.headers.items())
            fake.requests.append(Request(self.command, self.path, headers, b"", 405, time.monotonic()))
            self.answer(405, "text/plain", b"", CORS)

    with _serving(Handler) as fake.url:
        yield fake


@contextlib.contextmanager
def serve_shop() -> Iterator[str]:
    """The address of a shop. Its pages have the script and make no call; `/bare` has none, `/embed` is what the docs say."""

    class Handler(_Quiet):
        def do_GET(self) -> None:
            path, _, collector = self.path.partition("?collector=")
            if path.endswith(".js"):
                time.sleep(SLOW_SCRIPT_SECONDS if path == "/slow.js" else 0)
                self.answer(200, "text/javascript", SNIPPET.read_bytes(), {})
                return
            script = "" if path == "/bare" else "<script src='/c360.js'></script>"
            code = _embedded(collector) if path == "/embed" else script
            self.answer(200, "text/html", f"<title>Shop</title>{code}".encode(), {})

    with _serving(Handler) as url:
        yield url


def _embedded(collector: str) -> str:
    code = embed_code()
    script, place, key = "https://collect.example.com/c360.js", "https://collect.example.com", "YOUR_BROWSER_KEY"
    assert code.count(script) == 1
    assert code.count(key) == 1
    return code.replace(script, "/slow.js").replace(place, collector).replace(key, "key")


class _Quiet(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, status: int, content_type: str, body: bytes, headers: dict[str, str]) -> None:
        """One whole answer."""
        self.send_response(status)
        for name, value in {"Content-Type": content_type, "Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: Any) -> None:
        """Says nothing."""


@contextlib.contextmanager
def _serving(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


# ---- what tests use


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """One browser for all tests; each has a visitor of its own."""
    with running_browser(tmp_path_factory.mktemp("profile")) as found:
        yield found


@pytest.fixture
def visitor(browser: Browser) -> Iterator[Visitor]:
    """Somebody new in that browser."""
    with browser.visitor() as found:
        yield found


@pytest.fixture(scope="session")
def shop() -> Iterator[str]:
    """The address of a shop that embeds the script."""
    with serve_shop() as url:
        yield url


@pytest.fixture
def fake() -> Iterator[FakeCollector]:
    """A collector that does as the test says."""
    with fake_collector() as found:
        yield found


def load(tab: Tab, collector: FakeCollector | str, *calls: str, **options: Any) -> None:
    """`analytics.load` and further calls, in one go."""
    endpoint = collector if isinstance(collector, str) else collector.url
    settings = {"writeKey": "key", "endpoint": endpoint} | QUICK | options
    tab.run("; ".join([f"analytics.load({json.dumps(settings)})", *calls, "0"]))


def stored(tab: Tab) -> dict[str, str]:
    """All that the page's site keeps in this browser."""
    entries = dict(tab.run("Object.entries(localStorage)"))
    return entries | ({"cookie": tab.run("document.cookie")} if tab.run("document.cookie") else {})


def queue(tab: Tab) -> list[str]:
    """The messages that wait, oldest first."""
    return [text for key, text in sorted(stored(tab).items()) if key.startswith("c360.q.")]


def add_script(tab: Tab, url: str) -> None:
    """Adds a script to the page and waits until it has run."""
    element = f"Object.assign(document.createElement('script'), {{src: '{url}', onload: done, onerror: failed}})"
    tab.run(f"new Promise((done, failed) => document.head.append({element})).then(() => 0)")


def is_quiet(fake: FakeCollector) -> bool:
    """Whether no request comes in for a while."""
    before = len(fake.requests)
    time.sleep(QUIET_SECONDS)
    return len(fake.requests) == before
