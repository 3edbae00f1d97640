"""Feeds quarantined messages to the judge again, repaired by a rule or as they are; each ends in one place, once.

Valid ones go to silver (or count as duplicate or suppressed) under the place and time of their first receipt, and their
quarantine row says by which rule. What still fails stays pending. Its reasons go on describing the kept payload: after a
rule they stay, for the payload is unchanged; replayed as they are they become those of today's contract.
"""

import logging
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, closing
from dataclasses import dataclass, field
from datetime import datetime

import pyarrow as pa

from jobs.core.catalog import lake_table
from jobs.core.context import Context
from jobs.core.errors import PermanentError
from jobs.core.settings import Settings
from jobs.ingest.landing.text_check import text_error
from jobs.ingest.quarantine import journal, rows
from jobs.ingest.quarantine.judging import Judge, Verdicts
from jobs.ingest.quarantine.operations import patched
from jobs.ingest.quarantine.patch_rules import AS_IS, PatchRule
from jobs.ingest.quarantine.rows import Quarantine, Row, Selection
from jobs.ingest.quarantine.spans import NotJsonError
from jobs.ingest.reasons import Reason
from jobs.lake.delta import update
from jobs.lake.schema import arrow_schema

log = logging.getLogger(__name__)
CHUNK_ROWS = 20_000
CHUNK_CHARACTERS = 64 * 2**20
FAILING = "still failing"
OUTCOMES = ("accepted", "duplicate", "suppressed", FAILING)
OF_BYTES = (Reason.INVALID_ENCODING, Reason.TRUNCATED, Reason.TOO_LONG, Reason.WRONG_WIDTH)
INSTANT = pa.timestamp("us", tz="UTC")
JudgeOpener = Callable[[Settings], AbstractContextManager[Judge]]


@dataclass
class Report:
    """What became, or would become, of the rows; `outcomes` counts (their reasons, outcome), `why` what is still wrong."""

    label: str
    matched: int = 0
    untouched: int = 0
    outcomes: Counter[tuple[str, str]] = field(default_factory=Counter)
    why: Counter[str] = field(default_factory=Counter)

    def count(self, outcome: str) -> int:
        """Messages with this outcome."""
        return sum(number for (_, found), number in self.outcomes.items() if found == outcome)

    @property
    def still_failing(self) -> int:
        """Messages that stay pending although they were judged again."""
        return self.count(FAILING)

    def lines(self) -> Iterator[str]:
        """For people: a table of reasons and outcomes, then why what fails does."""
        if not self.matched:
            yield f"{self.label}: no pending message is meant"
            return
        untouched = (
            f", {self.untouched:,} of them left alone: the rule finds nothing to change" if self.untouched else ""
        )
        yield f"{self.label}: {self.matched:,} messages{untouched}"
        if self.outcomes:
            yield f"{'set aside for':<48}" + "".join(f"{outcome:>15}" for outcome in OUTCOMES)
        for reasons in sorted({reasons for reasons, _ in self.outcomes}):
            yield f"{reasons:<48}" + "".join(f"{self.outcomes[reasons, outcome]:>15,}" for outcome in OUTCOMES)
        for detail, number in self.why.most_common():
            yield f"  still wrong: {detail:<48} {number:>9,}"


@dataclass(frozen=True)
class Replay:
    """One command: what is meant, how it is repaired (None: not at all), and the judge."""

    context: Context
    selection: Selection
    rule: PatchRule | None
    judge: JudgeOpener
    limit: int | None = None

    @property
    def label(self) -> str:
        """How the rows will name it."""
        return self.rule.label if self.rule else AS_IS

    def run(self) -> Report:
        """Writes. Safe to repeat, and to repeat after a crash; the caller holds the ingest lock."""
        journal.finish_interrupted(self.context.settings)
        with closing(Quarantine(self.context.settings)) as quarantine:
            settle(self.context, quarantine)
            return self._each(quarantine, rehearsal=False)

    def rehearse(self) -> Report:
        """The same report, and nothing is written."""
        with closing(Quarantine(self.context.settings)) as quarantine:
            return self._each(quarantine, rehearsal=True)

    def _each(self, quarantine: Quarantine, *, rehearsal: bool) -> Report:
        report = Report(self.label)
        seen: dict[tuple[str, str], str] = {}
        with ExitStack() as stack:
            judge: Judge | None = None
            for chunk in self._chunks(quarantine, report):
                # No JVM where there is nothing to judge.
                judge = judge or stack.enter_context(self.judge(self.context.settings))
                version = 0 if rehearsal else journal.next_version(self.context.settings)
                found = judge(_as_bronze(chunk), f"replay:{version}:{self.label}", rehearsal=rehearsal)
                outcomes = _outcomes(chunk, found)
                if rehearsal:
                    _add_repeats(outcomes, found, seen)
                else:
                    journal.carry_out(self.context.settings, version, found.tables, self._states(chunk, found))
                _tell(report, chunk, outcomes)
        return report

    def _chunks(self, quarantine: Quarantine, report: Report) -> Iterator[list[Row]]:
        """Rows with their payload repaired, some thousands at a time, in the order of receipt across all chunks."""
        chunk: list[Row] = []
        characters = 0
        for row in self._repaired(quarantine, report):
            chunk.append(row)
            characters += len(row["payload"] or "") + len(row["receipt"] or "")
            if len(chunk) == CHUNK_ROWS or characters >= CHUNK_CHARACTERS:
                yield chunk
                chunk, characters = [], 0
        if chunk:
            yield chunk

    def _repaired(self, quarantine: Quarantine, report: Report) -> Iterator[Row]:
        for row in quarantine.selected(self.selection):
            if report.matched - report.untouched == self.limit:
                return
            text = repair(row["payload"] or "", self.rule) if self.rule else row["payload"]
            if self.rule and text is None:
                continue
            report.matched += 1
            if self.rule and text == row["payload"]:
                report.untouched += 1
            else:
                checked = {"payload": text, "payload_error": still_wrong(row, text or ""), "is_checked": True}
                yield row | checked

    def _states(self, chunk: list[Row], found: Verdicts) -> list[pa.Table]:
        """What the quarantine rows say from now on."""
        failing = set(found.failing.column("message_id").to_pylist())
        done = [row["message_id"] for row in chunk if row["message_id"] not in failing]
        replayed = _replayed(done, [self.label] * len(done), self.context.clock.now())
        if self.rule:
            return [replayed]
        before = {row["message_id"]: (row["reason_details"], row["contract_version"]) for row in chunk}
        fresh = found.failing.select(["message_id", "reason_details", "contract_version"]).to_pylist()
        is_news = [before[row["message_id"]] != (row["reason_details"], row["contract_version"]) for row in fresh]
        return [replayed, found.failing.filter(pa.array(is_news, pa.bool_()))]


