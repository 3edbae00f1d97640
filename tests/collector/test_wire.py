"""The connection itself: slow, endless and ambiguous requests over raw sockets, limits on rates and sizes, and pages."""

import json
import re
import socket
import time
from base64 import b64encode
from contextlib import ExitStack, suppress
from typing import Any

import pytest
from doorkit import Door, Speaker, event, hear, wait_until

from jobs.ingest.collector.app import SNIPPET


def head(speaker: Speaker, *lines: str, path: str = "/v1/track") -> bytes:
    """A request head with the server key and these further lines."""
    key = b64encode(f"{speaker.key}:".encode()).decode()
    start = [f"POST {path} HTTP/1.1", "Host: c360", f"Authorization: Basic {key}"]
    return "\r\n".join([*start, *lines, "", ""]).encode()


BODY = json.dumps(event()).encode()


# ---- 6A 12: requests that could be read in two ways


AMBIGUOUS: dict[str, tuple[list[str], bytes]] = {
    "both lengths": ([f"Content-Length: {len(BODY)}", "Transfer-Encoding: chunked"], b"0\r\n\r\n"),
    "both lengths, other order": (["Transfer-Encoding: chunked", "Content-Length: 5"], b"0\r\n\r\n"),
    "two different lengths": (["Content-Length: 5", "Content-Length: 6"], b"hello!"),
    "two lengths in one": (["Content-Length: 5, 6"], b"hello!"),
    "negative length": (["Content-Length: -5"], b""),
    "signed length": (["Content-Length: +5"], b"hello"),
    "hexadecimal length": (["Content-Length: 0x5"], b"hello"),
    "length of 30 digits": ([f"Content-Length: {'9' * 30}"], b""),
    "chunked and identity": (["Transfer-Encoding: chunked, identity"], b"0\r\n\r\n"),
    "unknown transfer coding": (["Transfer-Encoding: xchunked"], b"0\r\n\r\n"),
    "bad chunk size": (["Transfer-Encoding: chunked"], b"zz\r\nhello\r\n0\r\n\r\n"),
    "negative chunk size": (["Transfer-Encoding: chunked"], b"-1\r\nhello\r\n0\r\n\r\n"),
    "endless chunk size": (["Transfer-Encoding: chunked"], b"f" * 40 + b"\r\nhello"),
    "chunk longer than said": (["Transfer-Encoding: chunked"], b"1\r\nhello\r\n0\r\n\r\n"),
    "space before the colon": (["Content-Length : 5"], b"hello"),
    "folded header": (["X-A: b\r\n c: d", "Content-Length: 5"], b"hello"),
    "NUL in a header": (["X-A: b\x00c", "Content-Length: 5"], b"hello"),
    "bare CR in a header": (["X-A: b\rContent-Length: 3", "Content-Length: 5"], b"hello"),
}


@pytest.mark.parametrize("case", AMBIGUOUS)
def test_12_an_ambiguous_request_is_refused_and_the_connection_closed(door: Door, case: str) -> None:
    lines, body = AMBIGUOUS[case]
    door.new()
    second = head(door, f"Content-Length: {len(BODY)}") + BODY
    heard = door.speak(head(door, *lines) + body + second, wait=2)
    assert heard.startswith(b"HTTP/1.1 400 "), heard
    assert heard.count(b"HTTP/1.1 ") == 1  # nothing that followed was taken for a request
    found = json.loads(heard.partition(b"\r\n\r\n")[2])
    assert found["code"] in ("bad_request", "malformed_json")
    assert b"connection: close" in heard.lower()
    assert door.new() == []


@pytest.mark.parametrize(
    "raw",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET\r\n\r\n",
        b"POST /v1/track HTTP/9.9\r\n\r\n",
        b"POST /v1/track\xff HTTP/1.1\r\nHost: a\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"CONNECT example.com:443 HTTP/1.1\r\n\r\n",
        b"POST http://[::1 HTTP/1.1\r\nHost: a\r\n\r\n",
    ],
)
def test_12_what_is_no_http_is_refused(door: Door, raw: bytes) -> None:
    heard = door.speak(raw, wait=2)
    assert heard == b"" or re.match(rb"HTTP/1.1 4\d\d ", heard), heard
    assert door.post("/v1/track", event()).status == 200


