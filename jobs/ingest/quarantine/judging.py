"""Judges repaired messages by the same code as the stream's, and brings what each table would get to this process."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import pyarrow as pa

from jobs.core.catalog import lake_table
from jobs.core.settings import Settings
from jobs.lake.schema import arrow_schema

if TYPE_CHECKING:
    from jobs.ingest.stream.silver import SilverBatch

FAULTS = ("message_id", "reason_codes", "reason_details", "contract_version")
# What a rehearsal need not compute: nobody is told of it.
PLACES = ("silver_events", "silver_records", "silver_identifiers", "consents", "ops_dropped_messages")
NOT_REHEARSED = ("silver_identifiers", "consents")


@dataclass(frozen=True)
class Verdicts:
    """What became of a chunk: the rows that each table gets, and the columns FAULTS of those that are still wrong."""

    tables: dict[str, pa.Table]
    failing: pa.Table


class Judge(Protocol):
    """Judges rows of the shape of bronze_messages; `mark` becomes their ingest_batch."""

    def __call__(self, messages: pa.Table, mark: str, *, rehearsal: bool) -> Verdicts:
        """A rehearsal leaves nothing behind, in the vault neither."""


class StreamJudge:
    """The judge of the silver stream. What it accepts must be in silver before it is asked again."""

    def __init__(self, batch: "SilverBatch") -> None:
        self.batch = batch

    def __call__(self, messages: pa.Table, mark: str, *, rehearsal: bool) -> Verdicts:
        """As `Judge`; the vault learns new identifiers first."""
        from jobs.lake.frames import to_arrow

        try:
            judged = self.batch.judge(self.batch.session.createDataFrame(messages))
            if not rehearsal:
                self.batch.keep_identifiers(judged)
            unasked = NOT_REHEARSED if rehearsal else ()
            found = {name: to_arrow(rows, name) for name, rows in judged.tables(mark).items() if name not in unasked}
            self.batch.known.remember()
        finally:
            self.batch.forget()
        tables = {name: found.get(name, _nothing(name)) for name in PLACES}
        return Verdicts(tables, found.get("quarantine_messages", _nothing("quarantine_messages")).select(FAULTS))


def _nothing(name: str) -> pa.Table:
    """The judge does not name a table that it has no row for."""
    return arrow_schema(lake_table(name).contract).empty_table()


@contextmanager
def stream_judge(settings: Settings) -> Iterator[Judge]:
    """Opens Spark for as long as it takes."""
    from jobs.ingest.stream.silver import SilverBatch
    from jobs.lake.session import open_session
    from jobs.privacy.keys import load_keys

    session = open_session(settings, "c360-quarantine")
    try:
        yield StreamJudge(SilverBatch(session, settings, load_keys(settings)[0]))
    finally:
        session.stop()
