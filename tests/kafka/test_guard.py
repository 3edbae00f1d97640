"""The offset guard (P8): no record that Kafka has lost is passed over unseen, and no gap that is none stops the source.

Rows 4 to 7 and 13 of list 6C; the whole table stands in test_records.py.
"""

import threading
import time
from collections.abc import Callable

import pytest
from brokerkit import Broker
from confluent_kafka import Consumer, TopicPartition
from kafkakit import Reader, keep_session, page, pages
from pyspark.sql import SparkSession
from pyspark.sql.streaming.query import StreamingQuery

from jobs.core.errors import ExitCode
from jobs.core.failpoints import Sabotage
from jobs.ingest import service
from jobs.ingest.balance import compute_balance
from jobs.ingest.kafka.guard import OffsetGapError
from jobs.ingest.kafka.plan import make_plans
from jobs.ingest.kafka.reader import start_topic
from jobs.ingest.landing.log import Received, encode, log_folder
from jobs.ingest.stream.bronze import start_bronze
from jobs.lake.delta import ensure_all

pytestmark = pytest.mark.spark
MakeReader = Callable[..., Reader]


def test_deleted_records_stop_the_source_until_accepted_by_number(broker: Broker, reader: MakeReader) -> None:
    """1,000 records go under a stopped reader: it stops, loses nothing silently, and the accepted gap shows exactly 1,000."""
    topic = broker.topic()
    home = reader(topic)
    broker.send(topic, pages(0, 50))
    assert home.bronze() == 50
    broker.send(topic, pages(50, 1010))
    broker.delete_before(topic, 1050)
    with pytest.raises(OffsetGapError, match=rf"{topic} partition 0: offsets 50 to 1049 \(1000 records\)") as stopped:
        home.bronze()
    assert stopped.value.exit_code == ExitCode.GATED
    with pytest.raises(OffsetGapError):  # it does not wear off
        home.bronze()
    code, said = home.command("kafka", "gaps")
    assert code == 3
    assert f"c360 ingest kafka accept {topic} 0 --from 50 --to 1049 --why TEXT" in said

    for first, last in ((50, 1048), (49, 1049), (0, 2000)):
        numbers = ("--from", str(first), "--to", str(last), "--why", "wrong")
        code, said = home.command("kafka", "accept", topic, "0", *numbers)
        assert (code, "other numbers" in said) == (2, True)
    assert home.rows("ops_accepted_gaps") == []

    code, said = home.command("kafka", "accept", topic, "0", "--from", "50", "--to", "1049", "--why", "reader was off")
    assert (code, "1000 records" in said) == (0, True)
    assert home.bronze() == 10
    assert home.offsets() == [*range(50), *range(1050, 1060)]
    (row,) = home.rows("ops_accepted_gaps")
    assert (row["first_offset"], row["last_offset"], row["record_count"], row["why"]) == (
        50,
        1049,
        1000,
        "reader was off",
    )
    code, said = home.command("kafka", "gaps")
    assert code == 0
    assert "1,000 records never received" in said
    assert home.command("kafka", "accept", topic, "0", "--from", "50", "--to", "1049", "--why", "again")[0] == 2
    broker.send(topic, pages(2000, 5))
    assert home.bronze() == 5
    assert len(set(home.offsets())) == len(home.offsets()) == 65


def test_a_topic_made_anew_stops_the_source_until_adopted(broker: Broker, reader: MakeReader) -> None:
    """Offsets restart, so that the new topic looks as if it had been read: the id tells. Both lives stay apart in bronze."""
    topic = broker.topic()
    home = reader(topic)
    broker.send(topic, pages(0, 20))
    assert home.bronze() == 20
    broker.drop(topic)
    broker.topic(topic)
    broker.send(topic, pages(100, 30))  # beyond the offset that was read: nothing but the id can tell
    with pytest.raises(OffsetGapError, match=f"{topic} partition 0: the topic was deleted and made anew"):
        home.bronze()
    assert home.command("kafka", "accept", topic, "0", "--from", "0", "--to", "19", "--why", "no")[0] == 2
    assert home.command("kafka", "adopt", topic, "--why", " ")[0] == 2
    assert home.command("kafka", "adopt", topic, "--why", "new cluster")[0] == 0
    assert home.bronze() == 30
    origins = [row["origin"] for row in home.rows()]  # in the order of receipt: the new life after the old one
    assert origins == [f"kafka:{topic}:0:{n}" for n in range(20)] + [f"kafka:{topic}~2:0:{n}" for n in range(30)]
    assert (
        len({row["message_id"] for row in home.rows()}) == len({row["receive_position"] for row in home.rows()}) == 50
    )
    (row,) = home.rows("ops_accepted_gaps")
    assert (row["kind"], row["first_offset"], row["last_offset"], row["record_count"]) == ("recreated", 20, None, None)
    assert home.bronze() == 0


