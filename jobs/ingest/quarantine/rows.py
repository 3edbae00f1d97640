"""Reads the quarantine: which rows a person means, how many for which reason, and one row in full."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Any

from jobs.core.catalog import lake_table
from jobs.core.errors import UsageError
from jobs.core.settings import Settings
from jobs.ingest.quarantine.patch_rules import PatchRule
from jobs.lake.duck import lake_connection
from jobs.lake.schema import arrow_schema

Row = dict[str, Any]
PENDING, REPLAYED, DISCARDED = "pending", "replayed", "discarded"
ARRIVED = ("silver_events", "silver_records", "ops_dropped_messages")
FETCH_ROWS = 1_000
SHORT_ID = 12

COUNTS = """
select source, split_part(detail, ':', 1) as reason, substr(detail, strpos(detail, ':') + 1) as field, contract_version,
    replay_state as state, count(*) as messages, min(received_at) as first_seen, max(received_at) as last_seen,
    arg_max(message_id, receive_position)[:{short}] as example
from (select *, unnest(reason_details) as detail from quarantine_messages where {condition})
where len($reasons) = 0 or list_contains($reasons, split_part(detail, ':', 1))
group by all order by source, messages desc, reason, field, contract_version, state
"""
# A row that a replay has written is in one of these; who died before saying so in the quarantine left it `pending`.
PLACED = """
select message_id, any_value(ingest_batch) as ingest_batch from (
    select message_id, ingest_batch from silver_events where ingest_batch like 'replay:%'
    union all select message_id, ingest_batch from silver_records where ingest_batch like 'replay:%'
    union all select message_id, ingest_batch from ops_dropped_messages where ingest_batch like 'replay:%'
)
group by message_id
"""


@dataclass(frozen=True)
class Selection:
    """Which rows: all that is stated must hold, any value of a tuple will do; an empty tuple says nothing."""

    sources: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()
    events: tuple[str, ...] = ()
    versions: tuple[int, ...] = ()
    since: date | None = None
    state: str | None = PENDING

    @classmethod
    def of_rule(cls, rule: PatchRule) -> "Selection":
        """What a rule's `match` says, the fields of the payload aside."""
        match = rule.match
        return cls(match.source, tuple(match.reasons), match.event, match.contract_version)

    @property
    def condition(self) -> str:
        """SQL over quarantine_messages; its values are bound."""
        terms = {
            "list_contains($sources, source)": bool(self.sources),
            "list_has_any(reason_codes, $reasons)": bool(self.reasons),
            "list_contains($events, name)": bool(self.events),
            "list_contains($versions, contract_version)": bool(self.versions),
            "received_at >= $since": self.since is not None,
            "replay_state = $state": self.state is not None,
        }
        return " and ".join(term for term, is_stated in terms.items() if is_stated) or "true"

    def bound(self, *names: str) -> dict[str, Any]:
        """Values of the parameters that the condition has, and of those named."""
        values = {
            "sources": list(self.sources),
            "reasons": list(self.reasons),
            "events": list(self.events),
            "versions": list(self.versions),
            "since": self.since,
            "state": self.state,
        }
        return {name: value for name, value in values.items() if f"${name}" in self.condition or name in names}


class Quarantine:
    """Reads the table, and where its rows may have gone, as they are now. Close it."""

    def __init__(self, settings: Settings) -> None:
        names = ("quarantine_messages", *ARRIVED)
        self._connection = lake_connection(settings, names)
        for name in names:
            if not (lake_table(name).path(settings) / "_delta_log").exists():
                self._connection.from_arrow(arrow_schema(lake_table(name).contract).empty_table()).create(name)

    def close(self) -> None:
        """Frees the connection."""
        self._connection.close()

    def _rows(self, query: str, bound: Row) -> list[Row]:
        found: list[Row] = self._connection.execute(query, bound).to_arrow_table().to_pylist()
        return found

    def counts(self, selection: Selection) -> list[Row]:
        """Messages per source, reason, field, contract version and state; one with two faults is in two lines."""
        return self._rows(COUNTS.format(condition=selection.condition, short=SHORT_ID), selection.bound("reasons"))

    def total(self, selection: Selection) -> int:
        """How many rows are meant."""
        query = f"select count(*) as messages from quarantine_messages where {selection.condition}"
        return int(self._rows(query, selection.bound())[0]["messages"])

    def one(self, message_id: str) -> Row:
        """The row whose message_id is, or begins with, the text. Raises UsageError when there is none, or two."""
        query = "select * from quarantine_messages where starts_with(message_id, $id) limit 2"
        found = self._rows(query, {"id": message_id})
        if len(found) != 1:
            problem = "more than one message begins" if found else "no quarantined message begins"
            raise UsageError(f"{problem} with {message_id!r}; `c360 quarantine list` shows an example of each reason")
        return found[0]

    def selected(self, selection: Selection) -> Iterator[Row]:
        """The rows in the order of their receipt; those that a replay has placed already are left out."""
        query = f"""
            select * from quarantine_messages
            where {selection.condition} and message_id not in (select message_id from ({PLACED}))
            order by receive_position, message_id
        """
        for batch in self._connection.execute(query, selection.bound()).to_arrow_reader(FETCH_ROWS):
            yield from batch.to_pylist()

    def placed(self) -> list[Row]:
        """(message_id, ingest_batch) of rows that are pending although a replay has placed them."""
        query = f"""
            select message_id, p.ingest_batch from quarantine_messages as q join ({PLACED}) as p using (message_id)
            where q.replay_state = $state
        """
        return self._rows(query, {"state": PENDING})
