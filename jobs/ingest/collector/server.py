"""`c360 collector serve`: where to bind, when to refuse to, and an orderly end."""

import contextlib
import ipaddress
import logging
import resource
import signal
import socket
import threading
from collections.abc import Iterator

import click
import uvicorn

from jobs.core.context import Context
from jobs.core.errors import UsageError
from jobs.core.settings import Settings
from jobs.ingest.collector.app import make_app
from jobs.ingest.collector.door import Door
from jobs.ingest.collector.protocol import cut_off_slow, protocol_for

log = logging.getLogger(__name__)
TICKS_PER_SWEEP = 5  # uvicorn ticks ten times a second
TICKS_PER_WARNING = 600
BACKLOG = 2048
ENDING = (signal.SIGINT, signal.SIGTERM)


def serve(context: Context, host: str, port: int, *, insecure: bool) -> None:
    """Serves until SIGTERM or Ctrl-C, then finishes what was accepted. Raises UsageError where it must not start."""
    settings = context.settings
    is_exposed = not is_loopback(host)
    if is_exposed and not (has_tls(settings) or insecure):
        raise UsageError(
            f"{host} is reachable from other machines and there is no TLS; set C360_COLLECTOR_TLS_CERT and "
            "C360_COLLECTOR_TLS_KEY, bind to 127.0.0.1 behind a proxy, or say --insecure-i-know"
        )
    _raise_file_limit()
    app = make_app(context)
    listener = bind(host, port)
    server = Server(_config(settings, app), app, listener, warns=is_exposed and not has_tls(settings))
    if not app.key_count:
        log.warning("there is no write key yet, so everything is refused: c360 collector keys create SOURCE")
    server.run(sockets=[listener])
    click.echo("stopped")


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach the address, whatever it resolves to."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError as error:
        raise UsageError(f"{host!r} is no address of this machine; use 127.0.0.1") from error
    return all(ipaddress.ip_address(entry[4][0]).is_loopback for entry in found)


def has_tls(settings: Settings) -> bool:
    """Whether a certificate and its key are set; UsageError when only one is, or a file is missing."""
    pair = (settings.collector_tls_cert, settings.collector_tls_key)
    if (pair[0] is None) != (pair[1] is None):
        raise UsageError("collector_tls_cert and collector_tls_key belong together; set both")
    for path in pair:
        if path is not None and not path.is_file():
            raise UsageError(f"{path} does not exist; it is named by collector_tls_cert or collector_tls_key")
    return pair[0] is not None


def bind(host: str, port: int) -> socket.socket:
    """A listening socket; UsageError when the port is taken."""
    family, kind, proto, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    listener = socket.socket(family, kind, proto)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(address)
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise UsageError(
            f"cannot listen on {host} port {port}: {error.strerror}; choose another with --port"
        ) from error
    return listener


def _config(settings: Settings, app: Door) -> uvicorn.Config:
    proxies = [name.strip() for name in settings.collector_trusted_proxies.split(",") if name.strip()]
    return uvicorn.Config(
        app,
        http=protocol_for(settings, app.metrics),
        loop="uvloop",
        ws="none",
        lifespan="on",
        log_config=None,
        log_level="error",
        access_log=False,
        server_header=False,
        proxy_headers=bool(proxies),
        forwarded_allow_ips=proxies,
        timeout_graceful_shutdown=int(settings.collector_read_seconds) + 5,
        backlog=BACKLOG,
        ssl_certfile=settings.collector_tls_cert,
        ssl_keyfile=settings.collector_tls_key,
    )


class Server(uvicorn.Server):
    """uvicorn that cuts off slow senders, repeats a warning, and ends with exit code 0 when it is told to end."""

    def __init__(self, config: uvicorn.Config, app: Door, listener: socket.socket, *, warns: bool) -> None:
        super().__init__(config)
        self._app = app
        self._listener = listener
        self._warns = warns
        self._ticks = 0

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Says where it listens, once it does."""
        await super().startup(sockets)
        host, port = self._listener.getsockname()[:2]
        scheme = "https" if self.config.is_ssl else "http"
        click.echo(f"collector listens on {scheme}://{f'[{host}]' if ':' in host else host}:{port}")

    async def on_tick(self, counter: int) -> bool:
        """Ten times a second, between uvicorn's own chores."""
        if self._ticks % TICKS_PER_SWEEP == 0:
            cut_off_slow(self.server_state.connections)
        if self._warns and self._ticks % TICKS_PER_WARNING == 0:
            log.warning("serving other machines without TLS: write keys and personal data are readable on the way")
        self._ticks += 1
        return await super().on_tick(counter)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """As uvicorn's, but an orderly end is a success: the signal is not raised again."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self.handle_exit) for number in ENDING}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def _raise_file_limit() -> None:
    """Sockets are files: as many as the machine allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
