"""A CRM on loopback that answers like HubSpot's contact search and like plainer lists; faults and edits on demand."""

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

TOKEN = "pat-test-7f3a"
BEGIN = datetime(2017, 6, 1, tzinfo=UTC)
MS = timedelta(milliseconds=1)


def stamp(at: datetime) -> str:
    """As HubSpot writes times: without milliseconds when they are zero."""
    text = at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return text.replace(".000Z", "Z")


@dataclass
class Fault:
    """An answer in place of the right one. `cut` promises more bytes than it sends."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b"{}"
    cut: bool = False


class Crm:
    """Contacts by id. `faults` are answered first, one per request; `before` runs ahead of each right answer."""

    def __init__(self, *, search_limit: int = 10_000) -> None:
        self.contacts: dict[int, dict[str, Any]] = {}
        self.faults: list[Fault] = []
        self.requests: list[dict[str, Any]] = []
        self.before: Callable[[int], None] = lambda number: None
        self.search_limit = search_limit
        self._lock = threading.RLock()
        crm = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                crm.answer(self, None)

            def do_POST(self) -> None:
                crm.answer(self, self.rfile.read(int(self.headers.get("Content-Length", 0))))

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def put(self, number: int, at: datetime, **properties: Any) -> None:
        """Makes or changes a contact."""
        with self._lock:
            known = self.contacts.get(number, {"createdate": stamp(at)})
            email = f"person{number}@example.com"
            self.contacts[number] = {"email": email} | known | properties | {"at": at, "lastmodifieddate": stamp(at)}

    def fill(self, count: int, *, first: int = 1, at: datetime = BEGIN, step: timedelta = timedelta(seconds=1)) -> None:
        for place in range(count):
            self.put(first + place, at + place * step)

    # -- answering ---------------------------------------------------------------------------------------------------

    def answer(self, request: Any, body: bytes | None) -> None:
        with self._lock:
            parts = urlsplit(request.path)
            query = {name: values[0] for name, values in parse_qs(parts.query).items()}
            sent = json.loads(body) if body and request.headers.get("Content-Type") == "application/json" else None
            self.requests.append(
                {"path": parts.path, "query": query, "body": sent, "raw": body, "headers": dict(request.headers)}
            )
            fault = self.faults.pop(0) if self.faults else None
            if fault is None:
                self.before(len(self.requests))
                fault = self._right(parts.path, query, sent, request.headers)
        request.send_response(fault.status)
        for name, value in {"Content-Type": "application/json", **fault.headers}.items():
            request.send_header(name, value)
        request.send_header("Content-Length", str(len(fault.body) + (100 if fault.cut else 0)))
        request.end_headers()
        request.wfile.write(fault.body)
        if fault.cut:
            request.close_connection = True
            request.connection.close()

    def _right(self, path: str, query: dict[str, str], body: Any, headers: Any) -> Fault:
        if path == "/token":
            return _json({"access_token": TOKEN, "expires_in": 3600, "token_type": "Bearer"})
        if TOKEN not in headers.get("Authorization", "") + headers.get("X-Api-Key", ""):
            return Fault(401)
        if path == "/crm/v3/objects/contacts/search":
            return self._search(body)
        return self._list(path, query)

    def _search(self, body: Any) -> Fault:
        after, limit = int(body.get("after", 0)), body["limit"]
        if after + limit > self.search_limit:
            return Fault(400)
        found = [n for n, c in self.contacts.items() if all(_fits(n, c, f) for f in body["filterGroups"][0]["filters"])]
        name = body["sorts"][0]["propertyName"]
        found.sort(key=lambda n: (n,) if name == "hs_object_id" else (self.contacts[n]["at"], n))
        page = found[after : after + limit]
        paging = {"paging": {"next": {"after": str(after + limit)}}} if after + limit < len(found) else {}
        return _json({"total": len(found), "results": [self.shown(n) for n in page]} | paging)

    def shown(self, number: int) -> dict[str, Any]:
        contact = self.contacts[number]
        properties = {name: value for name, value in contact.items() if name != "at"} | {"hs_object_id": str(number)}
        return {"id": str(number), "properties": properties, "archived": False}

    def _list(self, path: str, query: dict[str, str]) -> Fault:
        """/people: pages by number, rows in no order of time; /people/links: the next page as a URL."""
        since = datetime.fromisoformat(query.get("since", "1970-01-01T00:00:00Z"))
        rows = [self.plain(n) for n in sorted(self.contacts) if self.contacts[n]["at"] >= since]
        size, page = int(query.get("size", 10)), int(query.get("page", 1))
        shown = rows[(page - 1) * size : page * size]
        last = page * size >= len(rows)
        if path == "/people/links":
            following = None if last else f"{self.url}{path}?page={page + 1}&size={size}"
            return _json({"items": shown, "next": following})
        return _json({"items": shown, "total_pages": -(-len(rows) // size)})

    def plain(self, number: int) -> dict[str, Any]:
        contact = self.contacts[number]
        return {
            "id": number,
            "mail": contact["email"],
            "changed": stamp(contact["at"]),
            "spent": contact.get("spent", 0),
            "name": contact.get("firstname"),
        }


def _json(value: Any) -> Fault:
    return Fault(200, body=json.dumps(value).encode())


def _fits(number: int, contact: dict[str, Any], rule: dict[str, str]) -> bool:
    value = (
        number if rule["propertyName"] == "hs_object_id" else (contact["at"] - datetime(1970, 1, 1, tzinfo=UTC)) // MS
    )
    wanted = int(rule["value"])
    return {"GTE": value >= wanted, "GT": value > wanted, "EQ": value == wanted}[rule["operator"]]