def repair(payload: str, rule: PatchRule) -> str | None:
    """The payload after the rule; None when the rule is not for it, by its fields or because it cannot be read."""
    try:
        return patched(payload, rule.operations) if rule.match.has_fields(payload) else None
    except NotJsonError:
        return None


def still_wrong(row: Row, text: str) -> str | None:
    """The reason code of the repaired text, None for a sound one. What was wrong with the bytes no text can mend."""
    found = row["payload_error"]
    if found in OF_BYTES and text_error(row["payload"] or "") != found:
        return str(found)
    wrong = text_error(text)
    return wrong.value if wrong else None


def settle(context: Context, quarantine: Quarantine) -> None:
    """Marks rows that are pending although a replay has placed them: its journal was lost."""
    found = quarantine.placed()
    if found:
        labels = [str(row["ingest_batch"]).split(":", 2)[2] for row in found]
        marked = _replayed([row["message_id"] for row in found], labels, context.clock.now())
        update(context.settings, "quarantine_messages", marked, key="message_id")


def _replayed(message_ids: list[str], labels: list[str], at: datetime) -> pa.Table:
    count = len(message_ids)
    return pa.table(
        {
            "message_id": pa.array(message_ids, pa.string()),
            "replay_state": pa.array([rows.REPLAYED] * count, pa.string()),
            "replay_rule": pa.array(labels, pa.string()),
            "replayed_at": pa.array([at] * count, INSTANT),
        }
    )


def _as_bronze(chunk: list[Row]) -> pa.Table:
    """Rows of the quarantine in the shape of bronze, in which the judge takes them; the receipt is the original one."""
    schema = arrow_schema(lake_table("bronze_messages").contract)
    known = [{name: row.get(name) for name in schema.names} | {"landed_date": row["quarantined_date"]} for row in chunk]
    return pa.Table.from_pylist(known, schema=schema)


def _outcomes(chunk: list[Row], found: Verdicts) -> dict[str, str | list[str]]:
    """message_id → accepted, duplicate, suppressed, or the list of what is still wrong. Raises when one is missing."""
    outcomes: dict[str, str | list[str]] = {}
    for name in ("silver_events", "silver_records"):
        outcomes |= dict.fromkeys(found.tables[name].column("message_id").to_pylist(), "accepted")
    dropped = found.tables["ops_dropped_messages"].to_pydict()
    outcomes |= dict(zip(dropped["message_id"], dropped["outcome"], strict=True))
    failing = found.failing.to_pydict()
    outcomes |= dict(zip(failing["message_id"], failing["reason_details"], strict=True))
    places = sum(found.tables[name].num_rows for name in rows.ARRIVED) + found.failing.num_rows
    if places != len(chunk) or outcomes.keys() != {row["message_id"] for row in chunk}:
        raise PermanentError(f"the judge placed {places} of {len(chunk)} messages; nothing of them was written")
    return outcomes


def _add_repeats(outcomes: dict[str, str | list[str]], found: Verdicts, seen: dict[tuple[str, str], str]) -> None:
    """In a rehearsal what an earlier chunk would have brought to silver is not there: its repeats are found here."""
    kept = {"silver_events": ("event_id", "body_hash"), "silver_records": ("record_id", "record_id")}
    for name, (key, content) in kept.items():
        for row in found.tables[name].to_pylist():
            first = seen.setdefault((row["source"], row[key]), row["message_id"] + row[content])
            if first != row["message_id"] + row[content]:
                is_same = first.endswith(row[content])
                outcomes[row["message_id"]] = "duplicate" if is_same else [f"{Reason.ID_CONFLICT.value}:messageId"]


def _tell(report: Report, chunk: list[Row], outcomes: dict[str, str | list[str]]) -> None:
    for row in chunk:
        found = outcomes[row["message_id"]]
        reasons = ", ".join(sorted(row["reason_codes"]))
        report.outcomes[reasons, found if isinstance(found, str) else FAILING] += 1
        report.why.update([] if isinstance(found, str) else found)
