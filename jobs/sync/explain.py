"""Why a profile is, or is not, at a destination. Names fields and states, never values."""

from typing import Any

from jobs.core.context import Context
from jobs.core.definitions import SyncHeader
from jobs.sync.desired import reveals
from jobs.sync.outbox import Outbox
from jobs.sync.runner import prepare


def explain(context: Context, header: SyncHeader, connection: Any, outbox: Outbox, key: str) -> list[str]:
    """Lines for people: what the relation says, what was acknowledged, what the next run would do."""
    prepared = prepare(context, header, connection, outbox)
    segment = f" for segment {header.segment}" if header.segment else ""
    if key in prepared.desired.rows:
        row = prepared.desired.rows[key]
        filled = [name for name, value in row.items() if value is not None]
        lines = [f"desired: yes, with {', '.join(filled) or 'no fields'}"]
        lines += [f"revealed when sent: {name}" for name in reveals(header) if row[name] is not None]
    elif key in prepared.desired.withheld:
        lines = [f"desired: no, without {header.purpose} consent or suppressed"]
    else:
        lines = [f"desired: no, not in {header.relation}{segment}"]
    state = prepared.history.get(key)
    if state is None:
        lines.append("acknowledged: never sent")
    else:
        what = "removed" if state.row_hash is None else "held there"
        lines.append(f"acknowledged: {what} since {state.acknowledged_at}, change number {state.sequence}")
    step = next((str(c.operation) for c in prepared.plan.changes if c.key == key), "nothing")
    lines.append(f"next run: {step}")
    for past in outbox.outcomes_of(header.name, key):
        reason = f" ({past['reason']})" if past["reason"] else ""
        lines.append(f"run {past['run_id']} at {past['recorded_at']}: {past['operation']} {past['outcome']}{reason}")
    return lines