def test_a_topic_that_is_gone_stops_the_source(broker: Broker, reader: MakeReader) -> None:
    topic = broker.topic()
    home = reader(topic)
    broker.send(topic, pages(0, 3))
    home.bronze()
    broker.drop(topic)
    with pytest.raises(OffsetGapError, match="the topic is gone"):
        home.bronze()


def test_without_the_guard_the_loss_goes_unseen(broker: Broker, reader: MakeReader) -> None:
    """The sabotage shows what the first test would see: no error, 1,000 records missing, nobody told."""
    topic = broker.topic()
    home = reader(topic, testing=True, sabotage=Sabotage.IGNORE_DATA_LOSS.value)
    broker.send(topic, pages(0, 50))
    home.bronze()
    broker.send(topic, pages(50, 1010))
    broker.delete_before(topic, 1050)
    home.bronze()
    assert home.offsets() == [*range(50), *range(1050, 1060)]
    assert home.rows("ops_accepted_gaps") == []


def test_marks_and_aborted_transactions_are_no_loss(broker: Broker, reader: MakeReader) -> None:
    """They take offsets that nobody can read."""
    topic = broker.topic()
    home = reader(topic)
    broker.send(topic, pages(0, 2))
    broker.transaction(topic, pages(10, 3), end="abort")
    broker.transaction(topic, pages(20, 2), end="commit")
    assert home.bronze() == 4
    assert [row["payload"] for row in home.rows()] == [page(n).decode() for n in (0, 1, 20, 21)]
    assert home.bronze() == 0


def test_compaction_is_no_loss(broker: Broker, reader: MakeReader) -> None:
    topic = broker.topic(
        cleanup_policy="compact", segment_ms="100", min_cleanable_dirty_ratio="0.0", max_compaction_lag_ms="100"
    )
    home = reader(topic)
    broker.send(topic, [page(0)], key=b"other")
    assert home.bronze() == 1
    for n in range(30, 36):
        broker.send(topic, [page(n)], key=b"one")  # all but the last may go
        time.sleep(0.15)
    wait_for_compaction(broker, topic)
    assert 1 <= home.bronze() < 6
    assert home.rows()[-1]["payload"] == page(35).decode()


def wait_for_compaction(broker: Broker, topic: str) -> None:
    """Until a reader from the start no longer sees all six."""
    end = time.monotonic() + 30
    while len(readable(broker, topic, b"one")) == 6:
        assert time.monotonic() < end, "the broker does not compact"
        time.sleep(0.3)


def readable(broker: Broker, topic: str, key: bytes) -> list[int]:
    """The offsets under a key that a reader from the start gets."""
    consumer = Consumer({"bootstrap.servers": broker.servers, "group.id": "look", "log_level": 0})
    consumer.assign([TopicPartition(topic, 0, 0)])
    found: list[int] = []
    while (message := consumer.poll(1.0)) is not None:
        if message.error() is None and message.key() == key:
            found.append(int(message.offset() or 0))
    consumer.close()
    return found


def test_an_open_transaction_is_not_read_and_stops_nothing(
    broker: Broker, reader: MakeReader, caplog: pytest.LogCaptureFixture
) -> None:
    topic = broker.topic()
    home = reader(topic)
    broker.send(topic, pages(0, 3))
    open_one = broker.transaction(topic, pages(10, 2), end="open")
    broker.send(topic, pages(20, 1))
    assert home.bronze() == 3
    assert "3 records wait for an open transaction to end" in caplog.text
    open_one.commit_transaction(30)
    assert home.bronze() == 3
    assert [row["payload"] for row in home.rows()] == [page(n).decode() for n in (0, 1, 2, 10, 11, 20)]


