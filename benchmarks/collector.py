"""How many events per second the collector acknowledges, durable, beside a bare ASGI server that does nothing.

Client and server share this machine. Every acknowledged event is then looked for in the landing log. Run it with
`make bench-collector`; the figures are those of one machine in one moment, the shares of the limit travel better.
"""

import asyncio
import json
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from base64 import b64encode
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import click
import psutil
import uvloop

from jobs.core.settings import Settings, bin_path, load_settings
from jobs.ingest.landing.log import Received, log_folder, read_segment

SOURCE = "sim_web"
CONNECTIONS = 50
BATCH = 100
ADDRESS = re.compile(r"http://127\.0\.0\.1:(\d+)")
NOOP_REPLY = b'{"success":true,"receipt_id":"00000000000000000000000000000000","accepted":1}'


async def noop(scope: Any, receive: Any, send: Any) -> None:
    """The limit: reads the body, answers 200."""
    if scope["type"] != "http":
        while (await receive())["type"] != "lifespan.shutdown":
            await send({"type": "lifespan.startup.complete"})
        await send({"type": "lifespan.shutdown.complete"})
        return
    while (await receive())["more_body"]:
        pass
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(NOOP_REPLY)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": NOOP_REPLY})


def event(number: int) -> bytes:
    """About 400 bytes, as a web page sends it."""
    return json.dumps(
        {
            "type": "track",
            "messageId": f"bench-{number:012d}",
            "anonymousId": f"visitor-{number % 10_000:06d}",
            "event": "Product Viewed",
            "timestamp": "2018-01-01T12:00:00.000Z",
            "context": {
                "page": {"url": "https://shop.example.com/p/82734", "title": "A product", "path": "/p/82734"},
                "locale": "en",
                "consent": {"categoryPreferences": {"Analytics": True, "Advertising": False}},
            },
            "properties": {"product_id": "82734", "price": 12.5, "currency": "EUR", "category": "Grocery"},
        },
        separators=(",", ":"),
    ).encode()


@dataclass
class Load:
    """What one run of the client saw."""

    seconds: float = 0.0
    acknowledged: int = 0
    failed: int = 0
    latencies: list[float] = field(default_factory=list)

    def quantile(self, share: float) -> float:
        """Milliseconds."""
        ordered = sorted(self.latencies)
        return ordered[min(len(ordered) - 1, int(len(ordered) * share))] * 1000


class Client(asyncio.Protocol):
    """One keep-alive connection that sends the next request when the last one is answered."""

    def __init__(self, load: Load, requests: Any, events: int, done: asyncio.Future[None]) -> None:
        self.load, self.requests, self.events, self.done = load, requests, events, done
        self.buffer = b""

    def connection_made(self, transport: Any) -> None:
        """Sends the first."""
        self.transport = transport
        self._next()

    def _next(self) -> None:
        request = next(self.requests, None)
        if request is None:
            self.transport.close()
            self.done.set_result(None)
            return
        self.begun = time.perf_counter()
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        """Counts an answer when it is whole."""
        self.buffer += data
        head, separator, body = self.buffer.partition(b"\r\n\r\n")
        if not separator or len(body) < int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0]):
            return
        self.buffer = b""
        self.load.latencies.append(time.perf_counter() - self.begun)
        if head.startswith(b"HTTP/1.1 200"):
            self.load.acknowledged += self.events
        else:
            self.load.failed += self.events
        self._next()

    def connection_lost(self, exc: Exception | None) -> None:
        """A lost connection ends its share of the run."""
        if not self.done.done():
            self.done.set_result(None)


def _same(client: Client) -> Client:
    return client


async def drive(port: int, key: str, *, size: int, seconds: float, first: int) -> Load:
    """Closed loop: `CONNECTIONS` senders, each with one request of `size` events on its way, for `seconds`."""
    loop, load = asyncio.get_running_loop(), Load()
    began = time.perf_counter()

    def requests(lane: int) -> Any:
        number = first + lane * 10_000_000
        auth = b64encode(f"{key}:".encode()).decode()
        path = "/v1/track" if size == 1 else "/v1/batch"
        while time.perf_counter() - began < seconds:
            events = [event(number + i) for i in range(size)]
            number += size
            body = events[0] if size == 1 else b'{"batch":[' + b",".join(events) + b"]}"
            head = f"POST {path} HTTP/1.1\r\nhost: c360\r\nauthorization: Basic {auth}\r\ncontent-length: {len(body)}\r\n\r\n"
            yield head.encode() + body

    clients = [Client(load, requests(lane), size, loop.create_future()) for lane in range(CONNECTIONS)]
    for client in clients:
        await loop.create_connection(partial(_same, client), "127.0.0.1", port)
    await asyncio.gather(*(client.done for client in clients))
    load.seconds = time.perf_counter() - began
    return load


