"""List 6A of the nastiest inputs, as far as the door decides: what is refused, with which code, and that all else is kept
exactly as it was sent. What a message says is judged by the stream; its tests are in tests/spark."""

import gzip
import json
import resource
import time
import zlib
from base64 import b64decode
from typing import Any

import pytest
from doorkit import Door, event

from jobs.ingest.landing.log import Received

DEEP = b"[" * 100_000 + b"]" * 100_000


def kept(door: Door, body: bytes, path: str = "/v1/track", status: int = 200) -> Received:
    """Sends a body that must be kept; returns what is in the log of it."""
    door.new()
    answer = door.post(path, body)
    assert answer.status == status, answer.raw
    return door.newest()


# ---- 1 empty bodies


@pytest.mark.parametrize("body", [b"null", b"[]", b"{}", b'""', b"0", b"", b"  \r\n\t ", b"{ }", b'{"batch": []}'])
@pytest.mark.parametrize("path", ["/v1/track", "/v1/batch"])
def test_1_an_empty_body_is_counted_and_not_kept(door: Door, body: bytes, path: str) -> None:
    if path == "/v1/track" and b"batch" in body:
        body = b""
    door.new()
    answer = door.post(path, body)
    assert (answer.status, answer.code) == (400, "empty")
    assert door.new() == []
    assert b'code="empty"' in door.request("GET", "/metrics").raw


# ---- 2 compressed bombs


def bomb_of(megabytes: int) -> bytes:
    """Made piece by piece: this process must not have held it inflated before."""
    stream = zlib.compressobj(wbits=31)
    return b"".join([*(stream.compress(b" " * 2**20) for _ in range(megabytes)), stream.flush()])


@pytest.mark.parametrize("megabytes", [6, 300])
def test_2_a_gzip_bomb_is_stopped(door: Door, megabytes: int) -> None:
    bomb = bomb_of(megabytes)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    answer = door.post("/v1/track", bomb, headers={"content-encoding": "gzip"})
    assert (answer.status, answer.code) == (413, "inflate_limit")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 * 1024


@pytest.mark.parametrize("encoding", ["gzip, gzip", "br", "deflate", "gzip, identity, gzip", "zstd"])
def test_2_other_or_several_encodings_are_refused(door: Door, encoding: str) -> None:
    answer = door.post("/v1/track", gzip.compress(b"{}"), headers={"content-encoding": encoding})
    assert (answer.status, answer.code) == (415, "unsupported_encoding")


def test_2_nested_gzip_is_kept_as_bytes(door: Door) -> None:
    inner = gzip.compress(json.dumps(event()).encode())
    door.new()
    answer = door.post("/v1/track", inner, zipped=True)
    assert (answer.status, answer.code) == (400, "invalid_encoding")
    found = door.newest()
    assert b64decode(found.payload.removeprefix("base64:")) == inner


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (gzip.compress(b'{"event":"x"}')[:-9], "truncated"),
        (b"no gzip at all", "wrong_format"),
        (gzip.compress(b"{}") + b"more", "wrong_format"),
        (gzip.compress(b'{"a":1}') + gzip.compress(b'{"b":1}'), "wrong_format"),
    ],
)
def test_2_damaged_gzip_is_kept_as_it_came(door: Door, body: bytes, code: str) -> None:
    door.new()
    answer = door.post("/v1/track", body, headers={"content-encoding": "gzip"})
    assert (answer.status, answer.code) == (400, code)
    found = door.newest()
    text = found.payload
    assert found.error == code
    assert (b64decode(text.removeprefix("base64:")) if text.startswith("base64:") else text.encode()) == body


# ---- 3 depth


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/track", b'{"a":' + DEEP + b"}"),
        ("/v1/batch", b'{"a":' + DEEP + b"}"),
        ("/v1/track", DEEP),
        ("/v1/batch", DEEP),
        ("/v1/track", b"[" * 400_000),
        ("/v1/track", b'{"a":' * 80_000),
        ("/v1/track", b'{"a":' + b"[" * 40 + b"]" * 40 + b"}"),
    ],
)
def test_3_depth_costs_little(door: Door, path: str, body: bytes) -> None:
    door.new()
    before = time.process_time()
    answer = door.post(path, body)
    assert time.process_time() - before < 0.05 + 0.05  # client and server share this process
    assert (answer.status, answer.code) == (400, "too_deep")
    assert door.newest().payload == body.decode()


def test_3_a_megabyte_of_brackets_in_gzip(door: Door) -> None:
    answer = door.post("/v1/batch", b"[" * 1_000_000, zipped=True)
    assert (answer.status, answer.code) == (400, "too_deep")


def test_3_depth_32_passes(door: Door) -> None:
    kept(door, b'{"a":' + b"[" * 31 + b"]" * 31 + b"}")


