"""A real Kafka broker on loopback for tests: a KRaft node from the verified jars of infra/kafka-broker, and what is done to it.

Two listeners: a plain one, whose users may do everything, and one with passwords, where `reader` may do everything and
`outsider`, without any rights, nothing.
"""

import signal
import socket
import subprocess
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any
from uuid import uuid4

from confluent_kafka import KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewPartitions, NewTopic

from jobs.core.settings import Settings, find_java
from jobs.lake.jars import fetch

PASSWORD = "for-tests-only"
JVM = ["-Xmx512m", "-Xms128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto"]
PROPERTIES = """
process.roles={roles}
node.id={node}
controller.quorum.voters=1@127.0.0.1:{controller}
controller.listener.names=CONTROLLER
listeners=PLAINTEXT://127.0.0.1:{plain},SASL://127.0.0.1:{sasl}{listener}
advertised.listeners=PLAINTEXT://127.0.0.1:{plain},SASL://127.0.0.1:{sasl}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,SASL:SASL_PLAINTEXT,CONTROLLER:PLAINTEXT
sasl.enabled.mechanisms=PLAIN
listener.name.sasl.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required \
 user_reader="{password}" user_outsider="{password}";
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS;User:reader
log.dirs={logs}
auto.create.topics.enable=false
num.partitions=1
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=1
group.initial.rebalance.delay.ms=0
leader.imbalance.check.interval.seconds=1
leader.imbalance.per.broker.percentage=0
broker.session.timeout.ms=2000
broker.heartbeat.interval.ms=500
log.cleaner.backoff.ms=200
log.cleaner.dedupe.buffer.size=16777216
log.retention.check.interval.ms=500
log.initial.task.delay.ms=100
file.delete.delay.ms=100
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Broker:
    """One node; `folder` holds its log. It can be killed and started again on the same ports.

    The first node of a cluster is its controller; a second one is made with `first`.
    """

    home: Path
    folder: Path
    first: "Broker | None" = None
    plain: int = field(default_factory=free_port)
    sasl: int = field(default_factory=free_port)
    controller: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def servers(self) -> str:
        return f"127.0.0.1:{self.plain}"

    @cached_property
    def admin(self) -> AdminClient:
        return AdminClient({"bootstrap.servers": self.servers, "log_level": 0})

    def _java(self, *arguments: str) -> list[str]:
        jars = fetch(Settings(home=self.home), "kafka-broker")
        java = find_java()
        assert java
        return [java, *JVM, "-cp", ":".join(str(jar) for jar in jars), *arguments]

    def format(self) -> None:
        """Makes the log folder of a new node."""
        self.folder.mkdir(parents=True)
        names = {"plain": self.plain, "sasl": self.sasl, "password": PASSWORD, "logs": self.folder / "log"}
        if self.first is None:
            controller, listener = self.controller, f",CONTROLLER://127.0.0.1:{self.controller}"
            place = {"node": 1, "roles": "broker,controller", "controller": controller, "listener": listener}
        else:
            place = {"node": 2, "roles": "broker", "controller": self.first.controller, "listener": ""}
        self.properties.write_text(PROPERTIES.format(**names, **place), encoding="utf-8")
        command = self._java(
            "kafka.tools.StorageTool", "format", "-t", "AAAAAAAAAAAAAAAAAAAAAQ", "-c", str(self.properties)
        )
        subprocess.run(command, check=True, capture_output=True)

    @property
    def properties(self) -> Path:
        return self.folder / "server.properties"

    def start(self) -> None:
        """Returns when the broker answers."""
        output = (self.folder / "output.txt").open("ab")
        self.process = subprocess.Popen(
            self._java("kafka.Kafka", str(self.properties)), stdout=output, stderr=subprocess.STDOUT
        )
        output.close()
        end = time.monotonic() + 60
        while True:
            assert self.process.poll() is None, (self.folder / "output.txt").read_text()
            try:
                self.admin.list_topics(timeout=1)
                return
            except KafkaException:
                assert time.monotonic() < end, "the broker does not answer"

    def kill(self) -> None:
        """As a power cut, except that the page cache stays."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait(20)

    def topic(self, name: str = "", partitions: int = 1, replicas: int = 1, **config: str) -> str:
        """A new topic; `name_with_underscores` in `config` stands for its dotted setting."""
        name = name or f"t{uuid4().hex[:8]}"
        settings = {key.replace("_", "."): value for key, value in config.items()}
        new = NewTopic(name, num_partitions=partitions, replication_factor=replicas, config=settings)
        self.admin.create_topics([new])[name].result(20)
        return name

    def leaders(self, topic: str) -> list[int]:
        """The node that leads each partition, -1 where none does; empty while nobody answers."""
        try:
            found = self.admin.list_topics(topic, timeout=2).topics[topic].partitions
        except KafkaException:
            return []
        return [found[number].leader for number in sorted(found)]

    def drop(self, topic: str) -> None:
        """Deletes a topic; returns when its name is free."""
        self.admin.delete_topics([topic])[topic].result(20)
        end = time.monotonic() + 20
        while topic in self.admin.list_topics(timeout=5).topics:
            assert time.monotonic() < end
            time.sleep(0.05)

    def grow(self, topic: str, partitions: int) -> None:
        self.admin.create_partitions([NewPartitions(topic, partitions)])[topic].result(20)

    def delete_before(self, topic: str, offset: int, partition: int = 0) -> None:
        """What retention does: the records before `offset` are gone."""
        place = TopicPartition(topic, partition, offset)
        self.admin.delete_records([place])[place].result(20)

    def producer(self, **options: Any) -> Producer:
        ours = {"bootstrap.servers": self.servers, "log_level": 0, "linger.ms": 1, "message.max.bytes": 2**26}
        return Producer(ours | {key.replace("_", "."): value for key, value in options.items()})

    def send(self, topic: str, values: Iterable[bytes | None], partition: int = 0, **options: Any) -> None:
        """Writes values, all confirmed on return; `options` of the producer, `key`, `headers` and `timestamp` of each."""
        each = {name: options.pop(name) for name in ("key", "headers", "timestamp") if name in options}
        producer = self.producer(acks="all", **options)
        failed: list[str] = []
        for value in values:
            producer.produce(
                topic,
                value=value,
                partition=partition,
                on_delivery=lambda e, _: failed.append(str(e)) if e else None,
                **each,
            )
            producer.poll(0)
        assert producer.flush(30) == 0
        assert not failed, failed[:3]

    def transaction(self, topic: str, values: Sequence[bytes], *, end: str) -> Producer:
        """Writes values in a transaction and ends it by `commit`, `abort` or not at all (`open`)."""
        producer = self.producer(transactional_id=uuid4().hex)
        producer.init_transactions(30)
        producer.begin_transaction()
        for value in values:
            producer.produce(topic, value=value, partition=0)
        producer.flush(30)
        if end == "commit":
            producer.commit_transaction(30)
        elif end == "abort":
            producer.abort_transaction(30)
        return producer