@dataclass
class Server:
    """A server in a process of its own, measured from outside."""

    process: subprocess.Popen[str]
    port: int

    @classmethod
    def start(cls, arguments: list[str], settings: Settings) -> "Server":
        """Starts it and waits until it says where it listens."""
        process = subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True, env=settings.child_environment)
        assert process.stdout is not None
        for line in process.stdout:
            found = ADDRESS.search(line)
            if found:
                return cls(process, int(found.group(1)))
        raise click.ClickException(f"{arguments[0]} did not start")

    def cpu_seconds(self) -> float:
        """User and system time so far."""
        times = psutil.Process(self.process.pid).cpu_times()
        return float(times.user + times.system)

    def peak_mb(self) -> float:
        """Largest resident size so far."""
        status = Path(f"/proc/{self.process.pid}/status").read_text(encoding="utf-8")
        return int(re.findall(r"VmHWM:\s+(\d+) kB", status)[0]) / 1024

    def stop(self) -> None:
        """SIGTERM, and the end."""
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(60)


def measure(name: str, server: Server, key: str, *, size: int, seconds: float, first: int) -> tuple[Load, float]:
    """Runs the load after a short warm-up and prints its line; returns it with its events per second."""
    warm = uvloop.run(drive(server.port, key, size=size, seconds=1.0, first=first))
    before = server.cpu_seconds()
    load = uvloop.run(drive(server.port, key, size=size, seconds=seconds, first=first + 5_000_000))
    cpu = server.cpu_seconds() - before
    rate = load.acknowledged / load.seconds
    click.echo(
        f"{name:<28}{rate:>10,.0f}{load.quantile(0.5):>9.2f}{load.quantile(0.99):>9.2f}"
        f"{cpu:>9.2f}{cpu / max(1, load.acknowledged) * 1e6:>10.1f}{server.peak_mb():>9.0f}{load.failed:>8}"
    )
    load.acknowledged += warm.acknowledged
    return load, rate


def in_log(settings: Settings) -> int:
    """Whole messages in the landing log."""
    found = [item for path in log_folder(settings).glob("*.log") for _, item in read_segment(path)]
    return sum(isinstance(item, Received) for item in found)


@click.command()
@click.option("--seconds", default=5.0, show_default=True, help="Length of each of the four runs.")
@click.option("--serve-noop", is_flag=True, hidden=True)
def main(seconds: float, serve_noop: bool) -> None:
    """Measures the collector against the bare server, single and in batches of 100."""
    if serve_noop:
        _serve_noop()
        return
    home = Path(tempfile.mkdtemp(prefix="c360-bench-"))
    settings = load_settings(home=str(home))
    try:
        _bench(settings, seconds)
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _bench(settings: Settings, seconds: float) -> None:
    create = [bin_path("c360"), "collector", "keys", "create", SOURCE]
    made = subprocess.run(create, env=settings.child_environment, capture_output=True, text=True, check=True)
    key = made.stdout.strip()
    click.echo(
        f"{CONNECTIONS} connections, {len(event(0))} bytes an event, {seconds:g} s each, client on the same machine"
    )
    click.echo(
        f"{'':<28}{'events/s':>10}{'p50 ms':>9}{'p99 ms':>9}{'CPU s':>9}{'CPU s/M':>10}{'peak MB':>9}{'failed':>8}"
    )
    rates: dict[tuple[str, int], float] = {}
    acknowledged = 0
    for kind, arguments in (
        ("bare ASGI, no-op", [sys.executable, __file__, "--serve-noop"]),
        ("collector, durable", [bin_path("c360"), "collector", "serve", "--port", "0"]),
    ):
        server = Server.start(arguments, settings)
        for size in (1, BATCH):
            name = f"{kind}, {'single' if size == 1 else f'batch {size}'}"
            load, rates[kind, size] = measure(name, server, key, size=size, seconds=seconds, first=size * 10**9)
            acknowledged += load.acknowledged if kind.startswith("collector") else 0
        if kind.startswith("collector"):
            with urllib.request.urlopen(f"http://127.0.0.1:{server.port}/metrics", timeout=5) as answer:
                assert b"c360_collector_messages_total" in answer.read()
        server.stop()
    found = in_log(settings)
    for size in (1, BATCH):
        share = rates["collector, durable", size] / rates["bare ASGI, no-op", size]
        click.echo(f"share of the bare server, {'single' if size == 1 else f'batch {size}'}: {share:.0%}")
    click.echo(f"acknowledged {acknowledged:,}, in the landing log {found:,}")
    if found < acknowledged:
        raise click.ClickException(f"{acknowledged - found} acknowledged events are not in the log")


def _serve_noop() -> None:
    import uvicorn

    from jobs.ingest.collector.server import bind

    listener = bind("127.0.0.1", 0)
    click.echo(f"http://127.0.0.1:{listener.getsockname()[1]}")
    config = uvicorn.Config(noop, http="httptools", loop="uvloop", ws="none", log_level="error", access_log=False)
    uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main()