def test_12_a_length_that_is_too_short_leaves_no_second_request(door: Door) -> None:
    door.new()
    heard = door.speak(head(door, "Content-Length: 2") + b"{}" + b"GARBAGE\r\n\r\n", wait=2)
    assert set(re.findall(rb"HTTP/1.1 (\d+)", heard)) == {b"400"}
    assert door.new() == []


# ---- 6A 11: slow senders


def test_11_slow_senders_are_cut_off_and_others_do_not_feel_it(open_door: Any) -> None:
    door = open_door(collector_read_seconds=1.0)
    beginnings = {
        "says nothing": b"",
        "half a line": b"POST /v1/tr",
        "no end of the head": head(door)[:-2],
        "no body": head(door, "Content-Length: 10"),
        "half a body": head(door, "Content-Length: 10") + b'{"a"',
        "no end of the chunks": head(door, "Transfer-Encoding: chunked") + b"1\r\n{\r\n",
        "only line ends": b"\r\n\r\n",
        "a request, then only line ends": head(door, f"Content-Length: {len(BODY)}") + BODY,
    }
    with ExitStack() as stack:
        began = time.monotonic()
        idle = [stack.enter_context(socket.create_connection(("127.0.0.1", door.port))) for _ in range(300)]
        slow = {name: stack.enter_context(socket.create_connection(("127.0.0.1", door.port))) for name in beginnings}
        for name, raw in beginnings.items():
            slow[name].sendall(raw)
        times = []
        while time.monotonic() < began + 0.8:
            for name in ("only line ends", "a request, then only line ends"):
                slow[name].sendall(b"\r\n")
            sent = time.perf_counter()
            assert door.post("/v1/track", event()).status == 200
            times.append(time.perf_counter() - sent)
        for name, connection in slow.items():
            connection.settimeout(3)
            heard = hear(connection, must_end=True)
            assert heard == b"" or b" 408 " in heard or name.startswith("a request"), (name, heard)
        assert time.monotonic() - began < 10
        assert all(hear(connection, must_end=True) == b"" for connection in idle)
        assert sorted(times)[len(times) // 2] < 0.5


def test_11_drops_do_not_extend_the_time(open_door: Any) -> None:
    door = open_door(collector_read_seconds=1.0)
    with socket.create_connection(("127.0.0.1", door.port)) as connection:
        connection.sendall(head(door, "Content-Length: 100000"))
        began = time.monotonic()
        with suppress(OSError):  # reset, or broken pipe
            while time.monotonic() < began + 5:
                connection.sendall(b" ")
                time.sleep(0.05)
        assert 0.5 < time.monotonic() - began < 4.5


def test_11_a_head_without_end(open_door: Any) -> None:
    door = open_door()
    for raw in (
        head(door)[:-2] + b"X-A: " + b"a" * 70_000 + b"\r\n\r\n",
        head(door)[:-2] + b"X-A: " + b"a" * 400_000,
        b"POST /" + b"a" * 400_000,
        head(door)[:-2] + b"".join(b"X-%d: a\r\n" % i for i in range(50_000)),
    ):
        heard = door.speak(raw, wait=5)
        assert heard == b"" or b" 431 " in heard.split(b"\r\n")[0]
    counted = 'code="header_limit",endpoint="connection",source="",status="431"} 4.0'
    assert counted in door.request("GET", "/metrics").raw.decode()


def test_11_a_connection_too_many(open_door: Any) -> None:
    door = open_door(collector_connections=5)
    with ExitStack() as stack:
        held = [stack.enter_context(socket.create_connection(("127.0.0.1", door.port))) for _ in range(5)]
        time.sleep(0.1)
        heard = door.speak(b"GET /health HTTP/1.1\r\n\r\n", wait=2)
        assert b" 503 " in heard
        assert b"retry-after" in heard.lower()
        assert len(held) == 5
    time.sleep(0.1)
    assert door.post("/v1/track", event()).status == 200


# ---- connections that last


def test_many_requests_on_one_connection(door: Door) -> None:
    door.new()
    request = head(door, f"Content-Length: {len(BODY)}") + BODY
    last = head(door, f"Content-Length: {len(BODY)}", "Connection: close") + BODY
    heard = door.speak(request * 49 + last)
    assert heard.count(b'"accepted":1') == 50
    assert len(door.new()) == 50


def test_a_refused_body_does_not_disturb_the_next_request(door: Door) -> None:
    door.new()
    large = b"x" * 600_000
    first = head(door, f"Content-Length: {len(large)}") + large
    second = head(door, f"Content-Length: {len(BODY)}", "Connection: close") + BODY
    heard = door.speak(first + second)
    assert re.findall(rb"HTTP/1.1 (\d+)", heard) == [b"413", b"200"]
    assert len(door.new()) == 1


def test_chunks_are_a_body(door: Door) -> None:
    chunks = b"".join(b"1\r\n%c\r\n" % byte for byte in BODY) + b"0\r\n\r\n"
    door.new()
    assert b" 200 " in door.speak(head(door, "Transfer-Encoding: chunked", "Connection: close") + chunks)
    assert door.payloads() == [BODY.decode()]


def test_the_sender_is_told_to_continue_and_not_when_refused(door: Door) -> None:
    expecting = head(door, f"Content-Length: {len(BODY)}", "Expect: 100-continue")
    assert door.speak(expecting + BODY, wait=1).startswith(b"HTTP/1.1 100 Continue")
    refused = expecting.replace(b"Basic ", b"Basic x")
    heard = door.speak(refused, wait=2)
    assert heard.startswith(b"HTTP/1.1 401")
    assert b"connection: close" in heard.lower()


# ---- sizes and rates


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_above_the_limit(door: Door, chunked: bool) -> None:
    large = b'{"event":"' + b"x" * 600_000 + b'"}'
    framed = b"%x\r\n%b\r\n0\r\n\r\n" % (len(large), large)
    line = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {len(large)}"
    heard = door.speak(head(door, line, "Connection: close") + (framed if chunked else large))
    assert b" 413 " in heard
    assert b'"code":"body_limit"' in heard


def test_a_huge_length_is_refused_unread(door: Door) -> None:
    heard = door.speak(head(door, f"Content-Length: {10 << 30}"), wait=2)
    assert b" 413 " in heard
    assert b"connection: close" in heard.lower()


def test_slow_bodies_do_not_fill_the_memory(open_door: Any) -> None:
    door = open_door(collector_queue_bytes=1 << 20, collector_read_seconds=3.0)
    with ExitStack() as stack:
        for _ in range(4):  # 400,000 bytes each, and never an end
            slow = stack.enter_context(socket.create_connection(("127.0.0.1", door.port)))
            slow.sendall(head(door, "Content-Length: 500000") + b" " * 400_000)
        wait_until(lambda: b'code="unavailable"' in door.request("GET", "/metrics").raw, seconds=2.5)
        assert door.post("/v1/track", event()).status == 200  # what arrives whole needs no room
    wait_until(lambda: door.speak(head(door, "Content-Length: 500000") + b" " * 499_999 + b"1", wait=1) != b"")


def test_rates_per_key_and_per_address(open_door: Any) -> None:
    door = open_door(collector_key_rate=5.0)
    statuses = [door.post("/v1/track", event(i)).status for i in range(14)]
    assert statuses[:10] == [200] * 10
    assert 429 in statuses[10:]
    answer = door.post("/v1/batch", {"batch": [event(i) for i in range(9)]})
    assert (answer.status, answer.code) == (429, "rate_limited")
    assert int(answer.headers["retry-after"]) >= 1
    assert door.post("/v1/track", event(), key=door.browser_key).status == 200  # another key has its own
    other = open_door(collector_ip_rate=5.0)
    assert 429 in [other.post("/v1/track", event(), key="wrong").status for _ in range(14)]


# ---- what is noted, and what is not


def test_address_and_browser_are_reduced(door: Door) -> None:
    agent = (
        "Mozilla/5.0 (Linux; Android 13; SM-G991B) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.6099.144 Mobile"
    )
    door.new()
    assert door.post("/v1/track", event(), headers={"user-agent": agent}).status == 200
    receipt = door.newest().receipt
    assert receipt["ip"] == "127.0.0.0/24"
    assert receipt["user_agent"] == "Mozilla/5 AppleWebKit/537 Chrome/120"


def test_a_proxy_is_believed_only_if_named(open_door: Any) -> None:
    forwarded = {"x-forwarded-for": "203.0.113.77"}
    for proxies, expected in (("", "127.0.0.0/24"), ("127.0.0.1", "203.0.113.0/24"), ("10.9.9.9", "127.0.0.0/24")):
        door = open_door(collector_trusted_proxies=proxies)
        assert door.post("/v1/track", event(), headers=forwarded).status == 200
        assert door.newest().receipt["ip"] == expected


def test_nothing_personal_in_metrics_log_and_errors(open_door: Any, caplog: pytest.LogCaptureFixture) -> None:
    door = open_door()
    secret = "ann.secret@example.com"
    bodies = [
        event(userId=secret, event=secret),
        {"batch": [event(type=secret, event=secret)]},
        f'{{"{secret}":'.encode(),
        f'{{"batch":[{{"a":"{secret}"}}],"context":NaN,"writeKey":"{secret}"}}'.encode(),
    ]
    for path in ("/v1/track", "/v1/batch", f"/v1/{secret}", "/v1/alias"):
        for body in bodies:
            for key in (door.key, door.browser_key, secret):
                answer = door.post(path, body, key=key, headers={"user-agent": secret})
                assert secret.encode() not in answer.raw
    shown = door.request("GET", "/metrics").raw.decode() + caplog.text
    assert secret not in shown
    assert door.key not in shown
    assert "127.0.0" not in shown


# ---- pages


def test_only_post(door: Door) -> None:
    for method in ("GET", "PUT", "DELETE", "HEAD", "PATCH"):
        connection = door.speak(f"{method} /v1/track HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode(), wait=3)
        assert b" 405 " in connection.split(b"\r\n")[0]
        assert b"allow: post" in connection.lower()
    assert door.request("POST", "/health").code == "method_not_allowed"
    assert door.request("GET", "/v1/nothing").code == "not_found"
    assert door.request("POST", "/v1/track/").code == "not_found"


@pytest.mark.parametrize("short", ["t", "i", "p", "s", "g", "a", "b"])
def test_short_forms_of_the_browser_library(door: Door, short: str) -> None:
    body = {"batch": [event()]} if short == "b" else {"anonymousId": "a", "userId": "u"}
    door.new()
    assert door.post(f"/v1/{short}", body).status == 200
    expected = {"t": "track", "i": "identify", "p": "page", "s": "screen", "g": "group", "a": "alias", "b": None}
    assert door.newest().endpoint == expected[short]


def test_health_and_metrics(door: Door) -> None:
    assert door.request("GET", "/health").json == {"status": "ok"}
    door.post("/v1/track", event())
    text = door.request("GET", "/metrics").raw.decode()
    assert re.search(r'c360_collector_messages_total\{code="ok",endpoint="track",source="sim_web"\} [1-9]', text)
    assert "c360_collector_durable_seconds_count" in text
    assert "c360_collector_sink_healthy 1.0" in text


def test_the_documents_need_no_other_site(door: Door) -> None:
    document = door.request("GET", "/openapi.json").json
    assert document["openapi"].startswith("3.")
    assert {
        f"/v1/{name}" for name in ("track", "identify", "page", "screen", "group", "alias", "batch", "import")
    } <= set(document["paths"])
    page = door.request("GET", "/docs")
    assert not re.findall(r"(?:src|href)=[\"']?(?:https?:)?//", page.raw.decode())
    assert b"<script" not in page.raw
    assert page.headers["content-security-policy"].startswith("default-src 'none'")


@pytest.mark.parametrize("code", ["empty", "too_deep", "inflate_limit", "not_allowed_for_key", "unavailable"])
def test_the_codes_are_documented(door: Door, code: str) -> None:
    assert (
        code
        in door.request("GET", "/openapi.json").json["components"]["schemas"]["Error"]["properties"]["code"]["enum"]
    )
    assert code.encode() in door.request("GET", "/docs").raw


def test_the_script_for_pages(door: Door) -> None:
    answer = door.request("GET", "/c360.js")
    assert answer.raw == SNIPPET.read_bytes()
    assert answer.headers["content-type"].startswith("text/javascript")
    assert answer.headers["access-control-allow-origin"] == "*"
    assert "max-age" in answer.headers["cache-control"]
    again = door.request("GET", "/c360.js", headers={"if-none-match": answer.headers["etag"]})
    assert (again.status, again.raw) == (304, b"")