def test_3_a_deep_message_leaves_the_batch_unharmed(door: Door) -> None:
    door.new()
    answer = door.post("/v1/batch", b'{"batch":[{"a":' + DEEP + b'},{"event":"x"}]}')
    assert answer.json["accepted"] == 1
    assert answer.json["errors"] == [{"index": 0, "code": "too_deep"}]
    assert [item.error for item in door.new()] == ["too_deep", None]


# ---- 4, 5, 7, 8, 15, 17, 18, 19: judged by the stream; the door keeps every character


AS_SENT: dict[str, str] = {
    "4 duplicate keys": '{"userId":"a","userId":"b","context":{"consent":{"x":1,"x":2}}}',
    "5 NaN": '{"event":"x","v":NaN,"w":-Infinity}',
    "5 numbers": '{"event":"x","v":1e400,"w":-0,"n":' + "9" * 400 + "}",
    "5 id beyond 2^53": '{"userId":9007199254740993}',
    "6 lone surrogate, escaped": '{"event":"\\ud800"}',
    "6 escaped NUL": '{"event":"\\u0000"}',
    "7 right-to-left, homoglyph, zero width": '{"traits":{"email":"\u0430nn\u200b@example.com\u202e"}}',
    "8 times": '{"timestamp":"9999-12-31T24:00:60","originalTimestamp":1514764800000000}',
    "15 consent of another shape": '{"context":{"consent":"true"}}',
    "17 keys": '{"properties":{"__proto__":1,"constructor":1,"$where":1,"a.b":1,"a[0]":1}}',
    "17 many keys": '{"properties":{' + ",".join(f'"k{i}":{i}' for i in range(30_000)) + "}}",
    "18 inert text": '{"event":"{{7*7}} ${jndi:ldap://x} \' or 1=1 -- <script> =HYPERLINK(1)"}',
    "19 stop-list ids": '{"userId":"null","anonymousId":"00000000-0000-0000-0000-000000000000"}',
    "white space around": ' \r\n{ "event" : "x" }\n ',
}


@pytest.mark.parametrize("case", AS_SENT)
def test_what_the_stream_judges_is_kept_as_sent(door: Door, case: str) -> None:
    text = AS_SENT[case]
    found = kept(door, text.encode())
    assert (found.payload, found.error, found.endpoint) == (text, None, "track")


@pytest.mark.parametrize("case", AS_SENT)
def test_and_so_it_is_within_a_batch(door: Door, case: str) -> None:
    text = AS_SENT[case].strip()
    door.new()
    answer = door.post("/v1/batch", f'{{"batch":[{{"event":"a"}},{text}, {{"event":"b"}}],"sentAt":"2018"}}'.encode())
    assert (answer.status, answer.json["accepted"]) == (200, 3)
    found = door.new()
    assert [item.payload for item in found] == ['{"event":"a"}', text, '{"event":"b"}']
    assert {item.receipt["sent_at"] for item in found} == {"2018"}


# ---- 6 encodings


BYTES: dict[str, bytes] = {
    "NUL": b'{"event":"a\x00b"}',
    "raw surrogate": b'{"event":"\xed\xa0\x80"}',
    "overlong": b'{"event":"\xc0\xaf"}',
    "byte order mark": b'\xef\xbb\xbf{"event":"x"}',
    "UTF-16": '{"event":"x"}'.encode("utf-16"),
    "UTF-16 without mark": '{"event":"x"}'.encode("utf-16-le"),
    "latin-1": '{"event":"caf\xe9"}'.encode("latin-1"),
}


@pytest.mark.parametrize("case", BYTES)
def test_6_bytes_that_are_no_plain_text_are_kept_as_bytes(door: Door, case: str) -> None:
    found = kept(door, BYTES[case], status=400)
    assert found.error == "invalid_encoding"
    assert b64decode(found.payload.removeprefix("base64:")) == BYTES[case]


@pytest.mark.parametrize("case", ["NUL", "raw surrogate", "overlong", "latin-1"])
def test_6_and_the_rest_of_a_batch_is_unharmed(door: Door, case: str) -> None:
    door.new()
    answer = door.post("/v1/batch", b'{"batch":[{"event":"a"},' + BYTES[case] + b',{"event":"c"}]}')
    assert answer.json["accepted"] == 2
    assert answer.json["errors"] == [{"index": 1, "code": "invalid_encoding"}]
    first, second, third = door.new()
    assert (first.payload, third.payload) == ('{"event":"a"}', '{"event":"c"}')
    assert b64decode(second.payload.removeprefix("base64:")) == BYTES[case]


# ---- 9 the same id


def test_9_the_same_id_twice_is_kept_twice(door: Door) -> None:
    """Which of them counts is decided where all messages of 30 days are known."""
    door.new()
    for body in (event(9), event(9, event="Other")):
        assert door.post("/v1/track", body).status == 200
    assert len(door.new()) == 2


# ---- 10 large batches


