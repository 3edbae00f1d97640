"""P2: whatever is posted, nothing crashes, no answer is a 5xx, every refusal has a code, and every byte is accounted for.

300 payloads here; `pytest tests/collector/test_fuzz.py --payloads 10000` sends more. Hypothesis prints the shortest
payload that fails, and how to send it again.
"""

import gzip
import http.client
import json
from base64 import b64encode
from collections import Counter
from typing import Any

import click
import pytest
from doorkit import Door, event
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jobs.ingest.collector.replies import Code
from jobs.ingest.landing.log import Received
from jobs.ingest.reasons import Reason

CODES = {str(code) for code in (*Reason, *Code)}
KEPT_ANYWAY = {str(reason) for reason in Reason} - {"empty"}
PATHS = [
    f"/v1/{name}" for name in ("track", "identify", "page", "screen", "group", "alias", "batch", "import", "t", "b")
]
NASTY = [
    b"NaN", b"Infinity", b"-Infinity", b"1e400", b"9" * 400, b"-0", b'"\\ud800"', b'"\\u0000"', b'"\x00"', b"\xed\xa0\x80",
    b"\xc0\xaf", b"\xef\xbb\xbf", b"\xff\xfe", b'"__proto__"', b"{}", b"[]", b"null", b"[" * 50, b"]" * 50, b'{"a":' * 50,
    b'"', b"\\", b",", b":", b"\r\n", b"\x85", b"\xe2\x80\xa8", b"{{7*7}}", b"${jndi:ldap://x}", b'"batch"', b'"writeKey"',
    b'"type":"alias"', b'"context":{"consent":true}', b"'", b"/*", b"\x1f\x8b\x08",
]  # fmt: skip

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
SCALARS = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), TEXT)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4), max_leaves=8
)
FIELDS = [
    "type",
    "event",
    "userId",
    "anonymousId",
    "messageId",
    "timestamp",
    "context",
    "properties",
    "traits",
    "batch",
    "writeKey",
]
MESSAGES = st.dictionaries(st.sampled_from(FIELDS) | TEXT, VALUES, max_size=6).map(lambda found: event() | found)


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A good message or batch with something cut out, or something nasty put in."""
    good = draw(MESSAGES)
    raw = json.dumps(draw(st.sampled_from([good, {"batch": [event(1), good, event(2)], "context": {}}]))).encode()
    for _ in range(draw(st.integers(1, 3))):
        at, length = draw(st.integers(0, len(raw))), draw(st.integers(0, 8))
        raw = raw[:at] + draw(st.sampled_from([b"", *NASTY]) | st.binary(max_size=4)) + raw[at + length :]
    return raw


BODIES = st.one_of(
    st.binary(max_size=200),
    VALUES.map(lambda value: json.dumps(value).encode()),
    MESSAGES.map(lambda value: json.dumps(value).encode()),
    st.lists(VALUES, max_size=5).map(lambda found: json.dumps({"batch": found}).encode()),
    st.lists(st.sampled_from(NASTY), max_size=6).map(b"".join),
    damaged(),
)
HEADERS = st.fixed_dictionaries(
    {},
    optional={
        "content-encoding": st.sampled_from(["gzip", "identity", "br", "gzip, gzip", ""]),
        "content-type": st.sampled_from(["application/json", "text/plain", "application/json; charset=utf-16", "x"]),
        "user-agent": st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=60),
        "sec-gpc": st.sampled_from(["1", "0", "yes"]),
    },
)


class Sender:
    """Sends on one connection that lasts, and checks the answer against what came into the log."""

    def __init__(self, door: Door) -> None:
        self.door = door
        self.connection = http.client.HTTPConnection("127.0.0.1", door.port, timeout=20)
        self.seen: Counter[str] = Counter()

    def send(self, path: str, body: bytes, headers: dict[str, str], *, is_browser: bool) -> None:
        """One payload; raises AssertionError when a promise is broken."""
        key = self.door.browser_key if is_browser else self.door.key
        headers = headers | {"authorization": "Basic " + b64encode(f"{key}:".encode()).decode()}
        self.connection.request("POST", path, body, headers)
        answer = self.connection.getresponse()
        found: dict[str, Any] = json.loads(answer.read())
        arrived = self.door.new()
        assert all(isinstance(item, Received) for item in arrived)
        errors = [item.error for item in arrived if isinstance(item, Received)]
        if answer.status == 200:
            assert found["accepted"] == errors.count(None) > 0
            refused = [item["code"] for item in found.get("errors", [])]
            assert set(refused) <= CODES
            assert sorted(filter(None, errors)) == sorted(code for code in refused if code in KEPT_ANYWAY)
        else:
            assert 400 <= answer.status < 500, answer.status
            assert found["code"] in CODES
            assert len(found["receipt_id"]) == 32
            assert None not in errors
            assert bool(errors) == (found["code"] in KEPT_ANYWAY)
        self.seen[found.get("code", "ok")] += 1


def test_any_payload_is_placed(door: Door, request: pytest.FixtureRequest) -> None:
    payloads = request.config.getoption("--payloads", default=300)
    sender = Sender(door)

    @settings(max_examples=payloads, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(st.sampled_from(PATHS), BODIES, HEADERS, st.booleans(), st.booleans())
    def send(path: str, body: bytes, headers: dict[str, str], is_browser: bool, zip_it: bool) -> None:
        if zip_it and headers.get("content-encoding") == "gzip":
            body = gzip.compress(body)
        if is_browser:
            headers["origin"] = "http://localhost:3000"
        sender.send(path, body, headers, is_browser=is_browser)

    door.new()
    send()
    click.echo(f"{sender.seen.total():,} payloads: {dict(sender.seen.most_common())}")
    assert sender.seen.total() >= payloads
    assert len(sender.seen) > 5
    assert sender.seen["ok"] > payloads / 20
    assert door.post("/v1/track", event()).status == 200
