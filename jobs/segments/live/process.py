"""The evaluator at work: what arrives goes in, what has changed is told in `segment_changes`, one call after the other.

State after a stop is read from the table (members, and the moment up to which it was told) and from silver; nothing else is
kept. Everything that was told before a crash counts as done, and everything that was not is found again.
"""

import json
import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from time import perf_counter
from typing import Any, Protocol

import pyarrow as pa

from jobs.core.context import Context
from jobs.core.failpoints import Failpoint, fail_at
from jobs.core.files import write_durably
from jobs.core.settings import Settings
from jobs.lake import checkpoints, delta
from jobs.lake.duck import connect
from jobs.segments.compile.collect import Needs
from jobs.segments.language.model import Catalogue
from jobs.segments.live import ledger
from jobs.segments.live.core import Live, after
from jobs.segments.live.engines import LocalRunner, Runner
from jobs.segments.live.sources import Sources, attribute_types
from jobs.segments.live.state import Arrivals

log = logging.getLogger(__name__)


class Companion(Protocol):
    """What decides by the changes of members (triggers), in the same connection, and appends something of its own.

    It is called after the changes of a call have been told. A call that ends in between is not made again: `start` makes up for
    it.
    """

    def follow(self, catalogue: Catalogue) -> Catalogue:
        """The catalogue with what it wants members to be kept of."""

    def attach(self, connection: Any, gather_more: Callable[[str], None]) -> Sequence[Needs]:
        """Before anything is read; gives what is to be kept of events for it.

        `gather_more`: adds to `eval_events` and `people` what is known of the profiles of a relation.
        """

    def start(self, context: Context, now: datetime) -> None:
        """After the evaluator has begun or recovered, and told what has changed since it stopped."""

    def expect(self, context: Context) -> None:
        """Before what a call of the evaluator has changed is told: `incoming_texts` holds what came. After a crash in between
        it comes no more, so that what `start` needs to find it again is to be written down here."""

    def tell(self, context: Context, changes: pa.Table, arrivals: Arrivals, now: datetime) -> None:
        """After each call of the evaluator, when its changes have been told."""

    def next_due(self) -> datetime | None:
        """The earliest moment at which it wants to be called without an event; UTC."""


