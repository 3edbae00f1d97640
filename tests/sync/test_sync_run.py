"""A sync from relation to acknowledgement, over a warehouse handed in as a connection."""

import csv
import json
import sqlite3
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from synckit import NOW, Warehouse, address, context_of, header, lake_rows, token

from jobs.core.definitions import load_syncs
from jobs.core.errors import GateError, PermanentError, RetryableError, UsageError
from jobs.core.settings import Settings
from jobs.lake import delta
from jobs.privacy import vault
from jobs.sync import runner
from jobs.sync.desired import reveals
from jobs.sync.destinations import open_destination
from jobs.sync.destinations.base import Batch, Destination
from jobs.sync.explain import explain
from jobs.sync.outbox import MAX_REJECTIONS, held, open_outbox
from jobs.sync.outcomes import Outcome, RowOutcome
from jobs.sync.runner import find_sync, run_sync


@pytest.fixture
def warehouse(settings: Settings) -> Warehouse:
    return Warehouse(settings)


def drops(settings: Settings) -> list[Path]:
    root = settings.home / "outbox" / "drops" / "sync_test_profiles"
    return sorted(path.parent for path in root.glob("*/manifest.json"))


def lines(folder: Path) -> list[dict[str, str]]:
    with (folder / "data.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def counts(outcomes: list[RowOutcome]) -> dict[str, int]:
    return dict(Counter(f"{row.operation} {row.outcome}" for row in outcomes))


def acknowledged(settings: Settings) -> dict[str, str]:
    with open_outbox(settings) as outbox:
        return held(outbox.history("sync_test_profiles"))


def recorded(settings: Settings) -> list[dict[str, Any]]:
    return delta.read(settings, "ops_sync_outcomes").to_pylist()


def test_the_first_run_delivers_and_the_second_sends_nothing(settings: Settings, warehouse: Warehouse) -> None:
    first = run_sync(context_of(settings), header(), warehouse.connection)
    assert counts(first) == {"add delivered": 3}
    assert [line["email"] for line in lines(drops(settings)[0])] == [address(n) for n in range(3)]
    before = {p: p.read_bytes() for p in settings.home.glob("outbox/drops/**/*") if p.is_file()}
    second = run_sync(context_of(settings, "run-2"), header(), warehouse.connection)
    assert second == []
    assert {p: p.read_bytes() for p in settings.home.glob("outbox/drops/**/*") if p.is_file()} == before
    assert len(drops(settings)) == 1
    assert len(recorded(settings)) == 3


def test_only_the_difference_is_sent(settings: Settings, warehouse: Warehouse) -> None:
    run_sync(context_of(settings), header(), warehouse.connection)
    warehouse.set("p_000", lifecycle_stage="lapsing")
    warehouse.remove("p_001")
    warehouse.add(7)
    outcomes = run_sync(context_of(settings, "run-2"), header(), warehouse.connection)
    assert counts(outcomes) == {"update delivered": 1, "remove delivered": 1, "add delivered": 1}
    sent = {line["profile_id"]: line for line in lines(drops(settings)[1])}
    assert {key: line["operation"] for key, line in sent.items()} == {
        "p_000": "update",
        "p_001": "remove",
        "p_007": "add",
    }
    assert sent["p_001"]["email"] == ""
    assert set(acknowledged(settings)) == {"p_000", "p_002", "p_007"}


@pytest.mark.parametrize(("before", "after"), [("active", None), (None, "active"), (None, "")])
def test_a_change_to_or_from_null_is_sent(
    settings: Settings, warehouse: Warehouse, before: str | None, after: str | None
) -> None:
    warehouse.set("p_000", lifecycle_stage=before)
    run_sync(context_of(settings), header(), warehouse.connection)
    warehouse.set("p_000", lifecycle_stage=after)
    assert counts(run_sync(context_of(settings, "run-2"), header(), warehouse.connection)) == {"update delivered": 1}


def test_a_row_that_goes_back_and_forth_is_sent_each_time(settings: Settings, warehouse: Warehouse) -> None:
    keys = set()
    for number, stage in enumerate(["active", "lapsing", "active", "lapsing"]):
        warehouse.set("p_000", lifecycle_stage=stage)
        outcomes = run_sync(context_of(settings, f"run-{number}"), header(), warehouse.connection)
        keys |= {row.idempotency_key for row in outcomes if row.key == "p_000"}
    assert len(keys) == 4
    assert len(drops(settings)) == 4


def test_other_segments_stay_out(settings: Settings, warehouse: Warehouse) -> None:
    warehouse.add(8, segment="coupon_lovers")
    run_sync(context_of(settings), header(), warehouse.connection)
    assert "p_008" not in acknowledged(settings)


@pytest.mark.parametrize(
    "change",
    [
        {"has_marketing_consent": False},
        {"has_marketing_consent": None},
        {"is_suppressed": True},
        {"is_suppressed": None},
    ],
)
def test_consent_withdrawn_since_the_last_run_removes_the_row(
    settings: Settings, warehouse: Warehouse, change: dict[str, object]
) -> None:
    run_sync(context_of(settings), header(), warehouse.connection)
    warehouse.set("p_001", **change)  # still in the relation: built before it was withdrawn
    outcomes = run_sync(context_of(settings, "run-2"), header(), warehouse.connection)
    assert counts(outcomes) == {"remove delivered": 1, "update skipped": 1}
    assert {row.key for row in outcomes} == {"p_001"}
    assert next(row.reason for row in outcomes if row.outcome is Outcome.SKIPPED) == "no_consent_or_suppressed"
    assert address(1) not in (drops(settings)[1] / "data.csv").read_text()


def test_a_profile_without_consent_is_never_sent(settings: Settings, warehouse: Warehouse) -> None:
    warehouse.set("p_001", has_marketing_consent=False)
    assert counts(run_sync(context_of(settings), header(), warehouse.connection)) == {
        "add delivered": 2,
        "add skipped": 1,
    }
    assert address(1) not in (drops(settings)[0] / "data.csv").read_text()


def test_a_profile_unknown_to_dim_profiles_is_never_sent(settings: Settings, warehouse: Warehouse) -> None:
    warehouse.connection.execute("delete from marts.dim_profiles where profile_id = 'p_001'")
    run_sync(context_of(settings), header(), warehouse.connection)
    assert "p_001" not in acknowledged(settings)


def test_consent_denied_in_the_lake_between_build_and_send_counts(settings: Settings, warehouse: Warehouse) -> None:
    run_sync(context_of(settings), header(), warehouse.connection)
    lake_rows(
        settings, "profile_identifiers", *({"profile_id": f"p_{n:03d}", "identifier_value": token(n)} for n in range(3))
    )
    early, late = datetime(2017, 1, 1, tzinfo=UTC), datetime(2018, 2, 1, tzinfo=UTC)
    lake_rows(
        settings,
        "consents",
        {"identifier_value": token(0), "status": "granted"},
        {"identifier_value": token(0), "status": "denied", "effective_at": late, "receive_position": 9},  # not yet
        {"identifier_value": token(1), "status": "denied"},
        {"identifier_value": token(2), "status": "denied", "effective_at": early},
        {"identifier_value": token(2), "status": "granted", "receive_position": 2},
    )
    outcomes = run_sync(context_of(settings, "run-2"), header(), warehouse.connection)
    assert counts(outcomes) == {"remove delivered": 1, "update skipped": 1}
    assert set(acknowledged(settings)) == {"p_000", "p_002"}


def test_a_suppression_reaches_the_profile_that_was_merged_since_the_build(
    settings: Settings, warehouse: Warehouse
) -> None:
    lake_rows(settings, "profile_identifiers", {"profile_id": "p_new", "identifier_value": token(0)})
    lake_rows(settings, "profile_redirects", {"from_profile_id": "p_000", "to_profile_id": "p_new"})
    lake_rows(settings, "suppressions", {"identifier_value": token(0)})
    run_sync(context_of(settings), header(), warehouse.connection)
    assert set(acknowledged(settings)) == {"p_001", "p_002"}


def test_the_purpose_analytics_is_refused(settings: Settings, warehouse: Warehouse) -> None:
    with pytest.raises(PermanentError, match="analytics"):
        run_sync(context_of(settings), header(purpose="analytics"), warehouse.connection)


def test_an_empty_relation_is_blocked_and_nothing_is_removed(settings: Settings, warehouse: Warehouse) -> None:
    run_sync(context_of(settings), header(), warehouse.connection)
    for number in range(3):
        warehouse.remove(f"p_{number:03d}")
    with pytest.raises(GateError, match="0 rows desired"):
        run_sync(context_of(settings, "run-2"), header(), warehouse.connection)
    assert len(acknowledged(settings)) == 3
    assert len(drops(settings)) == 1


def test_a_mass_removal_is_blocked(settings: Settings) -> None:
    warehouse = Warehouse(settings, profiles=150)
    run_sync(context_of(settings), header(), warehouse.connection)
    warehouse.connection.execute("delete from activation.sync_file_drop_profiles where profile_id > 'p_009'")
    with pytest.raises(GateError, match="would remove 140 of 150"):
        run_sync(context_of(settings, "run-2"), header(), warehouse.connection)
    assert len(acknowledged(settings)) == 150


def test_a_crash_between_delivery_and_acknowledgement_repeats_safely(
    settings: Settings, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(runner.Outbox, "settle", crash)
        with pytest.raises(KeyboardInterrupt):
            run_sync(context_of(settings), header(), warehouse.connection)
    sent = {line["idempotency_key"] for line in lines(drops(settings)[0])}
    assert acknowledged(settings) == {}
    outcomes = run_sync(context_of(settings, "run-2"), header(), warehouse.connection)
    assert {row.idempotency_key for row in outcomes} == sent
    assert len(drops(settings)) == 1, "the finished drop stands for the repeated batch"
    assert len(acknowledged(settings)) == 3
    with sqlite3.connect(settings.home / "outbox" / "sync.db") as connection:
        assert connection.execute("select count(*) from outbox").fetchone() == (3,)


def test_a_crash_before_the_lake_write_loses_no_outcome(
    settings: Settings, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = delta.append

    def crash(settings: Settings, name: str, *rest: Any, **more: Any) -> bool:
        if name == "ops_sync_outcomes":
            raise RetryableError("the lake is away")
        return real(settings, name, *rest, **more)

    with monkeypatch.context() as patch:
        patch.setattr(delta, "append", crash)
        with pytest.raises(RetryableError):
            run_sync(context_of(settings), header(), warehouse.connection)
    assert recorded(settings) == []
    run_sync(context_of(settings, "run-2"), header(), warehouse.connection)
    assert [(row["run_id"], row["outcome"]) for row in recorded(settings)] == [("run-1", "delivered")] * 3
    run_sync(context_of(settings, "run-3"), header(), warehouse.connection)
    assert len(recorded(settings)) == 3


class Refusing(Destination):
    """Takes every row but one."""

    is_local = True
    is_third_party = False

    def deliver(self, batch: Batch) -> list[RowOutcome]:
        return [
            RowOutcome(r.key, r.operation, Outcome.REJECTED, "bad_row", r.row_hash, r.idempotency_key)
            if r.key == "p_001"
            else RowOutcome(r.key, r.operation, Outcome.DELIVERED, None, r.row_hash, r.idempotency_key, batch.at)
            for r in batch.rows
        ]


class Silent(Refusing):
    """Forgets to answer for one row."""

    def deliver(self, batch: Batch) -> list[RowOutcome]:
        return super().deliver(batch)[1:]


def test_state_advances_per_acknowledged_row_and_a_hopeless_row_is_parked(
    settings: Settings, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "open_destination", Refusing)
    assert counts(run_sync(context_of(settings, "r0"), header(), warehouse.connection)) == {
        "add delivered": 2,
        "add rejected": 1,
    }
    assert set(acknowledged(settings)) == {"p_000", "p_002"}
    for number in range(1, MAX_REJECTIONS):
        outcomes = run_sync(context_of(settings, f"r{number}"), header(), warehouse.connection)
        assert counts(outcomes) == {"add rejected": 1}
    parked = run_sync(context_of(settings, "last"), header(), warehouse.connection)
    assert [(row.outcome, row.reason) for row in parked] == [(Outcome.SKIPPED, "parked")]
    warehouse.set("p_001", lifecycle_stage="repaired")
    assert counts(run_sync(context_of(settings, "new"), header(), warehouse.connection)) == {"add rejected": 1}


def test_a_destination_that_does_not_answer_for_each_row_acknowledges_nothing(
    settings: Settings, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "open_destination", Silent)
    with pytest.raises(PermanentError, match="answered 2 rows for 3 sent"):
        run_sync(context_of(settings), header(), warehouse.connection)
    assert acknowledged(settings) == {}


def test_a_token_that_the_vault_does_not_know_is_rejected_not_sent(settings: Settings, warehouse: Warehouse) -> None:
    warehouse.add(9, in_vault=False)
    outcomes = run_sync(context_of(settings), header(), warehouse.connection)
    assert [(r.key, r.reason) for r in outcomes if r.outcome is Outcome.REJECTED] == [
        ("p_009", "identifier_not_in_vault")
    ]
    assert "p_009" not in acknowledged(settings)


def test_raw_values_are_in_the_drop_only(
    settings: Settings, warehouse: Warehouse, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    run_sync(context_of(settings), header(), warehouse.connection)
    marker = address(0).encode()
    holding = [p for p in settings.home.rglob("*") if p.is_file() and not p.is_symlink() and marker in p.read_bytes()]
    assert [p.relative_to(settings.home).parts[:2] for p in holding] == [("outbox", "drops")]
    assert "@example.org" not in caplog.text
    audit = [json.loads(line) for line in (settings.home / "vault" / "audit.jsonl").read_text().splitlines()]
    assert audit == [
        {"at": NOW.isoformat(), "run_id": "run-1", "purpose": "sync sync_test_profiles: email_token", "tokens": 3}
    ]


def test_nothing_is_revealed_when_nothing_is_sent(
    settings: Settings, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_sync(context_of(settings), header(), warehouse.connection)

    def forbidden(*_: object, **__: object) -> dict[str, str]:
        raise AssertionError("the vault was read for nothing")

    monkeypatch.setattr(vault, "reveal", forbidden)
    assert run_sync(context_of(settings, "run-2"), header(), warehouse.connection) == []


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("drop table activation.sync_file_drop_profiles", "is not in the published warehouse"),
        ("alter table activation.sync_file_drop_profiles drop column lifecycle_stage", "lacks lifecycle_stage"),
        ("update activation.sync_file_drop_profiles set profile_id = null", "is NULL or repeated"),
        ("update activation.sync_file_drop_profiles set profile_id = 'p_000'", "is NULL or repeated"),
    ],
)
def test_a_relation_that_is_not_what_was_agreed_is_refused(
    settings: Settings, warehouse: Warehouse, sql: str, message: str
) -> None:
    warehouse.connection.execute(sql)
    with pytest.raises(PermanentError, match=message):
        run_sync(context_of(settings), header(), warehouse.connection)


def test_the_same_sync_does_not_run_twice_at_a_time(settings: Settings, warehouse: Warehouse) -> None:
    with runner._alone(settings, "sync_test_profiles"), pytest.raises(RetryableError, match="running already"):
        run_sync(context_of(settings), header(), warehouse.connection)


def test_explain_says_why_without_values(settings: Settings, warehouse: Warehouse) -> None:
    run_sync(context_of(settings), header(), warehouse.connection)
    warehouse.set("p_001", has_marketing_consent=False)
    context = context_of(settings, "run-2")
    with open_outbox(settings) as outbox:
        told = {
            key: explain(context, header(), warehouse.connection, outbox, key) for key in ("p_000", "p_001", "p_404")
        }
    assert "next run: nothing" in told["p_000"]
    assert "revealed when sent: email" in told["p_000"]
    assert "next run: remove" in told["p_001"]
    assert "acknowledged: never sent" in told["p_404"]
    assert "@" not in str(told)


def test_the_committed_syncs_are_sound(settings: Settings) -> None:
    syncs = load_syncs(settings.project_root)
    assert "sync_file_drop_profiles" in syncs
    for found in syncs.values():
        destination = open_destination(settings, found)
        runner.guard.check_header(found, is_local=destination.is_local)
    assert reveals(syncs["sync_file_drop_profiles"]) == ["email"]


def test_an_unknown_sync_is_named_with_those_that_exist(settings: Settings) -> None:
    with pytest.raises(UsageError, match="sync_file_drop_profiles"):
        find_sync(settings, "sync_nothing")
