"""uvicorn's HTTP protocol with what a public door needs besides: an end to slow senders, large heads and idle sockets.

uvicorn itself waits for a request for ever and lets a head grow without limit. Requests that could be read in two ways
(Content-Length and Transfer-Encoding together, bad chunk sizes) are refused by llhttp; here they get our error body.
"""

import time
from collections.abc import Iterable
from typing import Any, ClassVar, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from jobs.core.settings import Settings
from jobs.ingest.collector import replies
from jobs.ingest.collector.metrics import Metrics
from jobs.ingest.collector.receipt import new_receipt_id
from jobs.ingest.collector.replies import STATUS, Code, RefusedError

PHRASES = {
    400: b"Bad Request",
    408: b"Request Timeout",
    431: b"Request Header Fields Too Large",
    503: b"Service Unavailable",
}
FULL_RETRY_SECONDS = 5.0


class HeadTooLargeError(Exception):
    """Raised within the parser to stop it."""


class DoorProtocol(HttpToolsProtocol):
    """One connection. `deadline` is when the request that is arriving must be whole; None between requests."""

    settings: ClassVar[Settings]
    metrics: ClassVar[Metrics]

    def connection_made(self, transport: Any) -> None:
        """Starts the clock; refuses a connection too many."""
        super().connection_made(transport)
        self._between = False
        self._in_head = True
        self._head_bytes = 0
        self._number = 0
        self._refusal = Code.BAD_REQUEST
        self.deadline: float | None = time.monotonic() + self.settings.collector_read_seconds
        if len(self.connections) > self.settings.collector_connections:
            self._refuse(Code.UNAVAILABLE, retry_after=FULL_RETRY_SECONDS)

    def data_received(self, data: bytes) -> None:
        """Feeds the parser, and counts what it has swallowed of a head that does not end."""
        if self.transport.is_closing():
            return
        if self._between:
            self._between = False
            if self.deadline is None:
                self.deadline = time.monotonic() + self.settings.collector_read_seconds
        number = self._number
        super().data_received(data)
        if self._in_head and number == self._number:  # all of it belongs to one head
            self._head_bytes += len(data)
            if self._head_bytes > self.settings.collector_header_bytes:
                self._refuse(Code.HEADER_LIMIT)

    def on_message_begin(self) -> None:
        """A request begins."""
        self._in_head, self._head_bytes = True, 0
        self._number += 1
        if self.deadline is None:
            self.deadline = time.monotonic() + self.settings.collector_read_seconds
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """The head is whole; one that came in a single large read is measured here."""
        self._in_head = False
        if len(self.url) + sum(len(n) + len(v) for n, v in self.headers) > self.settings.collector_header_bytes:
            self._refusal = Code.HEADER_LIMIT
            raise HeadTooLargeError
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """The request is whole: no more hurry."""
        self.deadline = None
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Between two requests uvicorn's keep-alive timer runs, until the first byte of the next."""
        self._between = True
        super().on_response_complete()

    def send_400_response(self, msg: str) -> None:
        """What is no HTTP, answered with our error body; the connection ends."""
        self._refuse(self._refusal)

    def time_out(self) -> None:
        """Cuts off a sender that took too long: with an answer if it has begun to say something."""
        has_begun = self._head_bytes or self.cycle is not None
        if has_begun and not (self.cycle and self.cycle.response_started):
            self._refuse(Code.READ_TIMEOUT)
        else:
            self.transport.close()

    def _refuse(self, code: Code, *, retry_after: float | None = None) -> None:
        if self.transport.is_closing():
            return
        reply = replies.refused(new_receipt_id(), RefusedError(code, retry_after=retry_after, close=True))
        head = b"".join(b"%b: %b\r\n" % header for header in reply.headers)
        status = STATUS[code]
        self.transport.write(b"HTTP/1.1 %d %b\r\n%b\r\n%b" % (status, PHRASES[status], head, reply.body))
        self.transport.close()
        self.metrics.count_request("", "connection", status, code.value)


def protocol_for(settings: Settings, metrics: Metrics) -> type[DoorProtocol]:
    """The class that uvicorn makes connections of, knowing these settings."""
    return cast(
        "type[DoorProtocol]", type("BoundProtocol", (DoorProtocol,), {"settings": settings, "metrics": metrics})
    )


def cut_off_slow(connections: Iterable[Any]) -> None:
    """Ends every connection whose request is overdue."""
    now = time.monotonic()
    for connection in list(connections):
        if isinstance(connection, DoorProtocol) and connection.deadline is not None and now > connection.deadline:
            connection.time_out()
