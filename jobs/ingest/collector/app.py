"""The collector as an ASGI application: the door for messages, and the ordinary pages around it (Starlette)."""

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from jobs.core.context import Context
from jobs.ingest.collector import metrics as measured
from jobs.ingest.collector import openapi, replies
from jobs.ingest.collector.access import Access
from jobs.ingest.collector.door import Door
from jobs.ingest.collector.hooks import webhook_routes
from jobs.ingest.collector.metrics import Metrics
from jobs.ingest.collector.receipt import new_receipt_id
from jobs.ingest.collector.replies import Code, RefusedError
from jobs.ingest.collector.sink import Sink, make_sink

SNIPPET = Path(__file__).parent / "snippet" / "c360.js"
KEYS_SECONDS = 0.25
PAGE_HEADERS = {
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
}
SNIPPET_HEADERS = {
    "access-control-allow-origin": "*",
    "cross-origin-resource-policy": "cross-origin",
    "cache-control": "public, max-age=3600",
    "x-content-type-options": "nosniff",
}
Handler = Callable[[Request], Awaitable[Response]]


def make_app(context: Context, sink: Sink | None = None) -> Door:
    """Everything that one collector serves. `sink` stands in for the one that the settings name."""
    sink = sink or make_sink(context)
    access = Access(context.settings)
    counted = Metrics(sink)
    document = openapi.document(context.settings)
    routes = [
        Route("/health", _health(sink)),
        Route("/metrics", _fixed(counted.text, measured.CONTENT_TYPE.decode())),
        Route("/openapi.json", _fixed(lambda: JSONResponse(document).body, "application/json")),
        Route("/docs", _docs(openapi.page(document))),
        Route("/c360.js", _snippet),
        *webhook_routes(context, sink, counted),
    ]
    pages = Starlette(
        routes=routes, lifespan=_lifespan(sink, access), exception_handlers={HTTPException: _nothing_here(counted)}
    )
    return Door(context, sink, access, counted, pages)


def _lifespan(sink: Sink, access: Access) -> Callable[[Starlette], contextlib.AbstractAsyncContextManager[None]]:
    @contextlib.asynccontextmanager
    async def run(_app: Starlette) -> AsyncIterator[None]:
        await sink.start()
        watcher = asyncio.create_task(_watch_keys(access))
        yield
        watcher.cancel()
        await sink.close()

    return run


async def _watch_keys(access: Access) -> None:
    while True:
        access.refresh()
        await asyncio.sleep(KEYS_SECONDS)


def _health(sink: Sink) -> Handler:
    async def health(_request: Request) -> Response:
        return JSONResponse(
            {"status": "ok" if sink.is_healthy else "failing"}, status_code=200 if sink.is_healthy else 503
        )

    return health


def _fixed(content: Callable[[], bytes | memoryview], media_type: str) -> Handler:
    async def fixed(_request: Request) -> Response:
        return Response(bytes(content()), headers={"content-type": media_type} | PAGE_HEADERS)

    return fixed


def _docs(page: str) -> Handler:
    async def docs(_request: Request) -> Response:
        return HTMLResponse(page, headers=PAGE_HEADERS)

    return docs


async def _snippet(request: Request) -> Response:
    """The script for web pages: public, cached for an hour, then asked for again by its hash."""
    if not SNIPPET.exists():
        raise HTTPException(404)
    script = SNIPPET.read_bytes()
    headers = SNIPPET_HEADERS | {"etag": f'"{hashlib.sha256(script).hexdigest()[:32]}"'}
    if request.headers.get("if-none-match") == headers["etag"]:
        return Response(status_code=304, headers=headers)
    return Response(script, headers=headers | {"content-type": "text/javascript; charset=utf-8"})


def _nothing_here(counted: Metrics) -> Callable[[Request, Exception], Awaitable[Response]]:
    async def answer(_request: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 500
        code = {404: Code.NOT_FOUND, 405: Code.METHOD_NOT_ALLOWED}.get(status, Code.INTERNAL)
        reply = replies.refused(new_receipt_id(), RefusedError(code))
        counted.count_request("", "other", reply.status, reply.code)
        return Response(reply.body, reply.status, media_type="application/json")

    return answer
