"""A reader of topics on the session of the lane: what `c360 ingest run --source kafka` does, whole or only as far as bronze."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
from click.testing import CliRunner, Result
from pyspark.sql import SparkSession

from jobs.core.clock import Clock
from jobs.core.context import Context
from jobs.core.errors import C360Error
from jobs.core.settings import Settings
from jobs.ingest import run as ingest_run
from jobs.ingest.commands import group
from jobs.ingest.kafka.plan import make_plans
from jobs.ingest.kafka.reader import run_kafka
from jobs.ingest.stream.silver import run_silver
from jobs.lake.delta import ensure_all, read
from jobs.privacy.keys import load_keys

NOW = datetime(2018, 1, 2, tzinfo=UTC)


def page(number: int, **changes: Any) -> bytes:
    """A page view as another producer writes it."""
    body = {
        "type": "page",
        "messageId": f"k{number}",
        "anonymousId": f"a{number % 7}",
        "timestamp": "2018-01-01T12:00:00Z",
        "properties": {"path": f"/{number}"},
    }
    return json.dumps(body | changes).encode()


def pages(first: int, count: int) -> list[bytes]:
    return [page(number) for number in range(first, first + count)]


@dataclass
class Reader:
    """One home that reads topics."""

    session: SparkSession
    settings: Settings

    @property
    def context(self) -> Context:
        return Context(self.settings, Clock(self.settings.now), "test-run")

    def bronze(self) -> int:
        """Kafka to bronze; returns the records read. Raises what stops the source."""
        ensure_all(self.settings)
        return run_kafka(self.session, self.context, make_plans(self.context))

    def silver(self) -> None:
        run_silver(self.session, self.settings, load_keys(self.settings)[0])

    def rows(self, table: str = "bronze_messages") -> list[dict[str, Any]]:
        """All rows of a table, bronze in the order of receipt."""
        found: list[dict[str, Any]] = read(self.settings, table).to_pylist()
        return sorted(found, key=lambda row: row["receive_position"]) if table == "bronze_messages" else found

    def offsets(self, partition: int = 0) -> list[int]:
        """The offsets of one partition in bronze, in the order of receipt."""
        places = [row["origin"].rsplit(":", 2)[1:] for row in self.rows()]
        return [int(offset) for number, offset in places if int(number) == partition]

    def command(self, *arguments: str) -> tuple[int, str]:
        """`c360 ingest …` in this process; returns the exit code and all that it says."""
        found: Result = CliRunner().invoke(group, list(arguments), obj=self.context, standalone_mode=False)
        if isinstance(found.exception, C360Error):
            return int(found.exception.exit_code), found.output + str(found.exception)
        assert found.exception is None, found.exception
        return int(found.return_value or 0), found.output


def keep_session(patch: pytest.MonkeyPatch, session: SparkSession) -> None:
    """Lets `run_ingest` work on the session of the lane, and not end it."""
    from jobs.lake import session as module

    assert ingest_run
    patch.setattr(module, "open_session", lambda *_, **__: session)
    patch.setattr(module, "end_session", lambda _: None)
    patch.setattr(session, "stop", lambda: None)
