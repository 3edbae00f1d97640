"""A gate over real Delta tables: it records what it saw, blocks with exit code 3, and keeps no value."""

from datetime import UTC, datetime
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from click.testing import CliRunner

from expectations import contracts, gate
from expectations.contracts import TableContract
from expectations.suites import Suite
from jobs.core.catalog import lake_table
from jobs.core.clock import Clock
from jobs.core.context import Context
from jobs.core.errors import ExitCode, GateError, UsageError
from jobs.core.settings import Settings
from jobs.lake import delta
from jobs.lake.schema import arrow_schema
from jobs.quality import runner
from jobs.quality.commands import group
from jobs.quality.gates import GATES, find_gate
from jobs.quality.results import results_of
from jobs.quality.runner import run_gate

NOW = datetime(2018, 1, 2, tzinfo=UTC)
EMAIL = "planted.marker@example.org"
PERSONAL = {"tier": "personal", "is_fallback": False, "item_kind": "product_type", "score": 1.0}


def context_of(settings: Settings, run_id: str = "run-1") -> Context:
    return Context(settings=settings, clock=Clock(NOW), run_id=run_id)


def put(settings: Settings, table: str, *rows: dict[str, object]) -> None:
    defaults: dict[str, object] = {"model_version": "1", "run_id": "r", "scored_at": NOW, "is_simulated": False}
    schema = arrow_schema(lake_table(table).contract)
    filled = [{name: (defaults | row).get(name) for name in schema.names} for row in rows]
    delta.append(settings, table, pa.Table.from_pylist(filled, schema=schema))


def recommend(settings: Settings, profiles: int = 4, *, start: int = 0, **changes: object) -> None:
    rows = [
        PERSONAL | {"model_name": "als", "profile_id": f"p{n}", "rank": 1, "item_id": "MILK"} | changes
        for n in range(start, start + profiles)
    ]
    put(settings, "gold_recommendations", *rows)


@pytest.fixture
def scored(settings: Settings) -> Settings:
    """A lake whose two gold tables are good."""
    recommend(settings)
    shape = {"model_name": "k", "distance": 0.5, "distinguishing_traits": "{}"}
    rows = [shape | {"profile_id": f"p{n}", "cluster_id": n % 2, "cluster_name": f"c{n % 2}"} for n in range(4)]
    put(settings, "gold_profile_clusters", *rows)
    return settings


def recorded(settings: Settings) -> list[dict[str, Any]]:
    return delta.read(settings, "ops_quality_results").to_pylist()


def blocked(settings: Settings, run_id: str = "run-1") -> str:
    with pytest.raises(GateError) as caught:
        run_gate(context_of(settings, run_id), GATES["scores"])
    assert caught.value.exit_code == ExitCode.GATED
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_good_scores_pass_and_every_check_is_recorded(scored: Settings) -> None:
    verdicts = run_gate(context_of(scored), GATES["scores"])
    rows = recorded(scored)
    assert len(rows) == sum(len(v.results) for v in verdicts)
    assert all(row["is_success"] for row in rows)
    assert {row["table_name"] for row in rows} == {"gold_recommendations", "gold_profile_clusters"}
    versions = {row["table_version"] for row in rows if row["table_name"] == "gold_recommendations"}
    assert versions == {str(delta.version(scored, "gold_recommendations"))}
    keys = [(r["run_id"], r["gate"], r["table_name"], r["expectation"]) for r in rows]
    assert len(set(keys)) == len(keys)


def test_a_second_attempt_of_a_run_replaces_its_results(scored: Settings) -> None:
    recommend(scored, start=0)
    assert "key_unique: 8 of 8 rows" in blocked(scored)
    delta.replace(scored, "gold_recommendations", delta.read(scored, "gold_recommendations").slice(0, 4))
    run_gate(context_of(scored), GATES["scores"])
    assert all(row["is_success"] for row in recorded(scored))


def test_empty_tables_block_although_their_contract_allows_them(settings: Settings) -> None:
    assert contracts.table("gold_recommendations").min_rows == 0
    message = blocked(settings)
    assert "gold_recommendations row_count: 0 rows, expected at least 1 rows" in message
    assert "c360 quality show --run run-1" in message


