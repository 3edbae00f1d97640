"""The tables of `outputs` for a batch that is in memory: the same rows, filtered and unrolled by Arrow instead of Spark.

What a row says (errors, tokens, identifiers, statements) is computed by one judgement for both; here rows are only placed.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from jobs.core.catalog import lake_table
from jobs.ingest.reasons import DropReason
from jobs.ingest.stream.dedupe import CONFLICT, DUPLICATE
from jobs.ingest.stream.outputs import (
    CONFLICT_ERROR,
    PENDING,
    SEPARATOR,
    STATEMENT_ID,
    STATEMENT_KEY,
    STATEMENT_NEWS,
    outcome_of,
)
from jobs.lake.schema import arrow_schema

TEXTS = pa.list_(pa.string())
# What goes along with each entry of a row's arrays.
ALONG = ("source", "event_id", "effective_at", "received_at", "receive_position", "is_simulated", "event_date")
DROPPED = ("message_id", "source", "event_id", "received_at")


@dataclass(frozen=True)
class LocalJudged:
    """As `outputs.SparkJudged`, of tables; without a verdict, a row's is NULL."""

    events: pa.Table | None
    records: pa.Table | None

    def vaulted(self) -> Iterable[tuple[str, str]]:
        """As `Judged`."""
        found: dict[tuple[str, str], None] = {}
        for rows in _present(self.events, self.records):
            pairs = _unrolled(rows.filter(_is_unique(rows)), "vaulted", ()).to_pydict()
            found |= dict.fromkeys(zip(pairs["token"], pairs["value"], strict=True))
        return found

    def tables(self, mark: str) -> dict[str, pa.Table]:
        """As `Judged`; a table without a row is not named."""
        unique_events = [rows.filter(_is_unique(rows)) for rows in _present(self.events)]
        events = [rows.filter(pc.invert(rows["is_suppressed"])) for rows in unique_events]
        records = [rows.filter(_is_unique(rows)) for rows in _present(self.records)]
        identified = [_unrolled(rows, "identifiers", ALONG) for rows in (*events, *records)]
        stated = [_latest_statement(_unrolled(rows, "statements", ALONG)) for rows in unique_events]
        stated += [_unrolled(rows, "statements", ALONG) for rows in records]
        parts = {
            "silver_events": events,
            "silver_records": records,
            "silver_identifiers": identified,
            "consents": [_with(rows, consent_id=_consent_ids(rows)) for rows in stated],
            "quarantine_messages": self._quarantined(),
            "ops_dropped_messages": self._dropped(unique_events),
        }
        made = {name: _of_contract(found, name, mark) for name, found in parts.items() if found}
        return {name: table for name, table in made.items() if table.num_rows}

    def _quarantined(self) -> list[pa.Table]:
        wrong = [rows.filter(pc.invert(_is_valid(rows))) for rows in _present(self.events, self.records)]
        for rows in _present(self.events):
            conflicts = rows.filter(pc.and_(_is_valid(rows), _has_verdict(rows, CONFLICT)))
            wrong.append(_with(conflicts, errors=pa.array([[CONFLICT_ERROR]] * conflicts.num_rows, TEXTS)))
        return [
            _with(
                rows,
                reason_codes=pa.array([_codes(errors) for errors in rows["errors"].to_pylist()], TEXTS),
                reason_details=rows["errors"],
                replay_state=pa.repeat(PENDING, rows.num_rows),
                quarantined_date=rows["landed_date"],
            )
            for rows in wrong
        ]

    def _dropped(self, unique_events: list[pa.Table]) -> list[pa.Table]:
        found = [(rows.filter(rows["is_suppressed"]), DropReason.NO_ANALYTICS_CONSENT) for rows in unique_events]
        for rows in _present(self.events):
            is_repeated = pc.and_(_is_valid(rows), _has_verdict(rows, DUPLICATE))
            found.append((rows.filter(is_repeated), DropReason.REPEATED_EVENT_ID))
        for rows in _present(self.records):
            is_repeated = pc.and_(_is_valid(rows), pc.is_valid(rows["verdict"]))
            found.append((rows.filter(is_repeated), DropReason.REPEATED_RECORD))
        return [
            _with(
                rows.select(list(DROPPED)),
                outcome=pa.repeat(outcome_of(reason), rows.num_rows),
                reason=pa.repeat(reason.value, rows.num_rows),
                received_date=rows["received_at"].cast(pa.date32()),
            )
            for rows, reason in found
        ]


def _present(*tables: pa.Table | None) -> list[pa.Table]:
    return [table for table in tables if table is not None]


def _is_valid(rows: pa.Table) -> pa.ChunkedArray:
    return pc.equal(pc.list_value_length(rows["errors"]), 0)


def _has_verdict(rows: pa.Table, verdict: str) -> pa.ChunkedArray:
    return pc.fill_null(pc.equal(rows["verdict"], verdict), False)


def _is_unique(rows: pa.Table) -> pa.ChunkedArray:
    return pc.and_(_is_valid(rows), pc.is_null(rows["verdict"]))


def _codes(errors: list[str]) -> list[str]:
    return list(dict.fromkeys(error.split(":", 1)[0] for error in errors))


def _with(rows: pa.Table, **columns: pa.Array | pa.ChunkedArray) -> pa.Table:
    """The rows with these columns, new or in place of their own."""
    for name, values in columns.items():
        place = rows.schema.get_field_index(name)
        rows = rows.append_column(name, values) if place < 0 else rows.set_column(place, name, values)
    return rows


def _unrolled(rows: pa.Table, column: str, along: Sequence[str]) -> pa.Table:
    """A row per entry of an array of structs: its fields as columns, and those of its row that are named."""
    arrays = rows[column].combine_chunks()
    entries = pc.list_flatten(arrays)
    found = rows.select(list(along)).take(pc.list_parent_indices(arrays))
    names = [entries.type.field(place).name for place in range(entries.type.num_fields)]
    fields = {name: pc.struct_field(entries, name) for name in names}
    return _with(found, **fields) if along else pa.table(fields)


def _latest_statement(rows: pa.Table) -> pa.Table:
    """The last statement of a day per identifier, purpose and status: a page view a second is no news."""
    ordered = rows.sort_by([("effective_at", "ascending"), ("receive_position", "ascending")])
    grouped = ordered.group_by(list(STATEMENT_KEY), use_threads=False)  # in order, or there is no last
    last = grouped.aggregate([(name, "last") for name in STATEMENT_NEWS])
    return last.rename_columns([name.removesuffix("_last") for name in last.column_names])


def _consent_ids(rows: pa.Table) -> pa.Array:
    parts = zip(*[rows[name].to_pylist() for name in STATEMENT_ID], strict=True)
    return pa.array([hashlib.sha256(SEPARATOR.join(values).encode()).hexdigest() for values in parts], pa.string())


def _of_contract(found: list[pa.Table], name: str, mark: str) -> pa.Table:
    """The rows of all, with the columns and types of the table; what they do not have is NULL."""
    schema = arrow_schema(lake_table(name).contract)
    marked = [_with(rows, ingest_batch=pa.repeat(mark, rows.num_rows)) for rows in found]
    return pa.concat_tables([_cut(rows, schema) for rows in marked])


def _cut(rows: pa.Table, schema: pa.Schema) -> pa.Table:
    has = set(rows.column_names)
    columns = [
        rows[field.name].cast(field.type) if field.name in has else pa.nulls(rows.num_rows, field.type)
        for field in schema
    ]
    return pa.table(columns, schema=schema)
