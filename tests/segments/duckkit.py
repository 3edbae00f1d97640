"""A world as relations of a DuckDB connection, and what the compiled query makes of it."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import duckdb
import pyarrow as pa

from jobs.segments.evaluate.local import Evaluator
from jobs.segments.language.model import Catalogue
from segments.oracle import World

TIME = pa.timestamp("us")
EVENTS = pa.schema(
    [
        ("profile_id", pa.string()),
        ("event_key", pa.string()),
        ("name", pa.string()),
        ("effective_at", TIME),
        ("received_at", TIME),
        ("receive_position", pa.int64()),
        ("properties", pa.string()),
    ]
)
ASKED = pa.schema([("profile_id", pa.string()), ("as_of", TIME)])
ATTRIBUTES = pa.schema(
    [
        ("profile_id", pa.string()),
        ("is_member", pa.bool_()),
        ("orders", pa.int64()),
        ("spent", pa.decimal128(18, 6)),
        ("city", pa.string()),
        ("first_order_at", TIME),
    ]
)
Asked = tuple[str, datetime]
Answers = dict[str, Any]


def tables(world: World) -> dict[str, pa.Table]:
    """The relations that a query reads, those of who is asked about aside."""
    rows = [{"profile_id": name, **row} for name, row in world.attributes.items()]
    events = [vars(event) for event in world.history]
    return {"eval_events": pa.Table.from_pylist(events, EVENTS), "attributes": pa.Table.from_pylist(rows, ATTRIBUTES)}


def asked_table(asked: Iterable[Asked]) -> pa.Table:
    """Who is asked about, and when."""
    return pa.Table.from_pylist([{"profile_id": name, "as_of": moment} for name, moment in asked], ASKED)


def named(catalogue: Catalogue, row: dict[str, Any]) -> Answers:
    """The answers of a row by the names of their definitions."""
    traits = {name: row[f"trait_{name}"] for name in catalogue.traits}
    return traits | {name: row[f"in_{name}"] for name in catalogue.segments}


class Duck:
    """One catalogue over one world on a connection; asked as often as one likes."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, world: World) -> None:
        self.connection, self.catalogue = connection, world.catalogue
        self.evaluator = Evaluator(world.catalogue)
        self.found: dict[Asked, tuple[Answers, datetime | None]] = {}
        for name, table in tables(world).items():
            connection.register(name, table)

    def ask(self, asked: Iterable[Asked]) -> dict[Asked, tuple[Answers, datetime | None]]:
        """The answers per profile and instant, with their due time. What was answered is not asked again."""
        wanted = set(asked)
        if missing := sorted(wanted - set(self.found)):
            self._query(missing)
        return {key: self.found[key] for key in wanted}

    def _query(self, asked: list[Asked]) -> None:
        self.connection.register("asked", asked_table(asked))
        found = self.evaluator.evaluate(self.connection).to_pylist()
        assert len(found) == len(asked)
        self.found |= {(row["profile_id"], row["as_of"]): (named(self.catalogue, row), row["due_at"]) for row in found}
