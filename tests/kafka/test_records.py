"""Nasty Kafka records, each of which ends where it belongs and harms no other.

Where list 6C of the promises is shown, row by row:

| # | input | test |
|---|---|---|
| 1 | null value | here: `empty` |
| 2 | non-UTF-8, Avro, unknown magic byte | here: `invalid_encoding`; there is no schema registry, so any framed value is |
| 3 | 10 MB record, record larger than the fetch size | here: `too_long`, the head kept |
| 4 | gaps from compaction and aborted transactions | test_guard: compaction, marks_and_aborted |
| 5 | retention deleted unread offsets | test_guard: deleted_records |
| 6 | topic deleted and made anew | test_guard: made_anew |
| 7 | partitions added while running | test_guard: new_partitions |
| 8 | producer repeats itself | here: one row in silver, the rest duplicates |
| 9 | header bomb, header with personal data | here: dropped; an allowed header is kept |
| 10 | timestamp -1 or 2099 | here: not looked at |
| 11 | key null, 1 MB, one hot key | here; and one_hot_partition |
| 12 | delivered again after a rebalance | here: a batch delivered again; there is no consumer group to rebalance |
| 13 | transaction never finished | test_guard: open_transaction |
| 14 | compressed bomb | here: `too_long` |
| 15 | schema registry down | no registry is used; docs/kafka.md |
| 16 | poison pill at the head of each partition | here |
| 17 | broker restarts, leader changes | test_leaders; test_collector: the only broker killed under a reader |
| 18 | clock skew between brokers | here with 10: no broker's clock is used |
| 19 | producer without rights | test_access |
| 20 | replay of a whole topic | here: 0 new rows |
"""

import json
import shutil
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from brokerkit import Broker
from kafkakit import NOW, Reader, page, pages
from pyspark.sql import SparkSession

from jobs.core.settings import Settings
from jobs.ingest.balance import compute_balance

pytestmark = pytest.mark.spark
PII = "ann@example.com"
BIG = 10 * 2**20
BOMB = 12 * 2**20
AVRO = b"\x00\x00\x00\x00\x07\x02\x08abc"
FUTURE_MS = 4_070_908_800_000  # 2099-01-01
# messageId → what the record is, all good
GOOD = {
    "k0": "plain",
    "k1": "headers",
    "k2": "timestamp 2099",
    "k3": "key 1 MB",
    "k4": "header bomb",
    "k5": "no timestamp",
}


def write_all(broker: Broker, nasty: str, poisoned: str) -> None:
    broker.send(nasty, [None, b"", b"\xff\xfe{}", AVRO, b"\xef\xbb\xbf" + page(90), b"[1]", page(91)[:-5]])
    broker.send(nasty, [b'{"a": "' + b"x" * BIG + b'"}', b'{"messageId": "k1", "messageId": "k2"}'])
    broker.send(nasty, [b'{"a": "' + b"0" * BOMB + b'"}'], compression_type="zstd")
    broker.send(nasty, [page(0)])
    broker.send(nasty, [page(1)], headers=[("trace", b"t-1"), ("user", PII.encode()), ("trace", b"t-2")])
    broker.send(nasty, [page(2)], timestamp=FUTURE_MS)
    broker.send(nasty, [page(3)], key=b"k" * 2**20)
    broker.send(nasty, [page(4)], headers=[(f"h{n}", b"v") for n in range(10_000)] + [("trace", b"too late")])
    broker.send(nasty, [page(5)], timestamp=0)  # 0 lets the client choose; -1 cannot be written through it
    broker.send(nasty, [page(0), page(0), page(0, properties={"path": "/other"})])
    for partition in range(3):
        broker.send(poisoned, [b"\x00poison", *pages(100 + 10 * partition, 2)], partition=partition)


@pytest.fixture(scope="module")
def loaded(
    session: SparkSession,
    broker: Broker,
    tmp_path_factory: pytest.TempPathFactory,
    make_settings: Callable[..., Settings],
) -> Reader:
    """A home with all of it ingested."""
    # A broker refuses records from the future unless the topic is told to take them.
    nasty = broker.topic("nasty", max_message_bytes=str(2**25), message_timestamp_after_max_ms=str(2**63 - 1))
    poisoned = broker.topic("poisoned", partitions=3)
    write_all(broker, nasty, poisoned)
    settings = make_settings(
        tmp_path_factory.mktemp("records") / "home",
        kafka_bootstrap_servers=broker.servers,
        kafka_topics="nasty=web, poisoned=web",
        kafka_headers="trace, tenant",
    )
    home = Reader(session, settings)
    assert home.bronze() == 19 + 9
    home.silver()
    return home


def bronze_of(home: Reader, offset: int, topic: str = "nasty", partition: int = 0) -> dict[str, Any]:
    (row,) = [r for r in home.rows() if r["origin"] == f"kafka:{topic}:{partition}:{offset}"]
    return row


def test_every_bad_record_is_set_aside_with_its_reason(loaded: Reader) -> None:
    found = {row["origin"]: row["reason_details"] for row in loaded.rows("quarantine_messages")}
    by_offset = {int(origin.split(":")[3]): details for origin, details in found.items() if ":nasty:" in origin}
    assert by_offset == {
        0: ["empty:payload"],
        1: ["empty:payload"],
        2: ["invalid_encoding:payload"],
        3: ["invalid_encoding:payload"],
        4: ["invalid_encoding:payload"],
        5: ["not_an_object:payload"],
        6: ["malformed_json:payload"],
        7: ["too_long:payload"],
        8: ["duplicate_key:payload"],
        9: ["too_long:payload"],
        18: ["id_conflict:messageId"],
    }


