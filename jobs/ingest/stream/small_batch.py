"""A batch that is placed in memory: judged by Spark, brought here as Arrow, and no further work of Spark's.

A micro-batch of some thousand rows costs Spark more in planning than in work, and the placing of rows is a dozen jobs.
"""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from jobs.core.settings import Settings
from jobs.ingest.stream.big_batch import Payloads, conflicting
from jobs.ingest.stream.dedupe import NARROW
from jobs.ingest.stream.key_index import Hashes
from jobs.ingest.stream.known import KnownEvents
from jobs.ingest.stream.local_outputs import LocalJudged
from jobs.ingest.stream.local_verdicts import held_records, local_verdicts

SMALL_CHARACTERS = 64 * 2**20  # of text; most rows are a kilobyte, the longest some megabytes


def characters() -> Column:
    """How much text there is: of messages, and of what their doors noted, where a whole context may stand per message."""
    return F.coalesce(
        F.sum(F.coalesce(F.length("payload"), F.lit(0)) + F.coalesce(F.length("receipt"), F.lit(0))), F.lit(0)
    )


def is_small(settings: Settings, rows: int, text: int) -> bool:
    """Whether so many rows with so much text go through memory: `C360_SMALL_BATCH_ROWS`, and 64 Mi characters."""
    return rows <= settings.small_batch_rows and text <= SMALL_CHARACTERS


def place_small(
    known: KnownEvents, settings: Settings, events: pa.Table | None, records: pa.Table | None, payloads: Payloads
) -> LocalJudged:
    """As `big_batch.place_big`, of tables."""
    if records is not None:
        candidates = _valid(records).select(NARROW)
        told = local_verdicts(candidates, held_records(settings, candidates))
        records = _joined(records, told, "verdict")
    if events is not None:
        verdicts = _verdicts(known, _valid(events))
        events = _joined(events, verdicts, "verdict")
        if conflicts := conflicting(verdicts):
            texts = payloads(conflicts).select("message_id", "payload").toArrow()
            found = _joined(events.select(["message_id"]), texts, "payload").column("payload")
            place = events.schema.get_field_index("payload")
            events = events.set_column(place, "payload", pc.coalesce(events["payload"], found))
    return LocalJudged(events, records)


def _valid(rows: pa.Table) -> pa.Table:
    return rows.filter(pc.equal(pc.list_value_length(rows["errors"]), 0))


def _verdicts(known: KnownEvents, valid: pa.Table) -> pa.Table:
    candidates = valid.select(NARROW)

    def few(hashes: Hashes) -> pa.Table:
        return candidates.filter(pc.is_in(valid["key_hash"], pa.array(hashes)))

    def every() -> DataFrame:
        return known.session.createDataFrame(candidates)

    days = pc.fill_null(valid["event_date"].cast(pa.int32()), 0).to_numpy()
    return known.verdicts(valid["key_hash"].to_numpy(), np.asarray(days, np.int32), few=few, every=every)


def _joined(rows: pa.Table, found: pa.Table, column: str) -> pa.Table:
    """The rows, in their order, with the column of `found` that has their message_id; NULL for the rest."""
    value_of = dict(zip(found["message_id"].to_pylist(), found[column].to_pylist(), strict=True))
    values = [value_of.get(message_id) for message_id in rows["message_id"].to_pylist()]
    return rows.append_column(column, pa.array(values, pa.string()))
