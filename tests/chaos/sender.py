"""The senders: threads that speak HTTP with the collector, one request at a time each, and repeat it until it is acknowledged."""

import gzip
import http.client
import random
import threading
import time
from base64 import b64encode
from pathlib import Path

from chaos.ledger import Ledger
from chaos.messages import Client, Message

RETRY_SECONDS = 0.05
ANSWER_SECONDS = 30
# A connection that waited longer may have been closed by the collector: a request into it says nothing.
WARM_SECONDS = 1.0
SINGLE_SHARE = 0.4
LARGEST_BATCH = 60
TAKES_NOTHING = (429, 503)


class SenderError(Exception):
    """The collector gave an answer that it never should."""


class Feed:
    """How many messages may be sent so far, and how many are acknowledged; shared by the senders and who paces them."""

    def __init__(self, clients: list[Client]) -> None:
        self.total = sum(client.count for client in clients)
        self.released = self.acked = 0
        self.error: str | None = None
        self._changed = threading.Condition()

    def release(self, count: int) -> None:
        """Lets the senders send so many more."""
        with self._changed:
            self.released = min(self.total, self.released + count)
            self._changed.notify_all()

    def release_all(self) -> None:
        """Lets them send the rest."""
        self.release(self.total)

    def note_acked(self, count: int) -> None:
        """Called by the senders."""
        with self._changed:
            self.acked += count
            self._changed.notify_all()

    def fail(self, why: str) -> None:
        """A sender has met what must not be; everybody who waits hears of it."""
        with self._changed:
            self.error = self.error or why
            self._changed.notify_all()

    def wait_acked(self, count: int, seconds: float) -> bool:
        """Until so many are acknowledged; False after `seconds`. Raises SenderError when a sender has failed."""
        with self._changed:
            done = self._changed.wait_for(lambda: self.error or self.acked >= count, seconds)
            if self.error:
                raise SenderError(self.error)
            return bool(done)

    def wait_idle(self, seconds: float) -> bool:
        """Until all that was released is acknowledged."""
        return self.wait_acked(self.released, seconds)

    def room(self, number: int, clients: int, sent: int) -> int:
        """Blocks until client `number` may send again; how many. 0 when a sender has failed."""
        with self._changed:
            self._changed.wait_for(lambda: self.error or self._share(number, clients) > sent)
            return 0 if self.error else self._share(number, clients) - sent

    def _share(self, number: int, clients: int) -> int:
        return self.released // clients + (number < self.released % clients)


class Sender(threading.Thread):
    """One client's connection."""

    def __init__(self, client: Client, feed: Feed, *, port: int, key: str, folder: Path) -> None:
        super().__init__(name=f"sender-{client.client}", daemon=True)
        self._client, self._feed, self._port = client, feed, port
        self._ledger = Ledger(folder / f"client-{client.client}.ledger")
        self._chance = random.Random(client.client)
        self._head = {"authorization": "Basic " + b64encode(f"{key}:".encode()).decode()}
        self._connection: http.client.HTTPConnection | None = None
        self._answered = 0.0

    def run(self) -> None:
        """Sends the client's messages in order, to the end."""
        messages, sent = self._client.messages(), 0
        try:
            while sent < self._client.count:
                room = self._feed.room(self._client.client, self._client.clients, sent)
                if not room:
                    return
                size = 1 if self._chance.random() < SINGLE_SHARE else self._chance.randint(2, LARGEST_BATCH)
                group = [next(messages) for _ in range(min(size, room, self._client.count - sent))]
                self._deliver(group)
                sent += len(group)
                self._feed.note_acked(len(group))
        except Exception as error:
            self._feed.fail(f"{self.name}: {type(error).__name__}: {error}")
        finally:
            self._ledger.close()

    def _deliver(self, group: list[Message]) -> None:
        """Until it is acknowledged: the same bytes each time."""
        path, body, headers = self._request(group)
        while True:
            request = self._ledger.attempt(message.seq for message in group)
            word = self._send(path, body, headers)
            self._ledger.conclude(request, word)
            if word == "ack":
                return
            time.sleep(RETRY_SECONDS)

    def _request(self, group: list[Message]) -> tuple[str, bytes, dict[str, str]]:
        first = group[0]
        if len(group) == 1 and first.endpoint:
            return f"/v1/{first.endpoint}", first.text.encode(), self._head
        body = ('{"batch":[' + ",".join(message.text for message in group) + "]}").encode()
        if self._chance.random() < 0.25:
            return "/v1/batch", gzip.compress(body, 1), self._head | {"content-encoding": "gzip"}
        return "/v1/batch", body, self._head

    def _send(self, path: str, body: bytes, headers: dict[str, str]) -> str:
        """How it ended, as a word of the ledger."""
        connection = self._connected()
        try:
            if connection.sock is None:
                connection.connect()
        except OSError:
            return "refused"
        try:
            connection.request("POST", path, body, headers)
            answer = connection.getresponse()
            text = answer.read()
        except (OSError, http.client.HTTPException):
            connection.close()
            return "cut"
        if answer.status in TAKES_NOTHING:
            connection.close()
            return "refused"
        if answer.status != 200:
            raise SenderError(f"{path} was answered {answer.status} {text[:200]!r}")
        self._connection, self._answered = connection, time.monotonic()
        return "ack"

    def _connected(self) -> http.client.HTTPConnection:
        """The kept connection while it is warm, a new one otherwise."""
        kept, self._connection = self._connection, None
        if kept and time.monotonic() - self._answered < WARM_SECONDS:
            return kept
        if kept:
            kept.close()
        return http.client.HTTPConnection("127.0.0.1", self._port, timeout=ANSWER_SECONDS)
