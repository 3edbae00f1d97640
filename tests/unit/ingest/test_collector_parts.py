"""The collector's pure parts: taking bodies apart, gunzip, reduced addresses and agents, token buckets."""

import gzip
import json
import tracemalloc
import zlib
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from jobs.core.settings import Settings
from jobs.ingest.collector.body import NotGzipError, plain_body
from jobs.ingest.collector.limits import BURST_SECONDS, REMEMBERED, RateLimit
from jobs.ingest.collector.receipt import new_receipt_id, reduced_user_agent, truncated_ip
from jobs.ingest.collector.replies import RefusedError
from jobs.ingest.collector.scan import UnsplittableError, is_deeper, scan
from jobs.ingest.collector.split import Limits, split_batch, split_single

LIMITS = Limits(depth=32, message_bytes=1 << 20, batch_messages=1000)
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(st.characters(exclude_categories=["Cs"]))
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner), st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner)),
)
FEW = hypothesis_settings(max_examples=50)
SPACES = st.text(" \t\r\n", max_size=2)


@st.composite
def batches(draw: st.DrawFn) -> tuple[list[str], str]:
    """The texts of messages, some with NaN in them, and a batch around them in some layout."""
    texts = [
        json.dumps(value, ensure_ascii=draw(st.booleans())) for value in draw(st.lists(VALUES, min_size=1, max_size=6))
    ]
    comma = draw(SPACES) + "," + draw(SPACES)
    rest = {"writeKey": "k", "context": {"page": {"url": '"],}{['}}, "sentAt": "2018"}
    members = [f'"{name}":{draw(SPACES)}{json.dumps(value)}' for name, value in rest.items() if draw(st.booleans())]
    members.insert(
        draw(st.integers(0, len(members))), f'"batch"{draw(SPACES)}:[{draw(SPACES)}{comma.join(texts)}{draw(SPACES)}]'
    )
    return texts, "{" + ",".join(members) + draw(SPACES) + "}"


@FEW
@given(batches())
@example((['"\\\\"', '"\\\\\\""', '"[{"'], '{"batch":["\\\\","\\\\\\"","[{"]}'))
def test_every_message_of_a_batch_comes_out_as_it_went_in(made: tuple[list[str], str]) -> None:
    texts, body = made
    found = split_batch(body.encode(), LIMITS)
    assert found.error is None
    assert [part.payload for part in found.parts] == texts
    assert {part.error for part in found.parts} == {None}
    assert found.write_key == ("k" if '"writeKey"' in body else None)


@FEW
@given(batches())
def test_the_tolerant_scan_agrees_with_the_parser(made: tuple[list[str], str]) -> None:
    texts, body = made
    found = scan(body.encode(), 1000)
    assert found.elements == [text.encode() for text in texts]
    try:
        parsed = json.loads(body)
    except ValueError:
        return
    assert {key.decode() for key in found.members} == set(parsed)


@FEW
@given(batches(), st.data())
def test_garbage_in_one_message_harms_no_other(made: tuple[list[str], str], data: st.DataObject) -> None:
    texts, _ = made
    at = data.draw(st.integers(0, len(texts) - 1))
    texts[at] = data.draw(
        st.sampled_from(["tru", "{'a': 1}", "0x1F", '{"a": 1,}', '"\\ud800"', "\x01", '{"a" 1}', "--1"])
    )
    found = split_batch(f'{{"batch":[{",".join(texts)}]}}'.encode(), LIMITS)
    assert [part.payload for part in found.parts] == texts


@given(st.binary(max_size=300))
def test_any_bytes_end_in_parts_or_a_reason(body: bytes) -> None:
    for split in (split_single, split_batch):
        found = split(body, LIMITS)
        assert found.parts or found.error
        if found.error and found.parts:
            (part,) = found.parts
            assert part.error == found.error


