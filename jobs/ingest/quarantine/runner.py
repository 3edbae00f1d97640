"""What the commands do under the ingest lock: replay, rehearse a replay, discard."""

from contextlib import closing

import pyarrow as pa

from jobs.core.context import Context
from jobs.core.errors import PermanentError
from jobs.ingest.balance import record_balance
from jobs.ingest.quarantine import journal
from jobs.ingest.quarantine.patch_rules import PatchRule
from jobs.ingest.quarantine.replay import INSTANT, Replay, Report, settle
from jobs.ingest.quarantine.rows import DISCARDED, Quarantine, Selection
from jobs.ingest.quarantine.spans import NotJsonError
from jobs.lake.delta import ensure_all, update
from jobs.lake.locks import ingest_lock, maintenance_lock
from jobs.lake.runs import stage


def run(replay: Replay) -> Report:
    """Replays and records stage and balance. Raises PermanentError when the balance is off."""
    context = replay.context
    settings = context.settings
    with ingest_lock(settings), maintenance_lock(settings), stage(context, "quarantine.replay") as record:
        ensure_all(context.settings)
        report = replay.run()
        record.rows_in = report.matched
        record.rows_out = sum(report.outcomes.values()) - report.still_failing
        record.details = {"rule": report.label, "still_failing": dict(report.why)}
        wrong = [str(row["source"]) for row in record_balance(context) if not row["is_balanced"]]
        if wrong:
            raise PermanentError(f"the balance is off for {', '.join(wrong)}; see `c360 ops balance`")
    return report


def rehearse(replay: Replay) -> Report:
    """What `run` would report; writes to no table."""
    with ingest_lock(replay.context.settings):
        return replay.rehearse()


def discard(context: Context, selection: Selection, rule: PatchRule | None, *, why: str, rehearsal: bool) -> int:
    """Gives the pending rows up that are meant (and that the rule is for); returns how many. One commit."""
    with ingest_lock(context.settings):
        if not rehearsal:
            ensure_all(context.settings)
            journal.finish_interrupted(context.settings)
        with closing(Quarantine(context.settings)) as quarantine:
            if not rehearsal:
                settle(context, quarantine)
            rows = quarantine.selected(selection)
            meant = [row["message_id"] for row in rows if rule is None or _is_for(rule, row["payload"])]
        if meant and not rehearsal:
            said = {"replay_state": DISCARDED, "discard_why": why}
            changes = {name: pa.array([text] * len(meant), pa.string()) for name, text in said.items()}
            at = pa.array([context.clock.now()] * len(meant), INSTANT)
            table = pa.table({"message_id": pa.array(meant, pa.string())} | changes | {"discarded_at": at})
            update(context.settings, "quarantine_messages", table, key="message_id")
    return len(meant)


def _is_for(rule: PatchRule, payload: str | None) -> bool:
    try:
        return rule.match.has_fields(payload or "")
    except NotJsonError:
        return False