@dataclass
class Process:
    """One evaluator over one lake. Not for two threads at once: hold `lock`."""

    context: Context
    catalogue: Catalogue
    runner: Runner = field(default_factory=LocalRunner)
    companions: Sequence[Companion] = ()
    lock: threading.RLock = field(default_factory=threading.RLock)
    told_at: datetime | None = None
    reached: datetime | None = None
    told: int = 0

    def open(self) -> None:
        """Reads everything known, and where it stood; tells what has changed since it stopped."""
        settings, started = self.context.settings, perf_counter()
        catalogue = self.catalogue
        for companion in self.companions:
            catalogue = companion.follow(catalogue)
        connection = connect(settings)
        types = attribute_types(settings, list(catalogue.attributes))
        needs = [one for companion in self.companions for one in companion.attach(connection, self._gather_more)]
        self.live = Live(connection, catalogue, types, needs, self.runner)
        self.sources = Sources(settings, self.live)
        arrivals = self.sources.load(processed_version(settings))
        stood = ledger.last(connection)
        self.told_at = stood.moment.astimezone(UTC) if stood else None
        now = self._now()
        changes = self.live.recover(stood, now, arrivals) if stood else self.live.begin(now, arrivals)
        connection.execute("drop table owned_events")
        fail_at(settings, Failpoint.BEFORE_SEGMENT_CHANGES)
        ledger.append_tick(settings, changes)
        self._count_told(changes, now)
        for companion in self.companions:
            companion.start(self.context, now)
        log.info(
            "%d segments over %d profiles, %s; %d changes, %.1f s", len(catalogue.segments), self._count("held"),
            f"last told {stood.moment:%Y-%m-%d %H:%M:%S}" if stood else "for the first time", changes.num_rows,
            perf_counter() - started,
        )  # fmt: skip

    def batch(self, events: str, *, checkpoint: str, batch_id: int) -> pa.Table:
        """Events that have come to silver, as a relation of the connection; safe to repeat."""
        settings, started = self.context.settings, perf_counter()
        self.news()
        now = self._now()
        arrivals = self.sources.arrived(events)
        changes = self.live.advance(now, arrivals)
        self._prepare_companions()
        fail_at(settings, Failpoint.BEFORE_SEGMENT_CHANGES)
        ledger.append_batch(settings, changes, checkpoint=checkpoint, batch_id=batch_id)
        self._tell_companions(changes, arrivals, now)
        fail_at(settings, Failpoint.AFTER_SEGMENT_CHANGES_BEFORE_SPARK_COMMIT)
        self._count_told(changes, now)
        log.info(
            "batch %d: %d profiles looked at in %d rounds, %d changes, %.1f s",
            batch_id, self.live.evaluated, self.live.rounds, changes.num_rows, perf_counter() - started,
        )  # fmt: skip
        return changes

    def tick(self) -> pa.Table | None:
        """What time alone changes, and what a build or an identity run has; None when there is nothing to look at."""
        found = self.news()
        now = self._now()
        due = self.next_due()
        if due is None or due > now:
            return found
        changes = self.live.advance(now)
        self._tell_tick(changes, Arrivals(), now)
        log.info("tick: %d profiles were due, %d changes", self.live.evaluated, changes.num_rows)
        return changes

    def news(self) -> pa.Table | None:
        """Looks at a new build or identity map, when there is one."""
        if not self.sources.has_news():
            return None
        arrivals = self.sources.news()
        now = self._now()
        changes = self.live.advance(now, arrivals)
        self._tell_tick(changes, arrivals, now)
        log.info(
            "build or identity has changed: %d profiles looked at, %d changes", self.live.evaluated, changes.num_rows
        )
        return changes

    def close(self) -> None:
        """Frees what it holds in memory."""
        self.live.connection.close()

    def standing(self) -> str:
        """One line on how it stands."""
        due = self.next_due()
        when = f"next due {due:%Y-%m-%d %H:%M:%S}" if due else "nothing is due"
        return f"{self._count('held')} profiles, {self._count('known_events')} events, {self.told} changes told, {when}"

    def _now(self) -> datetime:
        """Later than what was told last, and never back, whatever the clock does."""
        now = after(self.told_at, self.context.clock.now())
        return max(now, self.reached) if self.reached else now

    def next_due(self) -> datetime | None:
        """The earliest moment at which time alone has something to do; UTC."""
        found = [self.live.next_due(), *(companion.next_due() for companion in self.companions)]
        return min((due for due in found if due is not None), default=None)

    def _tell_tick(self, changes: pa.Table, arrivals: Arrivals, now: datetime) -> None:
        fail_at(self.context.settings, Failpoint.BEFORE_SEGMENT_CHANGES)
        ledger.append_tick(self.context.settings, changes)
        self._tell_companions(changes, arrivals, now)
        self._count_told(changes, now)

    def _gather_more(self, whose: str) -> None:
        self.live.state.gather_more(whose)

    def _prepare_companions(self) -> None:
        for companion in self.companions:
            companion.expect(self.context)

    def _tell_companions(self, changes: pa.Table, arrivals: Arrivals, now: datetime) -> None:
        for companion in self.companions:
            companion.tell(self.context, changes, arrivals, now)

    def _count_told(self, changes: pa.Table, now: datetime) -> None:
        self.reached = now
        if changes.num_rows:
            self.told_at = now
            self.told += changes.num_rows

    def _count(self, table: str) -> int:
        return int(self.live.connection.execute(f"select count(*) from {table}").fetchone()[0])


def founding_file(settings: Settings) -> Any:
    """Which version of silver a new stream has read whole before its first micro-batch."""
    return settings.checkpoints / f"{ledger.STREAM}.start.json"


def found_stream(settings: Settings) -> int:
    """The version of silver from which a stream reads that has no position yet; written down when the stream is new."""
    file = founding_file(settings)
    if (checkpoints.folder(settings, ledger.STREAM) / "metadata").exists() and file.exists():
        return int(json.loads(file.read_text(encoding="utf-8"))["silver_version"])
    version = delta.version(settings, "silver_events")
    file.parent.mkdir(parents=True, exist_ok=True)
    write_durably(file, json.dumps({"silver_version": version}) + "\n")
    return version


def processed_version(settings: Settings) -> int:
    """The version of silver whose events have been dealt with: told, or committed by Spark, whichever went further."""
    founded = found_stream(settings)
    folder = checkpoints.folder(settings, ledger.STREAM)
    if not (folder / "metadata").exists():
        return founded
    told = ledger.told_batch(settings, ledger.checkpoint_id(settings))
    done = max(told, checkpoints.last_commit(settings, ledger.STREAM))
    if done < 0:
        return founded
    position = checkpoints.position_of(checkpoints.offset(folder / "offsets" / str(done)))
    return position.version - 1 if position.index < 0 else position.version
