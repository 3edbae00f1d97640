"""Replay, discard, list and show, with a judge that needs no Spark: exactly once through a crash at every step."""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from click.testing import CliRunner

from jobs.cli import cli
from jobs.core.catalog import TABLES, lake_table
from jobs.core.clock import Clock
from jobs.core.context import Context
from jobs.core.errors import PermanentError, RetryableError
from jobs.core.hashing import hash_parts
from jobs.core.settings import Settings
from jobs.ingest import balance, run
from jobs.ingest.quarantine import journal, replay, rows, runner
from jobs.ingest.quarantine.judging import Verdicts
from jobs.ingest.quarantine.patch_rules import PatchRule
from jobs.ingest.quarantine.replay import Replay
from jobs.ingest.quarantine.rows import Selection
from jobs.lake.delta import append, ensure_all, read, version
from jobs.lake.locks import ingest_lock
from jobs.lake.schema import arrow_schema

AT = datetime(2017, 5, 1, 10, tzinfo=UTC)
RULE = PatchRule.model_validate(
    {
        "name": "repair",
        "version": 3,
        "description": "Says good where it says bad.",
        "match": {"source": ["sim_web"], "reasons": ["wrong_type"]},
        "operations": [{"do": "map_value", "path": "is", "values": {"bad": "good", "worse": "better"}}],
    }
)
# What the judge below makes of a payload's `is`.
FATES = {"good": "accepted", "twin": "duplicate", "denied": "suppressed", "record": "record"}


def message(number: int, says: str = "bad", **changes: Any) -> dict[str, Any]:
    """One quarantined row whose payload says what it is."""
    return {
        "message_id": hash_parts([number]), "source": "sim_web", "is_simulated": True, "origin": f"file:1:{number}",
        "receive_position": number, "received_at": AT + timedelta(minutes=number), "event_id": f"e{number}", "name": "x",
        "payload": json.dumps({"is": says, "who": "ann@example.com"}), "reason_codes": ["wrong_type"],
        "reason_details": ["wrong_type:is"], "contract_version": 1, "replay_state": "pending",
        "quarantined_date": AT.date(), "ingest_batch": "c:0", "anonymous_id": "ann@example.com",
    } | changes  # fmt: skip


def rows_of(name: str, found: list[dict[str, Any]]) -> pa.Table:
    return pa.Table.from_pylist(found, schema=arrow_schema(lake_table(name).contract))


def fill(settings: Settings, *messages: dict[str, Any]) -> None:
    """Sets the messages aside, as bronze and the quarantine hold them."""
    ensure_all(settings)
    bronze = [m | {"landed_date": AT.date(), "file_name": "f"} for m in messages]
    names = lake_table("bronze_messages").contract.column_names
    append(settings, "bronze_messages", rows_of("bronze_messages", [{n: m.get(n) for n in names} for m in bronze]))
    append(settings, "quarantine_messages", rows_of("quarantine_messages", list(messages)))


class PlainJudge:
    """Knows good from bad by the payload; remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[list[str]] = []
        self.opened = 0

    @contextmanager
    def open(self, _: Settings) -> Iterator["PlainJudge"]:
        self.opened += 1
        yield self

    def __call__(self, messages: pa.Table, mark: str, *, rehearsal: bool) -> Verdicts:
        found = messages.to_pylist()
        self.asked.append([m["origin"] for m in found])
        fates = {m["message_id"]: FATES.get(json.loads(m["payload"])["is"]) for m in found}
        base = [
            m | {"ingest_batch": mark, "event_id": m["origin"], "record_id": m["origin"], "body_hash": "h"}
            for m in found
        ]

        def placed_in(name: str, *wanted: str, **more: object) -> pa.Table:
            names = lake_table(name).contract.column_names
            kept = [b | more | {"outcome": fates[b["message_id"]]} for b in base if fates[b["message_id"]] in wanted]
            return rows_of(name, [{n: row.get(n) for n in names} for row in kept])

        failing = [
            {
                "message_id": i,
                "reason_codes": ["out_of_range"],
                "reason_details": ["out_of_range:is"],
                "contract_version": 2,
            }
            for i, fate in fates.items()
            if fate is None
        ]
        columns = [f for f in arrow_schema(lake_table("quarantine_messages").contract) if f.name in FAULTS]
        return Verdicts(
            {
                "silver_events": placed_in("silver_events", "accepted"),
                "silver_records": placed_in("silver_records", "record"),
                "silver_identifiers": placed_in("silver_identifiers", "accepted"),
                "consents": placed_in("consents", "accepted", "suppressed"),
                "ops_dropped_messages": placed_in("ops_dropped_messages", "duplicate", "suppressed", reason="test"),
            },
            pa.Table.from_pylist(failing, schema=pa.schema(columns)),
        )


FAULTS = ("message_id", "reason_codes", "reason_details", "contract_version")


def quick_connection(settings: Settings, names: tuple[str, ...] = tuple(TABLES)) -> duckdb.DuckDBPyConnection:
    """As `lake_connection`, by delta-rs: opening DuckDB's extension a hundred times would take a minute."""
    connection = duckdb.connect()
    connection.execute("set TimeZone = 'UTC'")
    for name in names:
        if (lake_table(name).path(settings) / "_delta_log").exists():
            connection.from_arrow(read(settings, name)).create(name)
    return connection


