"""The API as an OpenAPI document, and the same as one plain page: it needs no script, no font and no other site."""

from html import escape
from typing import Any

from jobs.core.settings import Settings
from jobs.ingest.collector.replies import MESSAGES, STATUS

TYPES = {
    "track": "Something a person did: an event name and its properties.",
    "identify": "Who a person is: traits.",
    "page": "A page that was seen.",
    "screen": "A screen of an app that was seen.",
    "group": "A group that a person belongs to. Server keys only.",
    "alias": "Two ids of one person. Server keys only.",
}
TEXT = {"type": "string"}
MESSAGE: dict[str, Any] = {
    "type": "object",
    "description": "A message of the Segment specification; it is kept as it is sent and judged against its contract later.",
    "properties": {
        "type": {"type": "string", "enum": list(TYPES), "description": "Needed in a batch; elsewhere the URL says it."},
        "messageId": {"type": "string", "description": "Makes sending twice harmless, within 30 days."},
        "anonymousId": {"type": "string", "description": "The visitor; needed with a browser key."},
        "userId": TEXT,
        "event": {"type": "string", "description": "Name of a track event."},
        "properties": {"type": "object"},
        "traits": {"type": "object"},
        "context": {"type": "object", "description": "context.consent.categoryPreferences states consent."},
        "timestamp": {"type": "string", "format": "date-time"},
        "sentAt": {"type": "string", "format": "date-time"},
        "writeKey": {"type": "string", "description": "Instead of the Authorization header, where none can be sent."},
    },
}
BATCH: dict[str, Any] = {
    "type": "object",
    "required": ["batch"],
    "properties": {
        "batch": {"type": "array", "items": {"$ref": "#/components/schemas/Message"}},
        "context": {"type": "object", "description": "Kept with each message."},
        "integrations": {"type": "object"},
        "sentAt": {"type": "string", "format": "date-time"},
        "writeKey": TEXT,
    },
}
ACCEPTED: dict[str, Any] = {
    "type": "object",
    "description": "The messages are on disk. errors: messages of a batch that were set aside or refused, up to 100 named.",
    "properties": {
        "success": {"type": "boolean"},
        "receipt_id": TEXT,
        "accepted": {"type": "integer"},
        "refused": {"type": "integer"},
        "errors": {
            "type": "array",
            "items": {"type": "object", "properties": {"index": {"type": "integer"}, "code": TEXT}},
        },
    },
}
WEBHOOK: dict[str, Any] = {
    "summary": "Events of an e-mail vendor, signed as the vendor does; see `c360 collector webhooks --help`.",
    "security": [],
    "parameters": [{"name": name, "in": "path", "required": True, "schema": TEXT} for name in ("vendor", "source")],
    "responses": {"200": {"description": "On disk."}, "401": {"description": "Not signed, or too long ago."}},
}


def document(settings: Settings) -> dict[str, Any]:
    """OpenAPI 3.1, with the limits of these settings."""
    paths: dict[str, Any] = {f"/v1/{name}": {"post": _post(text, "Message")} for name, text in TYPES.items()}
    paths["/v1/batch"] = {"post": _post("Several messages at once.", "Batch")}
    paths["/v1/import"] = {"post": _post("Several messages from the past. Server keys only.", "Batch")}
    paths["/v1/webhooks/{vendor}/{source}"] = {"post": WEBHOOK}
    for path, text in (
        ("/health", "Whether messages can be taken: 200 or 503."),
        ("/metrics", "Counts per source, endpoint and code, for Prometheus."),
        ("/c360.js", "The script for web pages."),
    ):
        paths[path] = {"get": {"summary": text, "responses": {"200": {"description": "OK"}}}}
    return {
        "openapi": "3.1.0",
        "info": {"title": "c360 collector", "version": "1", "description": _description(settings)},
        "security": [{"writeKey": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "writeKey": {"type": "http", "scheme": "basic", "description": "The key, no password."}
            },
            "schemas": {"Message": MESSAGE, "Batch": BATCH, "Accepted": ACCEPTED, "Error": _error_schema()},
        },
    }


def _description(settings: Settings) -> str:
    return (
        "The Segment HTTP API. 200 means that the messages are on disk; 503 and 429 mean send again after Retry-After. "
        f"Limits: body {settings.collector_body_bytes} bytes, {settings.collector_inflated_bytes} after gunzip, "
        f"{settings.collector_batch_messages} messages a batch, depth {settings.collector_depth}, "
        f"{settings.collector_read_seconds:g} seconds to arrive. Short forms: /v1/t, /v1/i, /v1/p, /v1/s, /v1/g, /v1/a, /v1/b."
    )


def _error_schema() -> dict[str, Any]:
    codes = {str(code): text for code, text in MESSAGES.items()}
    return {
        "type": "object",
        "description": " · ".join(f"{code}: {text}" for code, text in codes.items()),
        "properties": {"code": {"type": "string", "enum": list(codes)}, "receipt_id": TEXT, "message": TEXT},
    }


def _post(summary: str, schema: str) -> dict[str, Any]:
    def body(name: str) -> dict[str, Any]:
        return {"application/json": {"schema": {"$ref": f"#/components/schemas/{name}"}}}

    responses: dict[str, Any] = {"200": {"description": "On disk.", "content": body("Accepted")}}
    for status in sorted({400, *STATUS.values()} - {404, 405, 500}):
        responses[str(status)] = {"description": "See the code.", "content": body("Error")}
    return {
        "summary": summary,
        "requestBody": {"required": True, "content": body(schema)},
        "responses": responses,
    }


def page(found: dict[str, Any]) -> str:
    """The document for people."""
    rows = "".join(
        f"<tr><td><code>{escape(method.upper())} {escape(path)}</code></td><td>{escape(operation['summary'])}</td></tr>"
        for path, methods in found["paths"].items()
        for method, operation in methods.items()
    )
    codes = "".join(
        f"<tr><td><code>{escape(code)}</code></td><td>{STATUS.get(code, 400)}</td><td>{escape(text)}</td></tr>"
        for code, text in MESSAGES.items()
    )
    fields = "".join(
        f"<tr><td><code>{escape(name)}</code></td><td>{escape(shape['type'])}</td>"
        f"<td>{escape(shape.get('description', ''))}</td></tr>"
        for name, shape in MESSAGE["properties"].items()
    )
    return (
        "<!doctype html><html lang=en><meta charset=utf-8><title>c360 collector</title>"
        "<style>body{font:16px/1.5 system-ui;max-width:60rem;margin:2rem auto;padding:0 1rem}"
        "td{padding:.2rem .8rem .2rem 0;vertical-align:top}</style>"
        f"<h1>{escape(found['info']['title'])}</h1><p>{escape(found['info']['description'])}</p>"
        '<p>Machine-readable: <a href="openapi.json">openapi.json</a>. A write key is the user of Basic authentication,'
        " with an empty password, or <code>writeKey</code> in the body.</p>"
        f"<h2>Endpoints</h2><table>{rows}</table><h2>A message</h2><table>{fields}</table>"
        f"<h2>Codes</h2><table>{codes}</table>"
    )
