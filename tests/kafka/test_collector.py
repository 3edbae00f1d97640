"""The collector with a topic as its sink: acknowledged means confirmed by the broker, and bronze is the same as by the disk.

Row 17 of list 6C as far as one node can show it; the whole table stands in test_records.py.
"""

import asyncio
import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from brokerkit import Broker
from doorkit import Door, event, wait_until
from kafkakit import Reader, page, pages
from pyspark.sql import SparkSession
from settingskit import make_settings

from jobs.core.errors import UsageError
from jobs.core.failpoints import Sabotage
from jobs.ingest.collector.kafka_sink import KafkaSink
from jobs.ingest.collector.sink import LandingSink, Sink, make_sink
from jobs.ingest.kafka.note import HEADER
from jobs.ingest.kafka.plan import make_plans
from jobs.ingest.kafka.reader import start_topic
from jobs.ingest.landing.log import Received
from jobs.ingest.landing.seal import seal_new_files
from jobs.ingest.stream.bronze import run_bronze
from jobs.lake.delta import ensure_all

pytestmark = pytest.mark.spark
LARGE = str(8 * 2**20)
NOW_US = 1_514_800_000_000_000
RECEIPT: dict[str, object] = {"receipt_id": "r1", "key_kind": "browser", "gpc": True, "batch_context": '{"a": "ü"}'}
MESSAGES = [
    Received("web", NOW_US, "page", RECEIPT | {"receipt_id": f"r{number}"}, payload, error)
    for number, (payload, error) in enumerate(
        [
            (page(1).decode(), None),
            ('{"anonymousId": "ä🙂", "properties": {"path": "/"}}', None),
            ('{"a": 1, "a": 2}', None),  # judged on the way, as the landing log is when it is sealed
            ('{"batch": [', "malformed_json"),
            ("base64:AAE=", "invalid_encoding"),
            ("x" * 2**20, "too_long"),
        ]
    )
] + [Received("pos", NOW_US + 1, None, {"receipt_id": "r9"}, page(2).decode())]
APART = ("message_id", "origin", "receive_position", "file_name")


@pytest.fixture
def collector(session: SparkSession, broker: Broker, tmp_path: Path) -> Callable[..., Reader]:
    """A home whose collector writes to a topic of its own, and reads it."""

    def make(**more: object) -> Reader:
        topic = broker.topic(max_message_bytes=LARGE)
        names = {"kafka_bootstrap_servers": broker.servers, "kafka_collector_topic": topic, "collector_sink": "kafka"}
        patience = {"kafka_delivery_seconds": 2, "kafka_request_seconds": 10}
        return Reader(session, make_settings(tmp_path / topic, **(names | patience | more)))

    return make


def hand_in(sink: Sink, messages: list[Received]) -> None:
    async def run() -> None:
        await sink.start()
        await sink.accept(messages)
        await sink.close()

    asyncio.run(run())


def test_both_ways_give_the_same_bronze_rows(
    session: SparkSession, collector: Callable[..., Reader], tmp_path: Path
) -> None:
    by_topic, by_disk = collector(), Reader(session, make_settings(tmp_path / "disk"))
    assert isinstance(make_sink(by_topic.context), KafkaSink)
    assert isinstance(make_sink(by_disk.context), LandingSink)
    hand_in(KafkaSink(by_topic.context), MESSAGES)
    hand_in(LandingSink(by_disk.context), MESSAGES)
    assert by_topic.bronze() == len(MESSAGES)
    ensure_all(by_disk.settings)
    seal_new_files(by_disk.context)
    run_bronze(session, by_disk.settings)
    shown = [
        [{name: value for name, value in row.items() if name not in APART} for row in home.rows()]
        for home in (by_topic, by_disk)
    ]
    assert shown[0] == shown[1]
    assert [row["payload_error"] for row in shown[0]] == [
        None, None, "duplicate_key", "malformed_json", "invalid_encoding", "too_long", None,
    ]  # fmt: skip