def test_a_poison_pill_at_the_head_of_each_partition_holds_nobody_up(loaded: Reader) -> None:
    found = {row["origin"]: row["reason_details"] for row in loaded.rows("quarantine_messages")}
    heads = {f"kafka:poisoned:{n}:0" for n in range(3)}
    assert {origin: found[origin] for origin in heads} == {origin: ["invalid_encoding:payload"] for origin in heads}
    events = {row["event_id"] for row in loaded.rows("silver_events")}
    assert {"k100", "k101", "k110", "k111", "k120", "k121"} <= events


def test_every_good_record_is_an_event_once(loaded: Reader) -> None:
    events = [row["event_id"] for row in loaded.rows("silver_events")]
    assert sorted(event for event in events if len(event) == 2) == sorted(GOOD)
    dropped = [row["event_id"] for row in loaded.rows("ops_dropped_messages")]
    assert dropped == ["k0", "k0"]


def test_the_books_balance(loaded: Reader) -> None:
    (row,) = compute_balance(loaded.context)
    assert row["is_balanced"]
    assert [row[k] for k in ("received", "accepted", "duplicate", "quarantined", "in_flight")] == [28, 12, 2, 14, 0]


def test_bytes_are_kept_as_they_came(loaded: Reader) -> None:
    assert bronze_of(loaded, 0)["payload"] is None
    assert bronze_of(loaded, 3)["payload"] == "base64:AAAAAAcCCGFiYw=="
    assert bronze_of(loaded, 10)["payload"] == page(0).decode()
    for offset, size in ((7, BIG), (9, BOMB)):
        row = bronze_of(loaded, offset)
        assert len(row["payload"]) == loaded.settings.kafka_record_bytes
        assert json.loads(row["receipt"])["bytes"] == size + 9
        assert len(json.loads(row["receipt"])["sha256"]) == 64


def test_headers_are_dropped_but_for_the_allowed(loaded: Reader) -> None:
    rows = loaded.rows()
    assert json.loads(bronze_of(loaded, 11)["receipt"]) == {"headers": {"trace": "t-1"}}
    assert PII not in str(rows)
    assert bronze_of(loaded, 14)["receipt"] is None  # beyond the first hundred nothing is looked at
    assert bronze_of(loaded, 10)["receipt"] is None


def test_no_time_but_ours_counts(loaded: Reader) -> None:
    """Not the producer's, not a broker's: a record dated 2099 or 1970 is received when we receive it."""
    assert {row["received_at"] for row in loaded.rows()} == {NOW}
    (event,) = [row for row in loaded.rows("silver_events") if row["event_id"] == "k2"]
    assert event["effective_at"] == datetime.fromisoformat("2018-01-01T12:00:00Z")


def test_positions_are_unique_in_order_and_apart_from_files(loaded: Reader) -> None:
    rows = loaded.rows()
    positions = [row["receive_position"] for row in rows]
    assert len(set(positions)) == len(rows)
    assert min(positions) >= 2**62
    assert loaded.offsets()[:2] == [0, 0]  # of both topics: interleaved
    assert [int(r["origin"].split(":")[3]) for r in rows if ":nasty:" in r["origin"]] == list(range(19))


def test_a_batch_delivered_again_changes_nothing(loaded: Reader) -> None:
    """The crash between Delta's commit and Spark's own note of it; the guard knows that the batch is in."""
    before = loaded.rows()
    for topic in ("nasty", "poisoned"):
        commits = loaded.settings.checkpoints / "bronze_kafka" / topic / "000000" / "commits"
        newest = max((p for p in commits.iterdir() if p.name.isdigit()), key=lambda p: int(p.name))
        newest.unlink()
        (commits / f".{newest.name}.crc").unlink(missing_ok=True)
    assert loaded.bronze() == 0
    assert loaded.rows() == before


def test_a_topic_read_again_from_the_start_adds_nothing_to_silver(loaded: Reader, broker: Broker) -> None:
    events = {row["message_id"] for row in loaded.rows("silver_events")}
    copy = broker.topic("poisoned2", partitions=3)
    for partition in range(3):  # a mirror of the topic: other origins, the same events
        broker.send(copy, [b"\x00poison", *pages(100 + 10 * partition, 2)], partition=partition)
    loaded = Reader(loaded.session, loaded.settings.model_copy(update={"kafka_topics": "poisoned2=web"}))
    loaded.bronze()
    loaded.silver()
    assert {row["message_id"] for row in loaded.rows("silver_events")} == events
    (row,) = compute_balance(loaded.context)
    assert row["is_balanced"]
    assert (row["accepted"], row["duplicate"]) == (12, 8)
    shutil.rmtree(
        loaded.settings.checkpoints / "bronze_kafka" / "poisoned2"
    )  # a lost checkpoint: bronze knows the place
    assert loaded.bronze() == 0


def test_one_hot_partition_is_said(
    broker: Broker, reader: Callable[..., Reader], caplog: pytest.LogCaptureFixture
) -> None:
    topic = broker.topic(partitions=2)
    home = reader(topic)
    broker.send(topic, [b"{}"] * 10_000, partition=1)
    broker.send(topic, [b"{}"] * 10)
    assert home.bronze() == 10_010
    assert "100 % of 10010 records are in partition 1" in caplog.text
