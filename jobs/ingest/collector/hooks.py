"""The way in for e-mail webhooks: /v1/webhooks/{vendor}/{source}, and whatever a vendor hangs below it.

Here only what every door does: limits, a receipt, durability before the answer. Who is asking and what the body means is
known to `jobs.ingest.webhooks`.
"""

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from jobs.core.context import Context
from jobs.core.errors import PermanentError
from jobs.core.failpoints import Failpoint, fail_at
from jobs.ingest.collector import replies
from jobs.ingest.collector.body import ClientGoneError, Room, read_body
from jobs.ingest.collector.limits import RateLimit
from jobs.ingest.collector.metrics import Metrics
from jobs.ingest.collector.receipt import new_receipt_id, reduced_user_agent, truncated_ip
from jobs.ingest.collector.replies import Code, RefusedError, Reply
from jobs.ingest.collector.sink import Sink, SinkUnavailableError
from jobs.ingest.collector.split import Limits
from jobs.ingest.landing.log import Received

if TYPE_CHECKING:
    from jobs.ingest.webhooks.base import WebhookRequest

ENDPOINT = "webhooks"
METHODS = [
    "GET",
    "HEAD",
    "POST",
    "PUT",
    "PATCH",
    "DELETE",
    "OPTIONS",
]  # which of them mean something is the vendor's affair
RETRY_SECONDS = 5.0
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


def webhook_routes(context: Context, sink: Sink, counted: Metrics) -> list[BaseRoute]:
    """The routes, for any vendor and source; an unknown one is answered 404 when it is called."""
    hooks = Hooks(context, sink, counted)
    paths = ("/v1/webhooks/{vendor}/{source}", "/v1/webhooks/{vendor}/{source}/{rest:path}")
    return [Route(path, hooks.answer, methods=METHODS) for path in paths]


class Hooks:
    """Answers vendors: 200 when their events are durable, else a code."""

    def __init__(self, context: Context, sink: Sink, counted: Metrics) -> None:
        self._context = context
        self._settings = context.settings
        self._sink = sink
        self._counted = counted
        self._per_ip = RateLimit(context.settings.collector_ip_rate)
        self._room = Room(context.settings.collector_queue_bytes)
        self._limits = Limits(
            depth=self._settings.collector_depth,
            message_bytes=self._settings.collector_message_bytes,
            batch_messages=self._settings.collector_batch_messages,
        )

    async def answer(self, request: Request) -> Response:
        """The endpoint."""
        receipt_id = new_receipt_id()
        try:
            reply = await self._reply(request, receipt_id)
        except RefusedError as error:
            reply = replies.refused(receipt_id, error)
        except ClientGoneError:
            reply = replies.problem(499, "client_gone", receipt_id)
        except Exception as error:
            reply = replies.unforeseen(receipt_id, error)
        self._counted.count_request("", ENDPOINT, reply.status, reply.code)
        return Response(reply.body, reply.status, {name.decode(): value.decode() for name, value in reply.headers})

    async def _reply(self, request: Request, receipt_id: str) -> Reply:
        from jobs.ingest.webhooks.base import WebhookRefusedError, receive
        from jobs.ingest.webhooks.secrets import read_secret

        vendor, source = request.path_params["vendor"], request.path_params["source"]
        asked = await self._read(request, receipt_id)
        try:
            secret = read_secret(self._settings, vendor, source)
            found = receive(vendor, source, asked, secret, limits=self._limits)
        except PermanentError as error:
            raise RefusedError(Code.UNAVAILABLE, retry_after=RETRY_SECONDS) from error
        except WebhookRefusedError as error:
            return replies.problem(error.status, error.code, receipt_id)
        await self._keep(source, found)
        return replies.accepted(receipt_id, len(found), [])

    async def _read(self, request: Request, receipt_id: str) -> "WebhookRequest":
        from jobs.ingest.webhooks.base import WebhookRequest, public_url

        client = request.client.host if request.client else ""
        wait = self._per_ip.take(client)
        if wait:
            raise RefusedError(Code.RATE_LIMITED, retry_after=wait)
        declared = request.headers.get("content-length")
        # Vendors send more at once than a page, and plain: the limit is that of an inflated body.
        limit = self._settings.collector_inflated_bytes
        body = await read_body(request.receive, declared.encode() if declared else None, limit, self._room)
        noted = {"ip": truncated_ip(client), "user_agent": reduced_user_agent(request.headers.get("user-agent", ""))}
        return WebhookRequest(
            method=request.method,
            url=public_url(self._settings.collector_public_url, str(request.url)),
            headers=dict(request.headers),
            body=body,
            received_us=(self._context.clock.now() - EPOCH) // MICROSECOND,
            receipt={"receipt_id": receipt_id, **{name: value for name, value in noted.items() if value is not None}},
        )

    async def _keep(self, source: str, found: list[Received]) -> None:
        if not found:
            return
        fail_at(self._settings, Failpoint.AFTER_RECEIVE)
        try:
            await self._sink.accept(found)
        except SinkUnavailableError as error:
            raise RefusedError(Code.UNAVAILABLE, retry_after=RETRY_SECONDS) from error
        for message in found:
            self._counted.count_messages(source, ENDPOINT, message.error or "ok", 1)