@pytest.fixture
def context(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Context:
    # No stream has ever run here: nothing is in flight.
    monkeypatch.setattr(balance, "_waiting", lambda *_: Counter())
    for module in (balance, rows):
        monkeypatch.setattr(module, "lake_connection", quick_connection)
    return Context(settings, Clock(datetime(2018, 1, 2, tzinfo=UTC)), "test-run")


@pytest.fixture
def judge() -> PlainJudge:
    return PlainJudge()


def command(context: Context, judge: PlainJudge, rule: PatchRule | None = RULE, limit: int | None = None) -> Replay:
    selection = Selection.of_rule(rule) if rule else Selection()
    return Replay(context, selection, rule, judge.open, limit)


def states(settings: Settings) -> dict[int, tuple[str, str | None]]:
    """receive_position → (state, rule)."""
    found = read(settings, "quarantine_messages").to_pylist()
    return {
        r["receive_position"]: (r["replay_state"], r["replay_rule"]) for r in sorted(found, key=lambda r: r["origin"])
    }


def placed(settings: Settings) -> dict[str, list[int]]:
    """Table → number of rows per message in it."""
    columns = {"silver_identifiers": "event_id", "consents": "event_id"}
    return {
        name: sorted(Counter(read(settings, name).column(columns.get(name, "message_id")).to_pylist()).values())
        for name in journal.TABLES
    }


MIXED = (
    message(1),
    message(2, "worse"),
    message(3, "bad", reason_codes=["empty"]),
    message(4, "twin"),
    message(5, source="pos"),
    message(6),
)


def test_a_rule_carries_over_what_it_repairs_and_leaves_the_rest(context: Context, judge: PlainJudge) -> None:
    fill(context.settings, *MIXED)
    report = runner.run(command(context, judge))
    assert (report.matched, report.untouched, report.count("accepted"), report.still_failing) == (4, 1, 2, 1)
    assert report.why == {"out_of_range:is": 1}
    assert states(context.settings) == {
        1: ("replayed", "repair@3"), 2: ("pending", None), 3: ("pending", None), 4: ("pending", None),
        5: ("pending", None), 6: ("replayed", "repair@3"),
    }  # fmt: skip
    held = {r["receive_position"]: r for r in read(context.settings, "quarantine_messages").to_pylist()}
    assert json.loads(held[1]["payload"])["is"] == "bad"  # as it came
    assert held[1]["replayed_at"] == datetime(2018, 1, 2, tzinfo=UTC)
    assert held[2]["reason_codes"] == ["wrong_type"]  # they describe the kept payload, which no rule has changed
    silver = {r["receive_position"]: r for r in read(context.settings, "silver_events").to_pylist()}
    assert silver[6]["received_at"] == AT + timedelta(minutes=6)
    assert silver[6]["ingest_batch"] == "replay:1:repair@3"
    assert all(r["is_balanced"] for r in balance.compute_balance(context))


def test_a_second_replay_changes_nothing(context: Context, judge: PlainJudge) -> None:
    fill(context.settings, message(1), message(2, "denied"), message(3, "record"), message(4, "twin"))
    runner.run(command(context, judge, None))
    assert runner.run(command(context, judge)).matched == 0  # what still fails was judged anew, and has another reason
    before = {name: version(context.settings, name) for name in TABLES if not name.startswith("ops_")}
    opened = judge.opened
    assert runner.run(command(context, judge)).matched == 0
    assert judge.opened == opened  # nothing to judge: no Spark either
    assert {name: version(context.settings, name) for name in before} == before


def test_as_is_records_what_the_contract_of_today_says(context: Context, judge: PlainJudge) -> None:
    fill(context.settings, message(1, "good"), message(2, "bad"))
    runner.run(command(context, judge, None))
    held = {r["receive_position"]: r for r in read(context.settings, "quarantine_messages").to_pylist()}
    assert (held[1]["replay_state"], held[1]["replay_rule"]) == ("replayed", "as_is")
    assert held[2]["replay_state"] == "pending"
    assert (held[2]["reason_details"], held[2]["contract_version"]) == (["out_of_range:is"], 2)
    before = version(context.settings, "quarantine_messages")
    assert runner.run(command(context, judge, None)).still_failing == 1
    assert version(context.settings, "quarantine_messages") == before


STEPS = [*journal.TABLES, "quarantine_messages", "the journal", "its name", "cleaning up"]


@pytest.mark.parametrize("step", STEPS)
def test_killed_at_any_step_nothing_is_lost_or_doubled(
    step: str, context: Context, judge: PlainJudge, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = context.settings
    fill(settings, message(1, "good"), message(2, "twin"), message(3, "denied"), message(4, "record"), message(5))

    class Killed(BaseException):
        """Nobody catches it."""

    def killing(real: Callable[..., Any], name_at: int) -> Callable[..., Any]:
        def wrapped(*args: Any, **options: Any) -> Any:
            if args[name_at] == step:
                raise Killed
            return real(*args, **options)

        return wrapped

    def killed(*_: object, **__: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(journal, "append", killing(journal.append, 1))
        patch.setattr(journal, "update", killing(journal.update, 1))
        if step == "the journal":
            patch.setattr(journal, "_write", killed)
        if step == "its name":
            patch.setattr(Path, "rename", killed)
        if step == "cleaning up":
            patch.setattr(journal.shutil, "rmtree", lambda path, **options: None if options else killed())
        with pytest.raises(Killed):
            runner.run(command(context, judge, None))
    assert all(r["is_balanced"] for r in balance.compute_balance(context))  # at the very moment of the crash, too
    runner.run(command(context, judge, None))
    assert placed(settings) == {
        "silver_events": [1], "silver_records": [1], "silver_identifiers": [1], "consents": [1, 1],
        "ops_dropped_messages": [1, 1],
    }  # fmt: skip
    assert [state for state, _ in states(settings).values()] == ["replayed"] * 4 + ["pending"]
    assert all(r["is_balanced"] for r in balance.compute_balance(context))
    assert not list((settings.home / "replay").iterdir())


def test_an_ingest_run_finishes_what_a_replay_left_open(
    context: Context, judge: PlainJudge, monkeypatch: pytest.MonkeyPatch
) -> None:
    ensure_all(context.settings)
    append(context.settings, "quarantine_messages", rows_of("quarantine_messages", [message(1, "good")]))
    with monkeypatch.context() as patch:
        patch.setattr(journal, "update", lambda *_, **__: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            runner.run(command(context, judge, None))
    assert states(context.settings)[1][0] == "pending"
    monkeypatch.setattr(run, "require_ready", lambda _: None)  # no stream has ever run here
    run.run_ingest(context)
    assert states(context.settings)[1] == ("replayed", "as_is")


def test_without_its_journal_a_row_already_placed_is_not_placed_again(
    context: Context, judge: PlainJudge, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(context.settings, message(1, "good"))
    with monkeypatch.context() as patch:
        patch.setattr(journal, "update", lambda *_, **__: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            runner.run(command(context, judge, None))
    for path in (context.settings.home / "replay").glob("*/*"):
        path.unlink()
    next((context.settings.home / "replay").iterdir()).rmdir()
    assert runner.run(command(context, judge)).matched == 0
    assert placed(context.settings)["silver_events"] == [1]
    assert states(context.settings)[1] == ("replayed", "as_is")


def test_a_dry_run_reports_the_same_and_writes_nothing(context: Context, judge: PlainJudge) -> None:
    fill(context.settings, *MIXED, message(7, "record"))

    def files() -> dict[str, int]:
        found = [p for p in context.settings.home.rglob("*") if p.is_file() and "duckdb" not in p.parts]
        return {str(p): p.stat().st_mtime_ns for p in found if p.suffix != ".lock"}

    before = files()
    rehearsed = runner.rehearse(command(context, judge))
    assert files() == before
    assert rehearsed == runner.run(command(context, judge))
    assert files() != before


def test_chunks_follow_the_order_of_receipt(
    context: Context, judge: PlainJudge, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replay, "CHUNK_ROWS", 2)
    fill(context.settings, *[message(n) for n in (5, 3, 1, 4, 2)])
    assert runner.run(command(context, judge, limit=3)).matched == 3
    assert judge.asked == [["file:1:1", "file:1:2"], ["file:1:3"]]
    marks = {r["receive_position"]: r["ingest_batch"] for r in read(context.settings, "silver_events").to_pylist()}
    assert marks == {1: "replay:1:repair@3", 2: "replay:1:repair@3", 3: "replay:2:repair@3"}
    assert runner.run(command(context, judge)).count("accepted") == 2


def test_a_rehearsal_finds_repeats_between_its_chunks(
    context: Context, judge: PlainJudge, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replay, "CHUNK_ROWS", 1)
    same = [message(n, origin="file:1:1") for n in (1, 2)]  # the judge takes the origin for the id
    fill(context.settings, *same)
    assert runner.rehearse(command(context, judge)).count("duplicate") == 1


def test_a_judge_that_loses_a_message_is_stopped_before_anything_is_written(
    context: Context, judge: PlainJudge
) -> None:
    fill(context.settings, message(1), message(2))

    class Forgetful(PlainJudge):
        def __call__(self, messages: pa.Table, mark: str, *, rehearsal: bool) -> Verdicts:
            return super().__call__(messages.slice(1), mark, rehearsal=rehearsal)

    with pytest.raises(PermanentError, match="placed 1 of 2"):
        runner.run(command(context, Forgetful()))
    assert placed(context.settings)["silver_events"] == []
    assert runner.run(command(context, judge)).count("accepted") == 2


@pytest.mark.parametrize(
    ("found", "before", "after", "left"),
    [
        ("bad_number", '{"userId":12345678901234567}', '{"userId":"12345678901234567"}', None),  # the text was wrong
        ("bad_number", '{"userId":12345678901234567}', '{"userId":12345678901234567}', "bad_number"),
        (
            "invalid_encoding",
            '{"name":"M\\\\xfc"}',
            '{"name":"M"}',
            "invalid_encoding",
        ),  # the bytes were, and still are
        ("invalid_encoding", '{"name":"\\ud800"}', '{"name":"M"}', None),
        ("too_long", '{"a":1}', '{"a":2}', "too_long"),
        (None, '{"a":NaN}', '{"a":NaN}', "bad_number"),  # came through no door that looks
        (None, '{"a":1}', '{"a":2}', None),
    ],
)
def test_what_was_wrong_with_the_bytes_no_rule_mends(
    found: str | None, before: str, after: str, left: str | None
) -> None:
    assert replay.still_wrong({"payload_error": found, "payload": before}, after) == left


def test_one_writer_at_a_time(context: Context, judge: PlainJudge) -> None:
    fill(context.settings, message(1))
    with ingest_lock(context.settings):
        for step in (runner.run, runner.rehearse):
            with pytest.raises(RetryableError, match="another"):
                step(command(context, judge))


def test_what_is_discarded_stays_counted_and_is_never_replayed(context: Context, judge: PlainJudge) -> None:
    fill(context.settings, *MIXED)
    assert runner.discard(context, Selection(reasons=("empty",)), None, why="not ours", rehearsal=True) == 1
    assert states(context.settings)[3][0] == "pending"
    assert runner.discard(context, Selection(reasons=("empty",)), None, why="not ours", rehearsal=False) == 1
    by_fields = RULE.model_copy(update={"match": RULE.match.model_copy(update={"fields": {"is": "worse"}})})
    assert runner.discard(context, Selection.of_rule(by_fields), by_fields, why="too bad", rehearsal=False) == 1
    held = {r["receive_position"]: r for r in read(context.settings, "quarantine_messages").to_pylist()}
    assert [(held[n]["replay_state"], held[n]["discard_why"]) for n in (2, 3)] == [
        ("discarded", "too bad"),
        ("discarded", "not ours"),
    ]
    runner.run(command(context, judge, None))
    assert [states(context.settings)[n][0] for n in (2, 3)] == ["discarded", "discarded"]
    assert all(r["is_balanced"] for r in balance.compute_balance(context))
    assert runner.discard(context, Selection(reasons=("empty",)), None, why="not ours", rehearsal=False) == 0


def test_nothing_raw_is_left_in_the_log_of_the_table_or_in_the_journal(
    context: Context, judge: PlainJudge, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(context.settings, message(1, "good"))
    with monkeypatch.context() as patch:
        patch.setattr(journal, "append", lambda *_, **__: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            runner.run(command(context, judge, None))
    left = list((context.settings.home / "replay").rglob("*.parquet"))
    assert left
    assert all(p.parent.stat().st_mode & 0o077 == 0 for p in left)
    assert all(b'"who"' not in p.read_bytes() for p in left)
    runner.run(command(context, judge, None))
    log = lake_table("quarantine_messages").path(context.settings) / "_delta_log"
    assert all("ann@" not in p.read_text(encoding="utf-8") for p in log.glob("*.json"))


# ---- the commands -----------------------------------------------------------------------------------------------------


def call(settings: Settings, *arguments: str) -> Any:
    (settings.home / "settings.yml").write_text("now: 2018-01-02T00:00:00Z\n", encoding="utf-8")
    return CliRunner().invoke(cli, ["--home", str(settings.home), "quarantine", *arguments])


def test_list_counts_per_source_reason_and_field(settings: Settings) -> None:
    both = {"reason_codes": ["wrong_type", "empty"], "reason_details": ["wrong_type:is", "empty:payload"]}
    fill(settings, message(1), message(2), message(3, **both), message(4, source="pos", replay_state="discarded"))
    found = json.loads(call(settings, "list", "--json").output)
    assert [(r["source"], r["reason"], r["field"], r["messages"]) for r in found] == [
        ("sim_web", "wrong_type", "is", 3),
        ("sim_web", "empty", "payload", 1),
    ]
    assert found[0]["first_seen"].startswith("2017-05-01 10:01")
    assert found[0]["contract_version"] == 1
    assert hash_parts([3]).startswith(found[0]["example"])
    text = call(settings, "list", "--state", "all", "--reason", "wrong_type").output
    assert text.count("wrong_type:is") == 2
    assert "empty" not in text
    assert text.endswith("4 messages\n")
    assert call(settings, "list", "--since", "2017-05-02").output == "no such messages\n"
    assert "Did you mean 'empty'" in call(settings, "list", "--reason", "emty").output


def test_show_gives_the_payload_only_when_asked_and_audits_it_first(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(settings, message(1, name="evil\x1b[2J\x9b"), message(2))
    wanted = hash_parts([1])[:10]
    plain = call(settings, "show", wanted).output
    assert "reason_details     wrong_type:is" in plain
    assert "who" not in plain
    assert "example.com" not in plain  # not even where a rejected message put it into an id
    assert "\x1b" not in plain
    assert "\x9b" not in plain
    audit = settings.home / "vault" / "audit.jsonl"
    assert not audit.exists()
    full = call(settings, "show", wanted, "--payload", "--json").output
    assert json.loads(json.loads(full)["payload"])["who"] == "ann@example.com"
    entry = json.loads(audit.read_text(encoding="utf-8"))
    assert (entry["purpose"], entry["message_id"], entry["messages"]) == ("quarantine.show", hash_parts([1]), 1)
    audit.unlink()
    audit.mkdir()  # no audit, no answer
    failed = call(settings, "show", wanted, "--payload")
    assert failed.exit_code != 0
    assert "example.com" not in failed.output
    assert "no quarantined message" in str(call(settings, "show", "nothing").exception)


@pytest.mark.usefixtures("context")  # which says that nothing is in flight
def test_wrong_use_is_told_in_a_line(settings: Settings) -> None:
    fill(settings, message(1))
    for arguments, words in {
        ("replay",): "say how",
        ("replay", "--rule", "x", "--as-is"): "say how",
        ("replay", "--rule", "sim_web_event_name"): "Did you mean 'sim_web_event_names'",
        ("replay", "--rule", "sim_web_event_names", "--source", "pos"): "a rule says itself",
        ("discard", "--why", "no good at all"): "say which",
        ("discard", "--reason", "empty", "--why", "because"): "takes a sentence",
    }.items():
        assert words in str(call(settings, *arguments).exception), arguments
    assert "why" in call(settings, "discard", "--reason", "empty").output
    done = call(settings, "discard", "--reason", "wrong_type", "--why", "the shop says so")
    assert done.output == "1 messages discarded\n"
    assert call(settings, "replay", "--rule", "none").stdout == "as_is: no pending message is meant\n"


def test_an_empty_home_has_nothing_set_aside(settings: Settings) -> None:
    assert call(settings, "list").output == "no such messages\n"
    assert call(settings, "replay", "--as-is", "--dry-run").output == "as_is: no pending message is meant\n"
    assert "0 pending" in call(settings, "rules").output
    assert not (settings.home / "lake").exists()
