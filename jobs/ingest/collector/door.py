"""The hot path: one POST in, its messages durable, one answer out. A bare ASGI application."""

import time
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from datetime import UTC, datetime, timedelta
from typing import Any

from jobs.core.context import Context
from jobs.core.failpoints import Failpoint, fail_at
from jobs.ingest.collector import replies
from jobs.ingest.collector.access import Access, Heads, refuse_key_in_query
from jobs.ingest.collector.body import ClientGoneError, NotGzipError, Receive, Room, plain_body, read_body
from jobs.ingest.collector.keys import WriteKey
from jobs.ingest.collector.limits import RateLimit
from jobs.ingest.collector.metrics import Metrics
from jobs.ingest.collector.receipt import new_receipt_id, reduced_user_agent, truncated_ip
from jobs.ingest.collector.replies import CLOSE, Code, RefusedError, Reply
from jobs.ingest.collector.rules import is_allowed
from jobs.ingest.collector.scan import TooManyElementsError
from jobs.ingest.collector.sink import Sink, SinkUnavailableError
from jobs.ingest.collector.split import Limits, Split, split_batch, split_single, unsplittable
from jobs.ingest.landing.log import Received
from jobs.ingest.reasons import Reason

Scope = MutableMapping[str, Any]
Send = Callable[[Mapping[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Any, Any], Awaitable[None]]

TYPES = ("track", "identify", "page", "screen", "group", "alias")
BATCHES = ("batch", "import")
# What analytics.js posts to: /v1/t for track and so on.
ENDPOINTS = {f"/v1/{name}": name for name in (*TYPES, *BATCHES)} | {f"/v1/{n[0]}": n for n in (*TYPES, "batch")}
SINK_RETRY_SECONDS = 2.0
# What a batch says once is kept with each of its messages, so both its size and that of all copies are bounded.
SHARED_BYTES = 65_536
COPIES = 4
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


class Door:
    """Serves the message endpoints itself and hands everything else to `pages`."""

    def __init__(self, context: Context, sink: Sink, access: Access, metrics: Metrics, pages: Application) -> None:
        self._context = context
        self._settings = context.settings
        self._sink = sink
        self._access = access
        self.metrics = metrics
        self._pages = pages
        self._limits = Limits(
            depth=self._settings.collector_depth,
            message_bytes=self._settings.collector_message_bytes,
            batch_messages=self._settings.collector_batch_messages,
        )
        self._per_key = RateLimit(self._settings.collector_key_rate)
        self._per_ip = RateLimit(self._settings.collector_ip_rate)
        self._room = Room(self._settings.collector_queue_bytes)

    @property
    def key_count(self) -> int:
        """How many write keys are valid."""
        return len(self._access)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI entry."""
        endpoint = ENDPOINTS.get(scope["path"]) if scope["type"] == "http" else None
        if endpoint is None:
            await self._pages(scope, receive, send)
            return
        heads = Heads.of(scope["headers"])
        request = _Request(new_receipt_id(), endpoint, heads, scope)
        try:
            reply = await self._answer(request, receive)
        except RefusedError as error:
            reply = replies.refused(request.receipt_id, error)
        except ClientGoneError:
            self.metrics.count_request(request.source, endpoint, 499, "client_gone")
            return
        except Exception as error:
            reply = replies.unforeseen(request.receipt_id, error)
        self.metrics.count_request(request.source, endpoint, reply.status, reply.code)
        headers = reply.headers if heads.origin is None else [*reply.headers, *self._access.cors(heads)]
        if heads.expects_continue and reply.status >= 400:
            headers = [*headers, CLOSE]  # its body may never come, and then the next request would be taken for it
        await send({"type": "http.response.start", "status": reply.status, "headers": headers})
        await send({"type": "http.response.body", "body": reply.body})

    async def _answer(self, request: "_Request", receive: Receive) -> Reply:
        heads, scope = request.heads, request.scope
        if scope["method"] != "POST":
            if scope["method"] == "OPTIONS":
                return self._access.preflight(heads)
            raise RefusedError(Code.METHOD_NOT_ALLOWED)
        client = scope["client"][0] if scope["client"] else ""
        self._limit(self._per_ip, client)
        refuse_key_in_query(scope["query_string"])
        key = self._access.by_header(heads)
        body = await read_body(receive, heads.content_length, self._settings.collector_body_bytes, self._room)
        started = time.perf_counter()
        found = self._split(request, body)
        key = key or self._access.by_text(found.write_key, heads)
        request.source = key.source
        self.metrics.count_bytes(key.source, request.endpoint, len(body))
        if found.error is Reason.EMPTY:
            return replies.rejected(request.receipt_id, Reason.EMPTY)
        self._limit(self._per_key, key.id, len(found.parts))
        reply = await self._keep(request, key, found, truncated_ip(client))
        self.metrics.durable_after(time.perf_counter() - started)
        return reply

    def _limit(self, limit: RateLimit, name: str, units: int = 1) -> None:
        wait = limit.take(name, units)
        if wait:
            raise RefusedError(Code.RATE_LIMITED, retry_after=wait)

    def _split(self, request: "_Request", body: bytes) -> Split:
        try:
            plain = plain_body(body, request.heads.content_encoding, self._settings)
            found = (split_single if request.type else split_batch)(plain, self._limits)
        except NotGzipError as error:
            return unsplittable(body, error.reason)
        except TooManyElementsError as error:
            raise RefusedError(Code.BATCH_LIMIT) from error
        shared = sum(len(text) for text in (found.context, found.integrations, found.sent_at) if text)
        if shared > SHARED_BYTES or shared * len(found.parts) > COPIES * self._settings.collector_inflated_bytes:
            raise RefusedError(Code.BATCH_LIMIT)
        return found

    async def _keep(self, request: "_Request", key: WriteKey, found: Split, ip: str | None) -> Reply:
        """Makes the messages durable; those that the key may not send are left out and named."""
        if request.endpoint == "import" and key.is_browser:
            raise RefusedError(Code.NOT_ALLOWED_FOR_KEY)
        noted = _receipt(request, key, found, ip)
        received_us = (self._context.clock.now() - EPOCH) // MICROSECOND
        kept: list[Received] = []
        bad: list[tuple[int, str]] = []
        for index, part in enumerate(found.parts):
            if part.error:
                bad.append((index, part.error.value))
            elif not is_allowed(key, request.type, part.payload, found.context):
                bad.append((index, Code.NOT_ALLOWED_FOR_KEY.value))
                continue
            receipt_id = request.receipt_id if request.type else f"{request.receipt_id}.{index}"
            receipt = {"receipt_id": receipt_id, **noted}
            kept.append(Received(key.source, received_us, request.type, receipt, part.payload, part.error))
        if not kept:
            self._count(request, 0, bad)
            raise RefusedError(Code.NOT_ALLOWED_FOR_KEY)
        fail_at(self._settings, Failpoint.AFTER_RECEIVE)
        try:
            await self._sink.accept(kept)
        except SinkUnavailableError as error:
            raise RefusedError(Code.UNAVAILABLE, retry_after=SINK_RETRY_SECONDS) from error
        self._count(request, len(found.parts) - len(bad), bad)
        if len(bad) == len(found.parts):
            return replies.rejected(request.receipt_id, found.error or next(p.error for p in found.parts if p.error))
        return replies.accepted(request.receipt_id, len(found.parts) - len(bad), bad)

    def _count(self, request: "_Request", good: int, bad: list[tuple[int, str]]) -> None:
        if good:
            self.metrics.count_messages(request.source, request.endpoint, "ok", good)
        for _, code in bad:
            self.metrics.count_messages(request.source, request.endpoint, code, 1)


class _Request:
    """One request on its way; `source` is known once the key is."""

    __slots__ = ("endpoint", "heads", "receipt_id", "scope", "source", "type")

    def __init__(self, receipt_id: str, endpoint: str, heads: Heads, scope: Scope) -> None:
        self.receipt_id = receipt_id
        self.endpoint = endpoint
        self.type = endpoint if endpoint in TYPES else None
        self.heads = heads
        self.scope = scope
        self.source = ""


def _receipt(request: _Request, key: WriteKey, found: Split, ip: str | None) -> dict[str, object]:
    """What is kept about the request with each of its messages; nothing that is not known."""
    noted: dict[str, object | None] = {
        "key_id": key.id,
        "key_kind": key.kind.value,
        "ip": ip,
        "user_agent": reduced_user_agent(request.heads.user_agent),
        "gpc": request.heads.gpc or None,
        "sent_at": found.sent_at,
        "batch_context": found.context,
        "batch_integrations": found.integrations,
    }
    return {name: value for name, value in noted.items() if value is not None}