@FEW
@given(VALUES)
def test_depth_is_that_of_the_brackets(value: Any) -> None:
    def depth(inner: Any) -> int:
        if isinstance(inner, dict):
            return 1 + max(map(depth, inner.values()), default=0)
        return 1 + max(map(depth, inner), default=0) if isinstance(inner, list) else 0

    text = json.dumps(value).encode()
    for limit in range(5):
        assert is_deeper(text, limit) == (depth(value) > limit)


@pytest.mark.parametrize(
    "text", [b"", b"x", b"[1]", b"{", b"}", b"{}{}", b"{]", b'{"a}', b'{"a":[}', b"{}x", b'{"a" 1}']
)
def test_what_is_no_balanced_object_is_not_scanned(text: bytes) -> None:
    with pytest.raises(UnsplittableError):
        scan(text, 10)


# ---- gunzip


def test_a_bomb_is_never_held(settings: Settings) -> None:
    stream = zlib.compressobj(wbits=31)
    bomb = b"".join([*(stream.compress(bytes(1 << 20)) for _ in range(200)), stream.flush()])
    tracemalloc.start()
    with pytest.raises(RefusedError, match="inflate_limit"):
        plain_body(bomb, [b"gzip"], settings)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 16 << 20


def test_gzip_up_to_the_limit(settings: Settings) -> None:
    limit = settings.collector_inflated_bytes
    assert len(plain_body(gzip.compress(bytes(limit)), [b" GZip "], settings)) == limit
    with pytest.raises(RefusedError):
        plain_body(gzip.compress(bytes(limit + 1)), [b"gzip"], settings)
    assert plain_body(b"abc", [b"identity", b""], settings) == b"abc"
    with pytest.raises(NotGzipError):
        plain_body(b"", [b"gzip"], settings)


# ---- what is noted


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("203.0.113.77", "203.0.113.0/24"),
        ("::ffff:203.0.113.77", "203.0.113.0/24"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1::/48"),
        ("::1", "::/48"),
        ("", None),
        ("unknown", None),
    ],
)
def test_addresses_are_truncated(address: str, network: str | None) -> None:
    assert truncated_ip(address) == network


@pytest.mark.parametrize(
    ("agent", "reduced"),
    [
        (
            "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.4 Safari/605.1",
            "Mozilla/5 AppleWebKit/605 Version/17 Safari/605",
        ),
        ("Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", "Mozilla/5 Googlebot/2"),
        ("Slackbot-LinkExpanding 1.0 (+https://example.com/robots)", "Slackbot-LinkExpanding"),
        ("python-requests/2.31.0", "python-requests/2"),
        ("call me +49 170 1234567", "other"),
        ("", None),
        ("Ab/1 " * 500, "Ab/1"),
    ],
)
def test_agents_are_reduced(agent: str, reduced: str | None) -> None:
    assert reduced_user_agent(agent) == reduced


@given(st.text(max_size=500))
def test_no_agent_keeps_more_than_a_major_version(agent: str) -> None:
    reduced = reduced_user_agent(agent) or ""
    assert len(reduced) <= 200
    assert "@" not in reduced
    assert not any(len(run) > 4 for run in "".join(c if c.isdigit() else " " for c in reduced).split())


def test_receipt_ids_differ() -> None:
    assert len({new_receipt_id() for _ in range(1000)}) == 1000


# ---- rates


def test_a_bucket_refills() -> None:
    now = [0.0]
    limit = RateLimit(10.0, lambda: now[0])
    assert [limit.take("a") for _ in range(int(10 * BURST_SECONDS))] == [0.0] * int(10 * BURST_SECONDS)
    wait = limit.take("a")
    assert 0 < wait <= 0.1
    assert limit.take("b") == 0.0
    now[0] += wait
    assert limit.take("a") == 0.0
    now[0] += 1000
    assert limit.take("a", 10**9) == 0.0  # more than a burst counts as a burst
    assert limit.take("a") > 0


def test_buckets_do_not_grow_for_ever() -> None:
    limit = RateLimit(1.0)
    for number in range(REMEMBERED + 10):
        limit.take(str(number))
    assert len(limit._buckets) == REMEMBERED
