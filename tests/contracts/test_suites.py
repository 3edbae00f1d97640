"""Every gated table: a good frame passes, and a frame that breaks one expectation is caught by exactly that one."""

import pytest
from framekit import ROWS, breaking_sql, good_table

from expectations import contracts
from expectations.contracts import TableContract
from expectations.gate import judge
from expectations.suites import build_suite
from jobs.quality.frames import fetcher
from jobs.quality.gates import GATES

PLACES = {c.name: (c, gate.relation(c.name)) for gate in GATES.values() for c in gate.tables}
CASES = [
    (name, check.name)
    for name, (contract, _) in PLACES.items()
    for check in build_suite(contract, min_rows=ROWS).checks
]

# Tables that are computed from others and may lose rows for good reasons.
DERIVED = {
    "fct_segment_memberships",
    "fct_profile_traits",
    "fct_recommendations",
    "fct_profile_clusters",
    "gold_recommendations",
    "gold_profile_clusters",
}


def place(name: str) -> tuple[TableContract, str]:
    return PLACES[name]


def test_the_gates_judge_silver_marts_and_scores() -> None:
    judged = {gate.name: {c.name for c in gate.tables} for gate in GATES.values()}
    assert judged["silver"] == {"silver_events", "silver_identifiers", "silver_records"}
    assert judged["scores"] == {"gold_recommendations", "gold_profile_clusters"}
    assert judged["marts"] == set(contracts.marts())
    gated = {c.name for c in contracts.tables().values() if c.gated}
    assert gated == judged["silver"] | judged["scores"], "a table marked gated is judged by no gate"


@pytest.mark.parametrize("name", PLACES)
def test_a_good_table_passes(name: str) -> None:
    contract, relation = place(name)
    connection = good_table(contract, relation)
    verdict = judge(build_suite(contract, min_rows=ROWS, volume_floor=ROWS), fetcher(connection, relation, contract))
    assert verdict.passed, verdict.reasons
    assert len(verdict.results) == 1 + len(build_suite(contract, volume_floor=ROWS).checks)


@pytest.mark.parametrize(("name", "check"), CASES, ids=[f"{name}-{check}" for name, check in CASES])
def test_one_broken_expectation_is_caught_by_exactly_that_one(name: str, check: str) -> None:
    contract, relation = place(name)
    connection = good_table(contract, relation)
    connection.execute(breaking_sql(contract, check, relation))
    verdict = judge(build_suite(contract, min_rows=ROWS), fetcher(connection, relation, contract))
    assert [r.name for r in verdict.results if not r.is_success] == [check], verdict.reasons
    assert not verdict.passed


@pytest.mark.parametrize("name", PLACES)
def test_volume_below_half_of_history_is_caught(name: str) -> None:
    contract, relation = place(name)
    connection = good_table(contract, relation)
    verdict = judge(build_suite(contract, volume_floor=ROWS + 1), fetcher(connection, relation, contract))
    assert [r.name for r in verdict.results if not r.is_success] == ["volume"]
    assert verdict.passed is (name in DERIVED), "what happened cannot shrink; what is derived may, and warns"
    assert bool(verdict.warnings) is (name in DERIVED)


@pytest.mark.parametrize("name", PLACES)
def test_a_renamed_column_blocks_and_is_named(name: str) -> None:
    contract, relation = place(name)
    connection = good_table(contract, relation)
    gone = next(c.name for c in contract.columns if c.required and c.name not in contract.key)
    connection.execute(f'alter table {relation} rename column "{gone}" to renamed')
    verdict = judge(build_suite(contract), fetcher(connection, relation, contract))
    failed = {r.name: r for r in verdict.results if not r.is_success}
    assert {"columns", f"not_null({gone})"} <= set(failed)
    assert failed["columns"].observed == f"unexpected renamed; missing {gone}"
    assert "row_count" not in failed, "the other expectations are still judged"
