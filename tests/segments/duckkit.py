"""A world as relations of a DuckDB connection, and what the compiled query makes of it."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import duckdb
import pyarrow as pa

from jobs.segments.evaluate.local import Evaluator
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


class Duck:
    """One catalogue over one world on a connection; asked as often as one likes."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, world: World) -> None:
        self.connection, self.catalogue = connection, world.catalogue
        self.evaluator = Evaluator(world.catalogue)
        self.found: dict[Asked, tuple[Answers, datetime | None]] = {}
        rows = [{"profile_id": name, **row} for name, row in world.attributes.items()]
        connection.register("eval_events", pa.Table.from_pylist([vars(event) for event in world.history], EVENTS))
        connection.register("attributes", pa.Table.from_pylist(rows, ATTRIBUTES))

    def ask(self, asked: Iterable[Asked]) -> dict[Asked, tuple[Answers, datetime | None]]:
        """The answers per profile and instant, with their due time. What was answered is not asked again."""
        wanted = set(asked)
        if missing := sorted(wanted - set(self.found)):
            self._query(missing)
        return {key: self.found[key] for key in wanted}

    def chase(self, rounds: int) -> None:
        """Asks for the dues of all that was asked, and for theirs: together they cost less than one by one."""
        for _ in range(rounds):
            last = {name: max(when for other, when in self.found if other == name) for name, _ in self.found}
            dues = {(name, due) for (name, _), (_, due) in self.found.items() if due is not None and due <= last[name]}
            self.ask(dues)

    def _query(self, asked: list[Asked]) -> None:
        rows = [{"profile_id": name, "as_of": moment} for name, moment in asked]
        self.connection.register("asked", pa.Table.from_pylist(rows, ASKED))
        found = self.evaluator.evaluate(self.connection).to_pylist()
        assert len(found) == len(asked)
        self.found |= {(row["profile_id"], row["as_of"]): (self._named(row), row["due_at"]) for row in found}

    def _named(self, row: dict[str, Any]) -> Answers:
        traits = {name: row[f"trait_{name}"] for name in self.catalogue.traits}
        return traits | {name: row[f"in_{name}"] for name in self.catalogue.segments}
