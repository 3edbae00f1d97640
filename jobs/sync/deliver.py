"""From a plan to answers: gives each change its identity, reveals what may be revealed, hands the batch to the destination."""

from collections.abc import Mapping, Sequence

from jobs.core.context import Context
from jobs.core.definitions import SyncHeader
from jobs.core.errors import PermanentError
from jobs.core.hashing import hash_parts
from jobs.sync.desired import REVEALED, reveals
from jobs.sync.destinations.base import Batch, Delivery, Destination
from jobs.sync.outbox import Acknowledged, Planned
from jobs.sync.outcomes import Operation, Outcome, RowOutcome
from jobs.sync.plan import Plan, idempotency_key

Rows = Mapping[str, Mapping[str, object]]


def identify(header: SyncHeader, plan: Plan, history: Mapping[str, Acknowledged]) -> list[Planned]:
    """Each change with the key it is sent under; the same until it is acknowledged."""
    sequences = {key: state.sequence for key, state in history.items()}
    return [
        Planned(change, idempotency_key(header.name, header.destination, change, sequences.get(change.key, 0)))
        for change in plan.changes
    ]


def deliver(
    context: Context, header: SyncHeader, destination: Destination, planned: Sequence[Planned], rows: Rows
) -> tuple[str, list[RowOutcome]]:
    """Sends the changes; returns the batch number and exactly one outcome per change.

    A row whose token the vault does not know is rejected and not sent. Raises what the destination raises, and
    PermanentError when it does not answer for each row once.
    """
    deliveries, rejected = _reveal(context, header, planned, rows)
    number = hash_parts([header.name, *sorted(d.idempotency_key for d in deliveries)])
    batch = Batch(number, context.run_id, context.clock.now(), tuple(deliveries))
    answers = destination.deliver(batch) if deliveries else []
    sent, answered = sorted(d.idempotency_key for d in deliveries), sorted(str(a.idempotency_key) for a in answers)
    if sent != answered:
        raise PermanentError(
            f"destination {header.destination} answered {len(answered)} rows for {len(sent)} sent; "
            "nothing was acknowledged, repair its `deliver`"
        )
    return number, [*answers, *rejected]


def _reveal(
    context: Context, header: SyncHeader, planned: Sequence[Planned], rows: Rows
) -> tuple[list[Delivery], list[RowOutcome]]:
    hidden = reveals(header)
    values = _values(context, header, planned, rows, hidden)
    deliveries, rejected = [], []
    for item in planned:
        change = item.change
        if change.operation is Operation.REMOVE:
            deliveries.append(Delivery(change.key, change.operation, item.idempotency_key, None, {}))
            continue
        row = rows[change.key]
        if any(row[name] is not None and str(row[name]) not in values for name in hidden):
            answer = (Outcome.REJECTED, "identifier_not_in_vault", change.row_hash, item.idempotency_key)
            rejected.append(RowOutcome(change.key, change.operation, *answer))
            continue
        shown = {name: values.get(str(value)) if name in hidden else value for name, value in row.items()}
        deliveries.append(Delivery(change.key, change.operation, item.idempotency_key, change.row_hash, shown))
    return deliveries, rejected


def _values(
    context: Context, header: SyncHeader, planned: Sequence[Planned], rows: Rows, hidden: list[str]
) -> dict[str, str]:
    """Token → raw value for the rows that are sent; no audit entry when nothing is to be revealed."""
    from jobs.privacy.vault import reveal

    sent = (rows[item.change.key] for item in planned if item.change.operation is not Operation.REMOVE)
    tokens = sorted({str(row[name]) for row in sent for name in hidden if row[name] is not None})
    what = ", ".join(REVEALED[name] for name in hidden)
    return reveal(context, tokens, purpose=f"sync {header.name}: {what}") if tokens else {}