def test_new_partitions_are_read_from_their_first_offset(broker: Broker, reader: MakeReader) -> None:
    """While the stream runs, and between two runs; a new partition that has already lost records stops the source."""
    topic = broker.topic()
    home = reader(topic)
    broker.send(topic, pages(0, 5))
    ensure_all(home.settings)
    (plan,) = make_plans(home.context)
    query = start_topic(home.session, home.settings, plan, every="500 milliseconds")
    try:
        wait_for_rows(home, 5, query)
        broker.grow(topic, 2)
        broker.send(topic, pages(10, 5), partition=1)
        wait_for_rows(home, 10, query)
    finally:
        query.stop()
    broker.grow(topic, 3)
    broker.send(topic, pages(20, 5), partition=2)
    home.bronze()
    assert [home.offsets(number) for number in range(3)] == [list(range(5))] * 3
    broker.grow(topic, 4)
    broker.send(topic, pages(30, 5), partition=3)
    broker.delete_before(topic, 2, partition=3)
    with pytest.raises(OffsetGapError, match=r"partition 3: offsets 0 to 1 \(2 records\)"):
        home.bronze()


def wait_for_rows(home: Reader, count: int, query: StreamingQuery) -> None:
    """Until bronze holds that many, while the stream lives."""
    end = time.monotonic() + 60
    while len(home.rows()) < count:
        assert query.isActive, query.exception()
        assert time.monotonic() < end
        time.sleep(0.5)


def test_one_command_reads_both_sources_and_a_gap_stops_neither_files_nor_silver(
    session: SparkSession, broker: Broker, reader: MakeReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    topic = broker.topic()
    home = reader(topic)
    keep_session(monkeypatch, session)
    broker.send(topic, pages(0, 4))
    post(home, 1)
    assert home.command("run") == (0, "")
    assert sorted(row["event_id"] for row in home.rows("silver_events")) == ["h1", "k0", "k1", "k2", "k3"]
    monkeypatch.setattr("jobs.ingest.run._run_streams", fail_if_called)
    assert home.command("run") == (0, "")  # nothing new: no stream is started, though bronze has more rows than files
    monkeypatch.undo()
    keep_session(monkeypatch, session)

    broker.send(topic, pages(4, 3))
    broker.delete_before(topic, 6)
    post(home, 2)
    code, said = home.command("run", "--source", "kafka", "--source", "landing")
    assert (code, "offsets 4 to 5 (2 records)" in said) == (3, True)
    assert "h2" in {row["event_id"] for row in home.rows("silver_events")}
    assert all(row["is_balanced"] for row in compute_balance(home.context))
    assert home.command("run", "--source", "landing")[0] == 0
    assert home.command("kafka", "accept", topic, "0", "--from", "4", "--to", "5", "--why", "test")[0] == 0
    assert home.bronze() == 1
    (row,) = compute_balance(home.context)
    assert row["is_balanced"]
    assert (row["source"], row["received"], row["accepted"], row["in_flight"]) == ("web", 7, 6, 1)


def test_a_running_service_stops_when_a_topic_is_made_anew(
    session: SparkSession, broker: Broker, reader: MakeReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    topic = broker.topic()
    home = reader(topic)
    keep_session(monkeypatch, session)
    monkeypatch.setattr(service, "open_session", lambda *_: session)
    monkeypatch.setattr(service, "GUARD_SECONDS", 0.5)
    monkeypatch.setattr(
        service, "start_silver", lambda spark, settings, _, every: start_bronze(spark, settings, every=every)
    )
    broker.send(topic, pages(0, 3))
    ensure_all(home.settings)

    def strike() -> None:
        while len(home.rows()) < 3:
            time.sleep(0.3)
        broker.drop(topic)
        broker.topic(topic)
        broker.send(topic, pages(0, 5))

    thread = threading.Thread(target=strike)
    thread.start()
    try:
        with pytest.raises(
            OffsetGapError, match=rf"{topic} partition 0: the topic (was deleted and made anew|is gone)"
        ):
            service.Service(home.context, "500 milliseconds", ("kafka",)).run()
    finally:
        thread.join()
        for query in session.streams.active:
            query.stop()
    assert len(home.rows()) in (3, 5)  # what came between the guard's looks is under the old life; nothing is skipped


def fail_if_called(*_: object) -> None:
    raise AssertionError("there was nothing to do")


def post(home: Reader, number: int) -> None:
    """A message in the collector's landing log."""
    log_folder(home.settings).mkdir(mode=0o700, exist_ok=True)
    message = Received(
        "web", 1_514_800_000_000_000, "page", {"receipt_id": "r"}, page(0, messageId=f"h{number}").decode()
    )
    (log_folder(home.settings) / f"{number:04d}.log").write_bytes(encode(message))