def test_a_note_is_believed_on_the_collectors_topic_only(broker: Broker, collector: Callable[..., Reader]) -> None:
    others = broker.topic()
    home = collector(kafka_topics=f"{others}=web")
    own = home.settings.kafka_collector_topic
    note = {"source": "pos", "received_us": NOW_US, "receipt": "{}", "error": None, "endpoint": "page"}
    forged = [(HEADER, json.dumps(note).encode())]
    broker.send(others, [page(1)], headers=forged)
    assert own
    broker.send(own, [page(2)])
    broker.send(own, [page(3)], headers=[(HEADER, b"{")])
    assert home.bronze() == 3
    rows = {row["origin"].split(":")[1] + row["origin"].split(":")[3]: row for row in home.rows()}
    stranger = rows[others + "0"]
    assert (stranger["source"], stranger["endpoint"], stranger["receipt"]) == ("web", None, None)
    assert stranger["received_at"] == home.settings.now
    assert {(rows[own + n]["source"], rows[own + n]["payload_error"]) for n in "01"} == {
        ("landing_log", "unknown_source")
    }


def test_a_topic_too_small_for_what_the_door_takes_is_refused(broker: Broker, tmp_path: Path) -> None:
    topic = broker.topic()
    home = make_settings(tmp_path / "home", kafka_bootstrap_servers=broker.servers, kafka_collector_topic=topic)
    with pytest.raises(UsageError, match=r"takes 1048588 bytes .* max.message.bytes"):
        KafkaSink(Reader(None, home).context)
    with pytest.raises(UsageError, match="C360_KAFKA_COLLECTOR_TOPIC"):
        make_sink(Reader(None, make_settings(tmp_path / "none", collector_sink="kafka")).context)


def test_a_broker_that_goes_away_is_503_and_back(broker: Broker, collector: Callable[..., Reader]) -> None:
    """Killed under a running collector and a running reader: what was acknowledged is in bronze once, what was not is told.

    With the protection off (an answer before the broker's) a 200 is given for a message that is nowhere.
    """
    home = collector()
    careless = collector(testing=True, sabotage=Sabotage.REPLY_BEFORE_FSYNC.value)
    ensure_all(home.settings)
    with door_of(home) as door, door_of(careless) as liar:
        assert door.post("/v1/batch", {"batch": [event(1, type="page"), event(2, type="page")]}).status == 200
        (plan,) = make_plans(home.context)
        query = start_topic(home.session, home.settings, plan, every="500 milliseconds")
        broker.kill()
        try:
            answer = door.post("/v1/page", event(3))
            assert (answer.status, answer.code) == (503, "unavailable")
            assert int(answer.headers["retry-after"]) >= 1
            assert door.request("GET", "/health").status == 503
            assert liar.post("/v1/page", event(4)).status == 200
            time.sleep(2.5)  # its message has timed out by now
        finally:
            broker.start()
        wait_until(lambda: door.request("GET", "/health").status == 200, 30)
        assert door.post("/v1/page", event(3)).status == 200
        wait_until(lambda: len(home.rows()) >= 3 or not query.isActive, 60)
        assert query.isActive, query.exception()
        query.stop()
    found = [json.loads(row["payload"])["messageId"] for row in home.rows()]
    assert set(found) == {"m1", "m2", "m3"}
    careless.bronze()
    assert careless.rows() == []


def door_of(home: Reader) -> Door:
    door = Door(home.context)
    door.sink = KafkaSink(home.context)
    return door


def test_an_acknowledged_batch_is_in_bronze_message_by_message(collector: Callable[..., Reader]) -> None:
    home = collector()
    with door_of(home) as door:
        batch = [event(n, type="page", properties={"path": f"/{n}"}) for n in range(20)]
        assert door.post("/v1/batch", {"batch": batch}).status == 200
        assert door.post("/v1/page", b'{"broken"').status == 400
    assert home.bronze() == 21
    assert [json.loads(row["payload"])["messageId"] for row in home.rows()[:20]] == [f"m{n}" for n in range(20)]
    bad = home.rows()[20]
    assert (bad["payload"], bad["payload_error"], bad["source"]) == ('{"broken"', "malformed_json", "sim_web")
    assert len({json.loads(row["receipt"])["receipt_id"] for row in home.rows()}) == 21


def test_many_at_once(collector: Callable[..., Reader]) -> None:
    """Every message of 200 requests at a time, once."""
    home = collector()
    sink = KafkaSink(home.context)

    async def run() -> None:
        await sink.start()
        one = [[Received("web", NOW_US, "page", {"receipt_id": "r"}, text.decode())] for text in pages(0, 200)]
        await asyncio.gather(*(sink.accept(messages) for messages in one))
        await sink.close()

    asyncio.run(run())
    assert home.bronze() == 200
    assert len({row["payload"] for row in home.rows()}) == 200
