"""What a person decides about a gap: accept exactly these offsets, or take a recreated topic for a new one."""

from jobs.core.context import Context
from jobs.core.errors import UsageError
from jobs.ingest.kafka.guard import Gap, GapKind
from jobs.ingest.kafka.ledger import Ledger
from jobs.ingest.kafka.plan import TopicView, views


def accept_gap(context: Context, topic: str, partition: int, *, first: int, last: int, why: str) -> Gap:
    """Accepts the gap that is open in this partition, if it has these very numbers; reading goes on behind it."""
    view = _view(context, topic)
    here = [gap for gap in view.gaps if gap.partition == partition and gap.kind is GapKind.DELETED]
    if not here:
        raise UsageError(f"{topic} partition {partition} has no gap of deleted records; see: c360 ingest kafka gaps")
    if (here[0].first, here[0].last) != (first, last):
        raise UsageError(f"the gap has other numbers now: {here[0]}; to accept that: {here[0].remedy}")
    Ledger(context).accept(view.life, here[:1], why=_reason(why))
    return here[0]


def adopt_topic(context: Context, topic: str, *, why: str) -> list[Gap]:
    """Takes a topic that was deleted and made anew for a new one, read from offset 0; what was unread of the old one is
    written down as lost, as far as anybody knows."""
    view = _view(context, topic)
    gaps = [gap for gap in view.gaps if gap.kind is GapKind.RECREATED]
    if not gaps or view.now is None:
        raise UsageError(f"{topic} was not made anew; see: c360 ingest kafka gaps")
    ledger = Ledger(context)
    ledger.accept(view.life, gaps, why=_reason(why))
    ledger.meet(view.now, {}, base=view.life.base + max(view.places.values(), default=0))
    return gaps


def _view(context: Context, topic: str) -> TopicView:
    if topic not in context.settings.kafka_sources:
        known = ", ".join(context.settings.kafka_sources) or "none"
        raise UsageError(f"{topic} is no topic of the settings; known: {known}")
    return next(view for view in views(context) if view.life.topic == topic)


def _reason(why: str) -> str:
    if not why.strip():
        raise UsageError("--why is empty; say what was found, for whoever looks at the balance later")
    return why.strip()
