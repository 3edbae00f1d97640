"""The tables that one judged batch becomes: each row of it in exactly one of accepted, duplicate, quarantined, suppressed.

By Spark here, for big batches; `local_outputs` makes the same of small ones in memory, and a test holds the two together.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import reduce
from typing import Protocol

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from jobs.core.catalog import lake_table
from jobs.ingest.reasons import DropReason, Reason
from jobs.ingest.stream import dedupe
from jobs.lake.frames import Rows

EVENT_COLUMNS = (
    "message_id", "source", "is_simulated", "origin", "receive_position", "received_at", "landed_date", "payload", "errors",
    "contract_version", "event_id", "type", "name", "occurred_at", "effective_at", "is_time_suspect", "user_id",
    "anonymous_id", "loyalty_id", "email_token", "phone_token", "consent", "context", "properties", "event_date", "flags",
    "key_hash", "body_hash", "is_suppressed", "identifiers", "statements", "vaulted", "endpoint", "receipt",
    "payload_error",
)  # fmt: skip
STATEMENT_KEY = ("source", "identifier_type", "identifier_value", "purpose", "status", "event_date")
STATEMENT_NEWS = ("event_id", "is_simulated", "effective_at", "received_at", "receive_position")
STATEMENT_ID = ("source", "event_id", "identifier_type", "identifier_value", "purpose")
SEPARATOR = "\x1f"
CONFLICT_ERROR = f"{Reason.ID_CONFLICT.value}:messageId"
PENDING = "pending"


class Judged(Protocol):
    """One batch, judged."""

    def vaulted(self) -> Iterable[tuple[str, str]]:
        """(token, value) of everything that silver is about to refer to by token, and (record, statement) of what is said of
        people. Suppressed events are among it by their tokens alone: what they say of consent is kept, and must survive a
        rotation of the key."""

    def tables(self, mark: str) -> Mapping[str, Rows]:
        """What each table gets, by its name, with `mark` as ingest_batch. Tables that get nothing need not be named."""


@dataclass(frozen=True)
class SparkJudged:
    """Judged events and records with `verdict` (duplicate, conflict or NULL); errors decide first.

    None stands for a kind that the batch has no row of; `empty` names tables that get no row.
    """

    events: DataFrame | None
    records: DataFrame | None
    empty: frozenset[str] = frozenset()
    has_contacts: bool = True

    def vaulted(self) -> Iterable[tuple[str, str]]:
        """As `Judged`."""
        rows = [*self.unique_events(), *self.accepted_records()]
        if not rows or not self.has_contacts:
            return ()
        pairs = [frame.select(F.inline("vaulted")) for frame in rows]
        found = reduce(DataFrame.union, pairs).distinct().toArrow().to_pydict()
        return zip(found["token"], found["value"], strict=True)

    def unique_events(self) -> list[DataFrame]:
        """First sightings of valid events, suppressed ones too: what they say of consent counts."""
        return [rows.where(_is_unique()) for rows in _present(self.events)]

    def accepted_events(self) -> list[DataFrame]:
        """Rows of silver_events."""
        return [rows.where(~F.col("is_suppressed")) for rows in self.unique_events()]

    def accepted_records(self) -> list[DataFrame]:
        """Rows of silver_records."""
        return [rows.where(_is_unique()) for rows in _present(self.records)]

    def tables(self, mark: str) -> dict[str, DataFrame]:
        """As `Judged`."""
        if not _present(self.events, self.records):
            return {}
        parts = {
            "silver_events": self.accepted_events(),
            "silver_records": self.accepted_records(),
            "silver_identifiers": [
                rows.select("*", F.inline("identifiers"))
                for rows in (*self.accepted_events(), *self.accepted_records())
            ],
            "consents": self.consents(),
        }
        found = {name: _union(frames, name) for name, frames in parts.items() if frames}
        found |= {"quarantine_messages": self.quarantined(), "ops_dropped_messages": self.dropped()}
        marked = {name: frame.withColumn("ingest_batch", F.lit(mark)) for name, frame in found.items()}
        return {name: frame for name, frame in marked.items() if name not in self.empty}

    def consents(self) -> list[DataFrame]:
        """Rows of consents."""
        stated = F.inline("statements")
        of_events = [_latest_statement(rows.select("*", stated)) for rows in self.unique_events()]
        of_records = [rows.select("*", stated) for rows in self.accepted_records()]
        consent_id = F.sha2(F.concat_ws(SEPARATOR, *STATEMENT_ID), 256)
        return [rows.withColumn("consent_id", consent_id) for rows in (*of_events, *of_records)]

    def quarantined(self) -> DataFrame:
        """Rows of quarantine_messages: what is wrong, and what claims the id of another event."""
        is_conflict = (F.size("errors") == 0) & (F.col("verdict") == dedupe.CONFLICT)
        frames = [rows.where(F.size("errors") > 0) for rows in _present(self.events, self.records)]
        frames += [
            rows.where(is_conflict).withColumn("errors", F.array(F.lit(CONFLICT_ERROR)))
            for rows in _present(self.events)
        ]
        return _with_reasons(_union(frames, "quarantine_messages", ("errors", "landed_date")))

    def dropped(self) -> DataFrame:
        """Rows of ops_dropped_messages."""
        repeated_event = (F.size("errors") == 0) & (F.col("verdict") == dedupe.DUPLICATE)
        repeated_record = (F.size("errors") == 0) & F.col("verdict").isNotNull()
        repeats = [_dropped(rows.where(repeated_event), DropReason.REPEATED_EVENT_ID) for rows in _present(self.events)]
        repeats += [
            _dropped(rows.where(repeated_record), DropReason.REPEATED_RECORD) for rows in _present(self.records)
        ]
        suppressed = [
            _dropped(rows.where(F.col("is_suppressed")), DropReason.NO_ANALYTICS_CONSENT)
            for rows in self.unique_events()
        ]
        return _union([*repeats, *suppressed], "ops_dropped_messages")


def outcome_of(reason: DropReason) -> str:
    """The column `outcome` of a dropped message."""
    return "suppressed" if reason is DropReason.NO_ANALYTICS_CONSENT else "duplicate"


def _is_unique() -> Column:
    return (F.size("errors") == 0) & F.col("verdict").isNull()


def _present(*frames: DataFrame | None) -> list[DataFrame]:
    return [frame for frame in frames if frame is not None]


def _union(frames: list[DataFrame], table: str, extra: tuple[str, ...] = ()) -> DataFrame:
    """The frames' rows with the columns of the table; what they do not have is NULL."""
    columns = lake_table(table).contract.columns

    def whole(frame: DataFrame) -> DataFrame:
        has = set(frame.columns)
        found = [F.col(c.name) if c.name in has else F.lit(None).cast(c.type).alias(c.name) for c in columns]
        return frame.select(*found, *extra)

    return reduce(DataFrame.unionByName, map(whole, frames))


def _latest_statement(found: DataFrame) -> DataFrame:
    """The last statement of a day per identifier, purpose and status: a page view a second is no news."""
    last = F.max_by(F.struct(*STATEMENT_NEWS), F.struct("effective_at", "receive_position")).alias("last")
    return found.groupBy(*STATEMENT_KEY).agg(last).select(*STATEMENT_KEY, "last.*")


def _with_reasons(rejected: DataFrame) -> DataFrame:
    return rejected.withColumns(
        {
            "reason_codes": F.array_distinct(F.transform("errors", lambda error: F.split(error, ":")[0])),
            "reason_details": F.col("errors"),
            "replay_state": F.lit(PENDING),
            "quarantined_date": F.col("landed_date"),
        }
    )


def _dropped(frame: DataFrame, reason: DropReason) -> DataFrame:
    return frame.select("message_id", "source", "event_id", "received_at").withColumns(
        {
            "outcome": F.lit(outcome_of(reason)),
            "reason": F.lit(reason.value),
            "received_date": F.to_date("received_at"),
        }
    )
