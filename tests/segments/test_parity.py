"""Batch on DuckDB = oracle, on random catalogues, histories and instants; time alone changes nothing before it is due.

The stream's evaluator is held to both in test_live_parity.py. One test runs all of it, so that it can say what the drawn cases
have covered. Its seed stands at the end of the report.
"""

import random
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import duckdb
import pytest
from hypothesis import given, seed
from hypothesis import settings as hypothesis_settings

from jobs.segments.language.events import PERCENT, Operator, PropertyTest
from jobs.segments.language.rules import EventRule
from jobs.segments.language.traits import Kind
from segments import coverage
from segments.coverage import uncovered, wishes
from segments.duckkit import Duck
from segments.oracle import Oracle
from segments.worlds import MICROSECOND, Case, Group, worlds

# Rounds of so many catalogues until there are so many cases and all of the language was seen; more than enough rounds for both.
# Short ones: each draws more often what those before it have not seen.
DRAWN, CASES, ROUNDS = 20, 2_000, 100
LONG_AFTER = timedelta(days=9_000)


@pytest.fixture
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(config={"threads": 1}) as connection:
        connection.execute("set TimeZone = 'UTC'")
        yield connection


def check_batch(duck: Duck, oracle: Oracle, group: Group) -> None:
    """Every answer is the oracle's."""
    for (name, moment), (answers, _) in duck.ask(group.asked).items():
        expect(oracle.answers(name, moment), answers, f"{name} at {moment}")


def check_due(duck: Duck, oracle: Oracle, group: Group) -> None:
    """Between an instant and when a profile is due nothing changes, as long as nothing new is received."""
    for (name, moment), (_, due) in duck.ask(group.asked[::3]).items():
        assert due is None or due > moment, f"{name} at {moment} is due at {due}"
        before = oracle.answers(name, moment)
        for later in between(moment, due):
            answers = oracle.answers(name, later, known_at=moment)
            expect(before, answers, f"{name} at {moment} is due at {due}, but changes by {later}")


def between(moment: datetime, due: datetime | None) -> list[datetime]:
    """Right before it is due and halfway; when it is never due, soon and long after."""
    if due is None:
        return [moment + timedelta(days=2), moment + LONG_AFTER]
    return [later for later in (moment + (due - moment) / 2, due - MICROSECOND) if later > moment]


def expect(wanted: dict[str, Any], answers: dict[str, Any], where: str) -> None:
    wrong = {name: (wanted[name], answers[name]) for name in wanted if wanted[name] != answers[name]}
    assert not wrong, f"{where}: wanted and found {wrong}"


def test_what_is_wanted_is_what_the_language_has() -> None:
    offered = {"in" if name == "in_" else name for name in EventRule.model_fields} & set(Operator)
    assert set(coverage.EVENT) == offered
    assert set(coverage.FITTING) == set(Kind)
    assert {operator for found in coverage.FITTING.values() for operator in found} | PERCENT == set(Operator)
    tested = {"in" if name == "in_" else name for name in PropertyTest.model_fields} & set(Operator)
    assert {operator for found in coverage.PROPERTY.values() for operator in found} == tested - {Operator.IS_NULL}


def test_batch_and_oracle_agree(
    connection: duckdb.DuckDBPyConnection, request: pytest.FixtureRequest, record_segment_run: Any
) -> None:
    forced = request.config.getoption("--hypothesis-seed")
    number = int(forced) if forced not in (None, "random") else random.SystemRandom().randrange(2**32)
    seen: set[tuple[str, bool]] = set()
    counts = {"cases": 0, "answers": 0}

    def check(case: Case) -> None:
        duck, oracle = Duck(connection, case.world), Oracle(case.world, seen)
        duck.ask(asked for group in case.groups for asked in group.asked)  # together they cost less than one by one
        for group in case.groups:
            check_batch(duck, oracle, group)
            check_due(duck, oracle, group)
        counts["cases"] += len(case.groups)
        counts["answers"] += sum(len(group.asked) for group in case.groups)

    record_segment_run(f"seed {number} (--hypothesis-seed={number})", counts)
    for place in range(ROUNDS):
        if counts["cases"] >= CASES and not uncovered(seen):
            break
        seed(number + place)(hypothesis_settings(max_examples=DRAWN)(given(worlds(wishes=wishes(seen)))(check)))()
    assert counts["cases"] >= CASES
    assert uncovered(seen) == []