@pytest.mark.parametrize("bad", ["NaN", "tru", '"\\ud800"', "01", "{,}", "'x'"])
def test_10_one_bad_message_among_ten_thousand(door: Door, bad: str) -> None:
    texts = [json.dumps(event(i)) for i in range(10_000)]
    texts[7_777] = f'{{"messageId":"m7777","v":{bad}}}'
    door.new()
    answer = door.post("/v1/batch", f'{{"batch":[{",".join(texts)}]}}'.encode(), zipped=True)
    assert answer.status == 200, answer.raw
    found = door.new()
    assert [item.payload for item in found] == texts
    assert answer.json["accepted"] == 10_000  # the stream sets 7,777 aside: the door only takes bodies apart
    receipts = {item.receipt["receipt_id"] for item in found}
    assert len(receipts) == 10_000
    assert all(str(receipt).startswith(answer.json["receipt_id"]) for receipt in receipts)


def test_10_a_batch_above_the_limit_is_refused_whole(door: Door) -> None:
    door.new()
    for element in ("1", "NaN"):
        answer = door.post("/v1/batch", f'{{"batch":[{",".join([element] * 10_001)}]}}'.encode())
        assert (answer.status, answer.code) == (413, "batch_limit")
    assert door.new() == []


def test_10_context_times_messages_is_bounded(door: Door) -> None:
    context = {"page": {"title": "x" * 60_000}}
    answer = door.post("/v1/batch", {"batch": [{}] * 5_000, "context": context})
    assert (answer.status, answer.code) == (413, "batch_limit")
    assert door.post("/v1/batch", {"batch": [{}] * 100, "context": context}).status == 200


# ---- 16 Global Privacy Control


@pytest.mark.parametrize(("header", "expected"), [("1", True), ("0", None), ("true", None)])
def test_16_the_signal_is_noted(door: Door, header: str, expected: Any) -> None:
    door.new()
    body = event(context={"consent": {"categoryPreferences": {"Sharing": True}}})
    assert door.post("/v1/track", body, headers={"Sec-GPC": header}).status == 200
    found = door.newest()
    assert found.receipt.get("gpc") is expected
    assert json.loads(found.payload) == body


# ---- bodies that cannot be taken apart: kept as one, answered with the code


WHOLE = [
    ("/v1/track", b'{"event":"x"', "malformed_json"),
    ("/v1/track", b'{"event":"x"} trailing', "malformed_json"),
    ("/v1/track", b'{"a":[1}', "malformed_json"),
    ("/v1/track", b'{"a":"x}', "malformed_json"),
    ("/v1/track", b"hello", "malformed_json"),
    ("/v1/track", b'"text"', "not_an_object"),
    ("/v1/track", b"[1,2]", "not_an_object"),
    ("/v1/batch", b"17", "not_an_object"),
    ("/v1/batch", b'{"batch":{"a":1}}', "wrong_format"),
    ("/v1/batch", b'{"batch":5}', "wrong_format"),
    ("/v1/batch", b'{"event":"x"}', "wrong_format"),
    ("/v1/batch", b'{"batch":[{"a":1}', "malformed_json"),
    ("/v1/batch", b'{"batch":[{"a":1}] {"b":2}}', "wrong_format"),
    ("/v1/batch", b'{"batch":[{"a":1}], {"b":2}}', "malformed_json"),
    ("/v1/batch", b'{"batch":[{"a":1}],"batch":[{"b":1}]}', "duplicate_key"),
    ("/v1/batch", b'{"batch":[{"a":1}],"context":{"consent":{"x":1,"x":2}}}', "duplicate_key"),
    ("/v1/batch", b'{"batch":[{"a":1}],"context":{"page":tru}}', "malformed_json"),
    ("/v1/batch", b'{"batch":[{"a":1}],"b\\u0061tch":[{"b":1}]}', "duplicate_key"),
]


@pytest.mark.parametrize(("path", "body", "code"), WHOLE)
def test_a_body_that_cannot_be_taken_apart_is_kept_whole(door: Door, path: str, body: bytes, code: str) -> None:
    door.new()
    answer = door.post(path, body)
    assert (answer.status, answer.code) == (400, code)
    found = door.newest()
    assert (found.payload, found.error) == (body.decode(), code)


def test_a_message_above_a_megabyte_is_set_aside(door: Door) -> None:
    door.new()
    long = b'{"event":"' + b"x" * (1 << 20) + b'"}'
    answer = door.post("/v1/batch", b'{"batch":[{"event":"a"},' + long + b"]}", zipped=True)
    assert answer.json["errors"] == [{"index": 1, "code": "too_long"}]
    assert [item.payload for item in door.new()] == ['{"event":"a"}', long.decode()]


def test_control_characters_do_not_outgrow_a_line_of_the_log(door: Door) -> None:
    door.new()
    body = b'{"a":"' + b"\x01" * 4_000_000 + b'"}'
    answer = door.post("/v1/track", body, zipped=True)
    assert (answer.status, answer.code) == (400, "too_long")
    assert b64decode(door.newest().payload.removeprefix("base64:")) == body
