"""`trigger_decisions` and `journey_states`: appended after the changes of the same call, and read again at a start.

That nothing is decided twice does not hang on transaction ids: what the tables hold is read at a start, before anything is
decided. The ids only keep a commit from being made twice. How far all of it came stands in a file beside the checkpoints; from
somewhat before that a start looks again.
"""

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa

from jobs.core.failpoints import Failpoint, fail_at
from jobs.core.files import write_durably
from jobs.core.settings import Settings
from jobs.lake import delta
from jobs.segments.language.journeys import Journey
from jobs.segments.language.triggers import Trigger
from jobs.segments.triggers.book import Book
from jobs.segments.triggers.desk import Outcome
from jobs.segments.triggers.rows import TABLES
from jobs.segments.triggers.store import Store

DECISIONS, STATES, OUTCOMES = "trigger_decisions", "journey_states", "ops_sync_outcomes"
APP = "segments:triggers"
DIGITS = 16
# How long before a moment those events may have been received that silver brings after it.
LAG = timedelta(hours=1)
DECIDED = (
    "select given.* exclude (reasons, event_keys), nullif(array_to_string(reasons, ','), '') as reasons, event_keys,"
    " greatest(0, cast(floor(epoch(known_at) - epoch(occasion_at)) as bigint)) as delay_seconds,"
    " definition_version, coalesce(is_simulated, false) as is_simulated from given"
    " left join people using (profile_id) left join decision_versions on name = coalesce(journey_name, trigger_name)"
)
STOOD = (
    "select given.*, definition_version, coalesce(is_simulated, false) as is_simulated from given"
    " left join people using (profile_id) left join decision_versions on name = journey_name"
)
LIVING = "coalesce(to_profile_id, given.profile_id) as profile_id"


def versions(book: Book) -> dict[str, str]:
    """Trigger or journey → 16 hex digits that change with it or with the policy; descriptions and owners do not count."""
    definitions: dict[str, Trigger | Journey] = {**book.triggers, **book.journeys}
    return {name: _version(definition, book) for name, definition in definitions.items()}


def _version(definition: Trigger | Journey, book: Book) -> str:
    parts = [one.model_dump(mode="json", exclude={"description", "owner"}) for one in (definition, book.policy)]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:DIGITS]


def prepare(connection: Any, book: Book) -> None:
    """Puts the versions where `append` finds them."""
    connection.execute("create or replace table decision_versions (name varchar, definition_version varchar)")
    if found := list(versions(book).items()):
        connection.executemany("insert into decision_versions values (?, ?)", found)


def append(settings: Settings, connection: Any, outcome: Outcome) -> None:
    """Appends what was decided, then where the journeys stand."""
    fail_at(settings, Failpoint.BEFORE_TRIGGER_DECISIONS)
    _append(settings, DECISIONS, _completed(connection, outcome.decisions, DECIDED))
    fail_at(settings, Failpoint.AFTER_TRIGGER_DECISIONS_BEFORE_JOURNEYS)
    _append(settings, STATES, _completed(connection, outcome.standings, STOOD))


def _append(settings: Settings, name: str, rows: pa.Table) -> None:
    if rows.num_rows:
        app = f"{APP}:{name}"
        version = delta.last_transaction(settings, name, app) + 1
        delta.append(settings, name, rows, app_id=app, app_version=version)


def _completed(connection: Any, given: pa.Table, query: str) -> pa.Table:
    connection.register("given", given)
    found: pa.Table = connection.execute(query).to_arrow_table()
    connection.unregister("given")
    return found


def restore(settings: Settings, connection: Any, store: Store) -> None:
    """Fills the empty tables of a store from the lake's; what belonged to a profile that leads on (`led_on`) belongs to that."""
    for table, name in (("decisions", DECISIONS), ("standings", STATES)):
        connection.register("given", delta.read(settings, name))
        columns = [_restored(column.name, str(column.type)) for column in TABLES[table]]
        rows = connection.execute(
            f"select {', '.join(columns)} from given left join led_on on given.profile_id = from_profile_id"
        ).to_arrow_table()
        connection.unregister("given")
        store.add(table, rows)
    deliver(settings, connection)


def _restored(name: str, kind: str) -> str:
    if name == "profile_id":
        return LIVING
    if name == "reasons":
        return "coalesce(string_split(reasons, ','), []) as reasons"
    return f"cast({name} as timestamp) as {name}" if kind.startswith("timestamp") else name


def deliver(settings: Settings, connection: Any) -> None:
    """Takes in what syncs have delivered: rows whose key is an occasion."""
    columns = ["profile_id", "operation", "outcome", "acknowledged_at"]
    connection.register("given", delta.read(settings, OUTCOMES, columns))
    connection.execute(
        "insert into deliveries by name select profile_id as occasion_id, min(cast(acknowledged_at as timestamp)) as sent_at"
        " from given where outcome = 'delivered' and operation <> 'remove' and acknowledged_at is not null"
        " and profile_id in (select occasion_id from decisions)"
        " and profile_id not in (select occasion_id from deliveries) group by profile_id"
    )
    connection.unregister("given")


@dataclass(frozen=True)
class Progress:
    """Since when triggers are at work, and up to when all is decided and appended. UTC without zone."""

    first: datetime
    done: datetime

    @property
    def resumes_from(self) -> datetime:
        """From when on occasions are looked for again after a stop, safely before whatever may be missing."""
        return max(self.first, self.done - LAG)


def progress(settings: Settings) -> Progress | None:
    """How far the last process came; None before the first start."""
    file = _progress_file(settings)
    if not file.exists():
        return None
    found = json.loads(file.read_text(encoding="utf-8"))
    return Progress(datetime.fromisoformat(found["first"]), datetime.fromisoformat(found["done"]))


def done(settings: Settings, first: datetime, moment: datetime) -> None:
    """Writes down that everything up to the moment is appended, and that nothing later needs to be."""
    told = {"first": first.isoformat(), "done": moment.isoformat()}
    file = _progress_file(settings)
    file.parent.mkdir(parents=True, exist_ok=True)
    write_durably(file, json.dumps(told) + "\n")


def _progress_file(settings: Settings) -> Path:
    return settings.checkpoints / "triggers.json"
