"""Plan → guard → deliver → record, for one sync. The warehouse connection is handed in; reading it is all it is used for."""

import fcntl
import hashlib
import hmac
import logging
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pyarrow as pa

from jobs.core.catalog import lake_table
from jobs.core.context import Context
from jobs.core.definitions import SyncHeader, load_syncs
from jobs.core.errors import RetryableError, UsageError
from jobs.core.hashing import hash_parts
from jobs.core.settings import Settings
from jobs.core.token_lock import tokens_in_use
from jobs.lake import delta
from jobs.lake.schema import arrow_schema
from jobs.privacy.keys import load_token_key
from jobs.sync import guard
from jobs.sync.consent import permitted, purposes_of, refused_since
from jobs.sync.deliver import deliver, identify
from jobs.sync.desired import Desired, read_desired
from jobs.sync.destinations import open_destination
from jobs.sync.destinations.base import Destination
from jobs.sync.outbox import Acknowledged, Outbox, Planned, held, open_outbox
from jobs.sync.outcomes import Operation, Outcome, RowOutcome
from jobs.sync.plan import Plan, make_plan, row_hash

log = logging.getLogger(__name__)
RESULTS = "ops_sync_outcomes"


@dataclass(frozen=True)
class Prepared:
    """A plan and what it was made from."""

    destination: Destination
    desired: Desired
    history: Mapping[str, Acknowledged]
    plan: Plan

    @property
    def acknowledged(self) -> int:
        """Rows that the destination holds now."""
        return len(held(self.history))

    @property
    def is_first(self) -> bool:
        """Nothing was ever acknowledged."""
        return not self.history


def find_sync(settings: Settings, name: str) -> SyncHeader:
    """The sync by name; raises UsageError with the known names."""
    syncs = load_syncs(settings.project_root)
    if name not in syncs:
        raise UsageError(f"unknown sync {name!r}; known: {', '.join(syncs) or 'none'} (jobs/sync/syncs)")
    return syncs[name]


def prepare(context: Context, header: SyncHeader, connection: Any, outbox: Outbox) -> Prepared:
    """The plan as of now, consent and suppression applied first. Writes nothing."""
    destination = open_destination(context.settings, header)
    guard.check_header(header, is_local=destination.is_local)
    purposes = purposes_of(header.purpose, is_third_party=destination.is_third_party)
    allowed = permitted(connection, purposes) - refused_since(context.settings, purposes, now=context.clock.now())
    desired = read_desired(connection, header, allowed)
    secret = hash_secret(context.settings)
    hashes = {key: row_hash(row, secret) for key, row in desired.rows.items()}
    history = outbox.history(header.name)
    return Prepared(destination, desired, history, make_plan(hashes, held(history)))


def check(header: SyncHeader, prepared: Prepared, *, approved: bool = False) -> None:
    """Raises GateError when the plan breaks a rule of the guard."""
    guard.check_plan(
        header, prepared.plan, acknowledged=prepared.acknowledged, is_first=prepared.is_first, approved=approved
    )


def run_sync(context: Context, header: SyncHeader, connection: Any, *, approved: bool = False) -> list[RowOutcome]:
    """Sends what changed and keeps the answers; returns one outcome per change and per withheld row.

    Raises GateError when the guard stops it, RetryableError when the same sync is running already.
    """
    with (
        tokens_in_use(context.settings),
        _alone(context.settings, header.name),
        open_outbox(context.settings) as outbox,
    ):
        publish_outcomes(context, outbox)  # what a crash left behind comes first
        prepared = prepare(context, header, connection, outbox)
        check(header, prepared, approved=approved)
        outcomes = _send(context, header, prepared, outbox)
        publish_outcomes(context, outbox)
    counts = Counter(f"{row.operation} {row.outcome}" for row in outcomes)
    log.info("%s: %s", header.name, ", ".join(f"{n} {what}" for what, n in sorted(counts.items())) or "nothing to send")
    return outcomes


def _send(context: Context, header: SyncHeader, prepared: Prepared, outbox: Outbox) -> list[RowOutcome]:
    parked = outbox.parked(header.name)
    planned = identify(header, prepared.plan, prepared.history)
    live = [item for item in planned if item.idempotency_key not in parked]
    skipped = [_skipped(item, "parked") for item in planned if item.idempotency_key in parked]
    skipped += _withheld(prepared)
    outbox.put(header.name, header.destination, live, run_id=context.run_id, at=context.clock.now())
    number, answers = deliver(context, header, prepared.destination, live, prepared.desired.rows)
    outcomes = [*answers, *skipped]
    if outcomes:
        batch = hash_parts([context.run_id, number])
        outbox.settle(header.name, outcomes, batch=batch, run_id=context.run_id, at=context.clock.now())
    return outcomes


def _skipped(item: Planned, reason: str) -> RowOutcome:
    return RowOutcome(item.change.key, item.change.operation, Outcome.SKIPPED, reason, item.change.row_hash)


def _withheld(prepared: Prepared) -> list[RowOutcome]:
    """Rows of the relation that may not be sent: never added or updated; if they were sent before, the plan removes them."""
    there = held(prepared.history)
    return [
        RowOutcome(
            key, Operation.UPDATE if key in there else Operation.ADD, Outcome.SKIPPED, "no_consent_or_suppressed"
        )
        for key in sorted(prepared.desired.withheld)
    ]


def hash_secret(settings: Settings) -> bytes:
    """The key of the row hashes, derived from the key of fingerprints: nothing more to keep or to lose, and no rotation
    makes a row look changed that is not."""
    return hmac.new(load_token_key(settings).stable, b"c360 sync row hash v1", hashlib.sha256).digest()


def publish_outcomes(context: Context, outbox: Outbox) -> int:
    """Carries outcomes that are not in the lake yet to `ops_sync_outcomes`, each batch once; returns how many rows."""
    schema = arrow_schema(lake_table(RESULTS).contract)
    count = 0
    for (sync, batch), kept in outbox.unpublished().items():
        rows = [_lake_row(row) for row in kept]
        table = pa.Table.from_pylist(rows, schema=schema)
        delta.append(context.settings, RESULTS, table, app_id=f"sync:{sync}:{batch}")
        outbox.mark_published(sync, batch)
        count += len(rows)
    return count


def _lake_row(kept: Mapping[str, object]) -> dict[str, object]:
    acknowledged = kept["acknowledged_at"]
    return {
        "run_id": kept["run_id"],
        "sync_name": kept["sync"],
        "profile_id": kept["key"],
        "operation": kept["operation"],
        "outcome": kept["outcome"],
        "reason": kept["reason"],
        "row_hash": kept["row_hash"],
        "acknowledged_at": datetime.fromisoformat(str(acknowledged)) if acknowledged else None,
        "recorded_at": datetime.fromisoformat(str(kept["recorded_at"])),
    }


@contextmanager
def _alone(settings: Settings, sync: str) -> Iterator[None]:
    """One run of a sync at a time on this home; released by the system when the process ends."""
    folder = settings.home / "outbox"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (folder / f"{sync}.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise RetryableError(f"sync {sync} is running already; wait for it to end, then run it again") from error
        yield
