"""A real collector on loopback for tests: in a thread of this process, or as the command in one of its own."""

import contextlib
import gzip
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import threading
import time
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from jobs.core.context import Context
from jobs.core.settings import Settings, bin_path
from jobs.ingest.collector.app import make_app
from jobs.ingest.collector.keys import KeyKind, create_key
from jobs.ingest.collector.server import Server, _config, bind
from jobs.ingest.collector.sink import LandingSink, Sink
from jobs.ingest.landing.log import Received, Torn, decode, log_folder

SOURCE = "sim_web"
ADDRESS = re.compile(r"http://127\.0\.0\.1:(\d+)")


@dataclass
class Answer:
    """What came back over the wire."""

    status: int
    headers: dict[str, str]
    raw: bytes

    @property
    def json(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.raw)
        return found

    @property
    def code(self) -> str | None:
        return self.json.get("code")


@dataclass
class Speaker:
    """Speaks HTTP with a collector on `port`; every answer of an error must have a code and a receipt id."""

    settings: Settings
    port: int = 0
    key: str = ""
    browser_key: str = ""
    _read: dict[str, int] = field(default_factory=dict, repr=False)

    def make_keys(self, context: Context) -> None:
        now = context.clock.now()
        _, self.key = create_key(context.settings, SOURCE, KeyKind.SERVER, now)
        _, self.browser_key = create_key(context.settings, SOURCE, KeyKind.BROWSER, now)

    def request(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
        timeout: float = 20,
    ) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            connection.request(method, path, body, headers or {})
            found = connection.getresponse()
            answer = Answer(found.status, {k.lower(): v for k, v in found.getheaders()}, found.read())
        finally:
            connection.close()
        if answer.status >= 400 and path != "/health":
            assert answer.json["code"]
            assert len(answer.json["receipt_id"]) == 32
        return answer

    def post(
        self, path: str, body: Any, *, key: str | None = "", zipped: bool = False, headers: dict[str, str] | None = None
    ) -> Answer:
        """`body` bytes as they are, anything else as JSON; `key` None for none, the server key if not said."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        heads = {"content-type": "application/json"} | (headers or {})
        if zipped:
            data, heads["content-encoding"] = gzip.compress(data), "gzip"
        if key is not None:
            heads["authorization"] = "Basic " + b64encode(f"{key or self.key}:".encode()).decode()
        return self.request("POST", path, data, heads)

    def speak(self, raw: bytes, *, wait: float = 5) -> bytes:
        """Sends bytes over a socket and returns all that comes back until the other side closes, or `wait` is over."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=wait) as connection:
            with contextlib.suppress(OSError):  # it may be cut off while it still speaks
                connection.sendall(raw)
            return hear(connection)

    def new(self) -> list[Received | Torn]:
        """What has come into the landing log since this was last asked, in the order it was written."""
        found: list[Received | Torn] = []
        for name in sorted({path.stem for path in log_folder(self.settings).glob("[!.]*")}):
            raw = self._segment(name)
            found += [decode(line) for line in raw[self._read.get(name, 0) :].splitlines(keepends=True)]
            self._read[name] = len(raw)
        return found

    def newest(self) -> Received:
        """The one message that has come since."""
        (found,) = self.new()
        assert isinstance(found, Received)
        return found

    def _segment(self, name: str) -> bytes:
        for suffix in (".open", ".log"):  # it may be sealed at this moment
            with contextlib.suppress(FileNotFoundError):
                return (log_folder(self.settings) / f"{name}{suffix}").read_bytes()
        raise AssertionError(f"segment {name} is gone")

    def payloads(self) -> list[str]:
        """The texts of the whole messages among them."""
        return [item.payload for item in self.new() if isinstance(item, Received)]


def hear(connection: socket.socket, *, must_end: bool = False) -> bytes:
    """All bytes until the other side closes, or its patience ends (an error if it `must_end`)."""
    heard = b""
    try:
        while piece := connection.recv(65536):
            heard += piece
    except TimeoutError:
        assert not must_end, "still open"
    except OSError:
        pass
    return heard


@dataclass
class Door(Speaker):
    """A collector in a thread of this process."""

    context: Context = field(init=False)
    server: Server = field(init=False)
    sink: Sink = field(init=False)
    _thread: threading.Thread = field(init=False, repr=False)

    def __init__(self, context: Context, *, disk: Any = None) -> None:
        super().__init__(context.settings)
        self.context = context
        self.make_keys(context)
        self.sink = LandingSink(context, disk=disk)

    def __enter__(self) -> "Door":
        app = make_app(self.context, self.sink)
        listener = bind("127.0.0.1", 0)
        self.port = listener.getsockname()[1]
        self.server = Server(_config(self.settings, app), app, listener, warns=False)
        self._thread = threading.Thread(target=self.server.run, args=([listener],))
        self._thread.start()
        wait_until(lambda: self.server.started)
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """As SIGTERM does."""
        self.server.should_exit = True
        self._thread.join(30)
        assert not self._thread.is_alive()


@dataclass
class Process(Speaker):
    """`c360 collector serve` in a process of its own."""

    process: subprocess.Popen[str] = field(init=False)

    def kill(self) -> None:
        """As a power cut, except that the page cache stays."""
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait(20)

    def terminate(self) -> int:
        """SIGTERM; returns the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)


@contextmanager
def process(context: Context, **environment: str) -> Iterator[Process]:
    """Runs the command with `C360_<NAME>` set for each keyword; killed at the end if it still runs."""
    settings = context.settings
    found = Process(settings)
    found.make_keys(context)
    with launch(found, environment):
        yield found


@contextmanager
def launch(found: Process, environment: dict[str, str]) -> Iterator[None]:
    """Starts the command on a free port, and sees to its end."""
    variables = found.settings.child_environment | {f"C360_{k.upper()}": v for k, v in environment.items()}
    command = [bin_path("c360"), "collector", "serve", "--port", "0"]
    found.process = subprocess.Popen(command, env=variables, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert found.process.stdout is not None
    assert found.process.stderr is not None
    try:
        line = found.process.stdout.readline()
        address = ADDRESS.search(line)
        assert address, line + found.process.stderr.read()
        found.port = int(address.group(1))
        yield
    finally:
        if found.process.poll() is None:
            found.kill()
        found.process.stdout.close()
        found.process.stderr.close()


def wait_until(condition: Any, seconds: float = 20) -> None:
    """Polls until the condition holds."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)


def event(number: int = 1, **fields: Any) -> dict[str, Any]:
    """A message as a page sends it."""
    return {
        "type": "track",
        "messageId": f"m{number}",
        "anonymousId": f"a{number}",
        "event": "Product Viewed",
        "timestamp": "2018-01-01T12:00:00Z",
        "properties": {"product_id": "82734"},
    } | fields
