"""The pure parts of the Kafka source: gaps, places in the order of receipt, settings, and how brokers may be spoken to."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.core.errors import AuthError, PermanentError, UsageError
from jobs.core.settings import load_settings
from jobs.core.settings_kafka import LOGIN
from jobs.ingest.kafka.guard import Accepted, GapKind, find_gaps, next_offsets
from jobs.ingest.kafka.note import headers_of, value_of
from jobs.ingest.kafka.position import BASE, check_limits, receive_position
from jobs.ingest.landing.log import Received
from jobs.ingest.run import chosen_sources
from jobs.transport.kafka import Span, TopicState, brokers, client_options, spark_options


def held(earliest: int, end: int, high: int | None = None, topic_id: str = "a") -> TopicState:
    return TopicState("t", topic_id, {0: Span(earliest, end, end if high is None else high)})


@pytest.mark.parametrize(
    ("place", "now", "expected"),
    [
        (5, held(0, 10), None),
        (5, held(5, 10), None),  # all that was read may go
        (5, held(6, 10), (GapKind.DELETED, 5, 5, 1)),
        (5, held(10, 10), (GapKind.DELETED, 5, 9, 5)),
        (0, held(3, 3), (GapKind.DELETED, 0, 2, 3)),
        (5, held(0, 3, high=7), None),  # an open transaction holds the end back
        (5, held(0, 3), (GapKind.SHORTENED, 5, None, None)),
        (5, held(0, 10, topic_id="b"), (GapKind.RECREATED, 5, None, None)),
        (5, None, (GapKind.MISSING, 5, None, None)),
        (5, TopicState("t", "a", {1: Span(0, 0, 0)}), (GapKind.MISSING, 5, None, None)),
    ],
)
def test_what_is_a_gap(place: int, now: TopicState | None, expected: tuple[Any, ...] | None) -> None:
    gaps = find_gaps("t", "a", {0: place}, now)
    assert [(gap.kind, gap.first, gap.last, gap.records) for gap in gaps] == ([expected] if expected else [])
    for gap in gaps:
        assert "t partition 0" in str(gap)
        assert str(gap.first) in str(gap) or gap.kind is GapKind.SHORTENED


def test_reading_goes_on_behind_accepted_gaps_that_begin_where_it_stands() -> None:
    accepted = [Accepted(0, 5, 9), Accepted(0, 10, 12), Accepted(0, 40, 50), Accepted(1, 0, 3)]
    assert next_offsets({0: 5}, accepted, [0, 1, 2]) == {0: 13, 1: 4, 2: 0}
    assert next_offsets({0: 6}, accepted, [0]) == {0: 6}


record = st.tuples(st.integers(0, 2**42 - 1), st.integers(1, 255), st.integers(0, 4095))


@given(record, record)
def test_places_are_unique_fit_a_long_and_keep_the_order_of_a_partition(
    one: tuple[int, int, int], other: tuple[int, int, int]
) -> None:
    a, b = receive_position(*one), receive_position(*other)
    assert (a == b) == (one == other)
    assert BASE <= a < 2**63
    assert (one[0] < other[0]) <= (a < b)


def test_numbers_that_would_run_into_others_are_refused() -> None:
    check_limits(255, 10**9, {4095: 10**12})
    for number, base, places in ((256, 0, {0: 0}), (1, 0, {4096: 0}), (1, 2**41, {0: 2**41})):
        with pytest.raises(PermanentError, match="order of receipt"):
            check_limits(number, base, places)


def test_topics_are_pairs(tmp_path: Path) -> None:
    home = str(tmp_path)
    found = load_settings(home=home, kafka_topics=" a.b=web , c=pos,", kafka_collector_topic="own")
    assert found.kafka_sources == {"a.b": "web", "c": "pos", "own": None}
    assert not found.has_kafka
    for bad in ("a", "a=", "a=W", "a b=web", "a=web,a=pos"):
        with pytest.raises(UsageError, match="kafka_topics"):
            load_settings(home=home, kafka_topics=bad)
    with pytest.raises(UsageError, match="named twice"):
        load_settings(home=home, kafka_topics="a=web", kafka_collector_topic="a")
    with pytest.raises(UsageError, match="C360_KAFKA_BOOTSTRAP_SERVERS"):
        load_settings(home=home, kafka_bootstrap_servers="nohost")


def test_sources_of_a_run_follow_the_settings(tmp_path: Path) -> None:
    without = load_settings(home=str(tmp_path))
    assert chosen_sources(without, ()) == ("landing",)
    with pytest.raises(UsageError, match="C360_KAFKA_BOOTSTRAP_SERVERS"):
        chosen_sources(without, ("kafka",))
    both = load_settings(home=str(tmp_path), kafka_bootstrap_servers="localhost:1", kafka_topics="a=web")
    assert chosen_sources(both, ()) == ("landing", "kafka")
    assert chosen_sources(both, ("kafka",)) == ("kafka",)


def test_brokers_elsewhere_need_tls(tmp_path: Path) -> None:
    home = str(tmp_path)
    with pytest.raises(UsageError, match=r"kafka\.example\.com is another machine"):
        brokers(load_settings(home=home, kafka_bootstrap_servers="127.0.0.1:1,kafka.example.com:9092"))
    for more in ({"kafka_security_protocol": "SSL"}, {"kafka_allow_plaintext": True}):
        assert brokers(load_settings(home=home, kafka_bootstrap_servers="kafka.example.com:9092", **more))
    assert brokers(load_settings(home=home, kafka_bootstrap_servers="[::1]:9092,localhost:1"))


def test_the_password_is_a_secret_file_and_reaches_both_clients(tmp_path: Path) -> None:
    asked = {"kafka_bootstrap_servers": "k:1", "kafka_security_protocol": "SASL_SSL", "kafka_username": "u"}
    settings = load_settings(home=str(tmp_path), **asked, kafka_ca_file=tmp_path / "ca.pem")
    with pytest.raises(AuthError, match=LOGIN):
        client_options(settings)
    secret = tmp_path / "secrets" / LOGIN
    secret.parent.mkdir()
    secret.write_text('a"b\\c\n')
    secret.chmod(0o600)
    assert client_options(settings)["sasl.password"] == 'a"b\\c'
    assert client_options(settings)["ssl.ca.location"] == str(tmp_path / "ca.pem")
    options = spark_options(settings)
    assert options["kafka.sasl.jaas.config"] == (
        'org.apache.kafka.common.security.scram.ScramLoginModule required username="u" password="a\\"b\\\\c";'
    )
    assert options["kafka.ssl.truststore.location"] == str(tmp_path / "ca.pem")
    assert options["kafka.isolation.level"] == "read_committed"
    with pytest.raises(UsageError, match="C360_KAFKA_USERNAME"):
        client_options(load_settings(home=str(tmp_path), **(asked | {"kafka_username": None})))


def test_a_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    key = tmp_path / "client.pem"
    key.write_text("x")
    key.chmod(0o644)
    settings = load_settings(
        home=str(tmp_path), kafka_bootstrap_servers="k:1", kafka_security_protocol="SSL", kafka_client_file=str(key)
    )
    with pytest.raises(PermanentError, match="chmod 600"):
        client_options(settings)
    key.chmod(0o600)
    assert client_options(settings)["ssl.key.location"] == str(key)
    assert spark_options(settings)["kafka.ssl.keystore.location"] == str(key)


def test_a_note_holds_what_the_log_holds() -> None:
    message = Received("web", 5, "page", {"receipt_id": "r", "ua": "ü"}, '{"a": 1, "a": "ä"}')
    ((name, note),) = headers_of(message)
    assert name == "c360"
    found = json.loads(note)
    assert found == {
        "source": "web", "received_us": 5, "endpoint": "page", "error": "duplicate_key",
        "receipt": '{"receipt_id":"r","ua":"\\u00fc"}',
    }  # fmt: skip
    assert value_of(message).decode() == message.payload
