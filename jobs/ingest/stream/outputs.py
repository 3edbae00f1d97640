"""The tables that one judged batch becomes: each row of it in exactly one of accepted, duplicate, quarantined, suppressed."""

from dataclasses import dataclass
from functools import reduce

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from jobs.core.catalog import lake_table
from jobs.ingest.reasons import DropReason, Reason
from jobs.ingest.stream import consents, dedupe, events, records

EVENT_COLUMNS = (
    "message_id", "source", "is_simulated", "origin", "receive_position", "received_at", "landed_date", "payload", "errors",
    "contract_version", "event_id", "type", "name", "occurred_at", "effective_at", "is_time_suspect", "user_id",
    "anonymous_id", "loyalty_id", "email", "phone", "email_token", "phone_token", "consent", "context", "properties",
    "event_date", "preferences", "gpc", "key_kind", "flags", "body_hash", "is_suppressed", "also_vaulted",
)  # fmt: skip
NEWS_COLUMNS = ["event_id", "is_simulated", "effective_at", "received_at", "receive_position", "name"]


@dataclass(frozen=True)
class Judged:
    """One batch: judged events and records with `verdict` (duplicate, conflict or NULL); errors decide first.

    None stands for a kind that the batch has no row of; `empty` names tables that get no row; `rows` counts all of them.
    """

    events: DataFrame | None
    records: DataFrame | None
    rows: int
    empty: frozenset[str] = frozenset()
    has_contacts: bool = True

    def unique_events(self) -> list[DataFrame]:
        """First sightings of valid events, suppressed ones too: what they say of consent counts."""
        return [rows.where((F.size("errors") == 0) & F.col("verdict").isNull()) for rows in _present(self.events)]

    def accepted_events(self) -> list[DataFrame]:
        """Rows of silver_events."""
        return [rows.where(~F.col("is_suppressed")) for rows in self.unique_events()]

    def accepted_records(self) -> list[DataFrame]:
        """Rows of silver_records."""
        return [rows.where((F.size("errors") == 0) & F.col("verdict").isNull()) for rows in _present(self.records)]

    def tables(self) -> dict[str, DataFrame]:
        """What each table gets, by its name; tables that cannot get anything are not named."""
        if not _present(self.events, self.records):
            return {}
        parts = {
            "silver_events": self.accepted_events(),
            "silver_records": self.accepted_records(),
            "silver_identifiers": self.identifiers(),
            "consents": self.consents(),
        }
        found = {name: _union(frames, name) for name, frames in parts.items() if frames}
        return found | {"quarantine_messages": self.quarantined(), "ops_dropped_messages": self.dropped()}

    def identifiers(self) -> list[DataFrame]:
        """Rows of silver_identifiers."""
        return [
            *map(events.to_identifiers, self.accepted_events()),
            *map(records.record_identifiers, self.accepted_records()),
        ]

    def consents(self) -> list[DataFrame]:
        """Rows of consents."""
        of_events = [
            _latest_statement(consents.to_consents(events.to_identifiers(rows))) for rows in self.unique_events()
        ]
        of_records = [records.record_consents(records.record_identifiers(rows)) for rows in self.accepted_records()]
        parts = ["source", "event_id", "identifier_type", "identifier_value", "purpose"]
        consent_id = F.sha2(F.concat_ws("\x1f", *parts), 256)
        return [rows.withColumn("consent_id", consent_id) for rows in (*of_events, *of_records)]

    def quarantined(self) -> DataFrame:
        """Rows of quarantine_messages: what is wrong, and what claims the id of another event."""
        conflict = F.array(F.lit(f"{Reason.ID_CONFLICT.value}:messageId"))
        is_conflict = (F.size("errors") == 0) & (F.col("verdict") == dedupe.CONFLICT)
        frames = [rows.where(F.size("errors") > 0) for rows in _present(self.events, self.records)]
        frames += [rows.where(is_conflict).withColumn("errors", conflict) for rows in _present(self.events)]
        return _with_reasons(_union(frames, "quarantine_messages", ("errors", "landed_date")))

    def dropped(self) -> DataFrame:
        """Rows of ops_dropped_messages."""
        repeated_event = (F.size("errors") == 0) & (F.col("verdict") == dedupe.DUPLICATE)
        repeated_record = (F.size("errors") == 0) & F.col("verdict").isNotNull()
        repeats = [
            _dropped(rows.where(repeated_event), "duplicate", DropReason.REPEATED_EVENT_ID)
            for rows in _present(self.events)
        ]
        repeats += [
            _dropped(rows.where(repeated_record), "duplicate", DropReason.REPEATED_RECORD)
            for rows in _present(self.records)
        ]
        suppressed = [
            _dropped(rows.where(F.col("is_suppressed")), "suppressed", DropReason.NO_ANALYTICS_CONSENT)
            for rows in self.unique_events()
        ]
        return _union([*repeats, *suppressed], "ops_dropped_messages")


def _present(*frames: DataFrame | None) -> list[DataFrame]:
    return [frame for frame in frames if frame is not None]


def _union(frames: list[DataFrame], table: str, extra: tuple[str, ...] = ()) -> DataFrame:
    """The frames' rows, each cut to those columns of the table that it has."""
    names = lake_table(table).contract.column_names
    cut = [f.select(*[c for c in (*names, *extra) if c in f.columns]) for f in frames]
    return reduce(lambda a, b: a.unionByName(b, allowMissingColumns=True), cut)


def _latest_statement(found: DataFrame) -> DataFrame:
    """The last statement of a day per identifier, purpose and status: a page view a second is no news."""
    key = ["source", "identifier_type", "identifier_value", "purpose", "status", "event_date"]
    last = F.max_by(F.struct(*NEWS_COLUMNS), F.struct("effective_at", "receive_position")).alias("last")
    return found.groupBy(*key).agg(last).select(*key, "last.*")


def _with_reasons(rejected: DataFrame) -> DataFrame:
    return rejected.withColumns(
        {
            "reason_codes": F.array_distinct(F.transform("errors", lambda error: F.split(error, ":")[0])),
            "reason_details": F.col("errors"),
            "replay_state": F.lit("pending"),
            "quarantined_date": F.col("landed_date"),
        }
        | {name: F.lit(None) for name in ("replay_rule", "replayed_at", "discard_why", "discarded_at")}
    )


def _dropped(frame: DataFrame, outcome: str, reason: DropReason) -> DataFrame:
    return frame.select("message_id", "source", "event_id", "received_at").withColumns(
        {"outcome": F.lit(outcome), "reason": F.lit(reason.value), "received_date": F.to_date("received_at")}
    )