def test_an_emptied_suite_blocks_and_is_on_record(scored: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    from expectations import suites

    monkeypatch.setattr(suites, "build_suite", lambda contract, *_, **__: Suite(contract.name, ()))
    assert "suite_complete: empty" in blocked(scored)
    assert {row["is_success"] for row in recorded(scored)} == {False}


def test_an_exception_of_the_engine_blocks(scored: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    def explode(*_: object) -> list[Any]:
        raise RuntimeError(f"broken near {EMAIL}")

    monkeypatch.setattr(gate, "_validate", explode)
    assert "engine error RuntimeError" in blocked(scored)
    assert EMAIL not in str(recorded(scored))


def test_an_expectation_without_a_result_blocks(scored: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    real = gate._validate
    monkeypatch.setattr(gate, "_validate", lambda *args: real(*args)[:-1])
    assert "not evaluated" in blocked(scored)


def test_a_renamed_column_blocks(scored: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    from jobs.lake.duck import lake_connection

    def renamed(settings: Settings) -> duckdb.DuckDBPyConnection:
        connection = lake_connection(settings)
        connection.execute("create table kept as select * rename (tier as level) from gold_recommendations")
        connection.execute("drop view gold_recommendations")
        connection.execute("alter table kept rename to gold_recommendations")
        return connection

    monkeypatch.setattr(runner, "lake_connection", renamed)
    assert "unexpected level; missing tier" in blocked(scored)


def test_half_of_the_usual_volume_is_noticed_and_becomes_the_usual_one(scored: Settings) -> None:
    recommend(scored, 16, start=100)
    for number in range(3):
        run_gate(context_of(scored, f"past-{number}"), GATES["scores"])
    delta.replace(scored, "gold_recommendations", delta.read(scored, "gold_recommendations").slice(0, 9))
    noticed = [w for v in run_gate(context_of(scored, "smaller-0"), GATES["scores"]) for w in v.warnings]
    assert noticed == ["volume: 9 rows, expected at least 10 rows, half the median of past runs"]
    for number in range(1, 4):
        verdicts = run_gate(context_of(scored, f"smaller-{number}"), GATES["scores"])
    assert not [w for v in verdicts for w in v.warnings]


def test_no_value_reaches_results_log_or_message(scored: Settings, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    recommend(scored, 2, start=50, tier=EMAIL, fallback_reason=EMAIL)
    message = blocked(scored)
    assert "allowed(tier): 1 of 2 distinct values unexpected" in message
    for text in (message, caplog.text, str(recorded(scored)), str(delta.read(scored, "ops_runs").to_pylist())):
        assert EMAIL not in text
        assert "planted" not in text


def test_warnings_are_recorded_and_do_not_block(scored: Settings) -> None:
    one = delta.read(scored, "gold_profile_clusters").slice(0, 1)
    delta.replace(scored, "gold_profile_clusters", one)
    verdicts = run_gate(context_of(scored), GATES["scores"])
    assert [w for v in verdicts for w in v.warnings] == ["more_than_one_cluster: 1, expected at least 2 clusters"]


def test_a_gate_without_tables_blocks(scored: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    nothing: tuple[TableContract, ...] = ()
    monkeypatch.setattr(type(GATES["scores"]), "tables", property(lambda _: nothing))
    assert "has no tables to judge" in blocked(scored)


def test_the_marts_are_read_from_the_private_build(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    from jobs.warehouse import reader

    connection = duckdb.connect()
    for sql in ("create schema ops", "create schema marts", "create table ops.build_info as select 'b-7' as build_id"):
        connection.execute(sql)
    monkeypatch.setattr(reader, "open_build", lambda _: connection)
    with pytest.raises(GateError, match="the published warehouse stays as it was"):
        run_gate(context_of(settings), GATES["marts"])
    rows = recorded(settings)
    assert {row["table_name"] for row in rows} == set(contracts.marts())
    assert {row["table_version"] for row in rows} == {"b-7"}


def test_the_command_says_what_passed_and_show_lists_it(scored: Settings) -> None:
    context = context_of(scored)
    done = CliRunner().invoke(group, ["gate", "scores"], obj=context)
    assert done.exit_code == 0, done.output
    assert "gate scores passed: 2 tables" in done.output
    shown = CliRunner().invoke(group, ["show", "--run", "run-1"], obj=context)
    assert "gold_recommendations  row_count  4 rows" in shown.output
    assert "0 failed" in shown.output
    (stage,) = [row for row in delta.read(scored, "ops_runs").to_pylist() if row["stage"] == "quality.gate_scores"]
    assert (stage["status"], stage["rows_in"]) == ("ok", 8)


def test_show_takes_the_run_that_wrote_last_although_the_clock_stands_still(scored: Settings) -> None:
    for run_id in ("z-first", "a-second"):
        run_gate(context_of(scored, run_id), GATES["scores"])
    assert {row.run_id for row in results_of(scored, None)} == {"a-second"}
    assert {row.run_id for row in results_of(scored, "z-first")} == {"z-first"}


def test_an_unknown_gate_and_an_unknown_run_are_wrong_use(settings: Settings) -> None:
    with pytest.raises(UsageError, match="silver, marts, scores"):
        find_gate("gold")
    assert results_of(settings, "nowhere") == []
    assert isinstance(CliRunner().invoke(group, ["show"], obj=context_of(settings)).exception, UsageError)
