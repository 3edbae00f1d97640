"""Rules to SQL: golden cases, members on real rows, and texts that stay texts. What is refused: test_language_checks.py."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlglot
import yaml
from settingskit import make_settings
from sqlglot import exp

from jobs.core.definitions import DefinitionError, SegmentHeader
from jobs.lake.duck import connect
from jobs.segments.compile.portable import to_sql
from jobs.segments.compile.program import compiled
from jobs.segments.compile.rules import Writer, segment_column
from jobs.segments.evaluate.local import Evaluator
from jobs.segments.language import vocabulary
from jobs.segments.language.catalogue import resolve
from jobs.segments.language.model import Catalogue

GOLDEN = {
    "{trait: order_count, gte: 5}": "order_count >= 5",
    "{trait: lifetime_value, lt: 12.5}": "lifetime_value < 12.5",
    "{trait: days_since_last_order, lte: 30}": "days_since_last_order <= 30",
    "{trait: order_count, gt: -1}": "order_count > -1",
    "{trait: lifecycle_stage, eq: new}": "lifecycle_stage = 'new'",
    "{trait: lifecycle_stage, ne: lapsed}": "lifecycle_stage is distinct from 'lapsed'",
    "{trait: email_engagement, in: [medium, high]}": "email_engagement in ('medium', 'high')",
    "{trait: email_token, is_null: true}": "email_token is null",
    "{trait: email_token, is_null: false}": "not email_token is null",
    "{trait: is_suppressed, is_true: true}": "coalesce(is_suppressed, false)",
    "{trait: is_suppressed, is_true: false}": "not coalesce(is_suppressed, false)",
    "{trait: first_order_at, gte: 2017-10-01}": "first_order_at >= cast('2017-10-01 00:00:00' as timestamp)",
    "{trait: first_order_at, lt: 2017-10-01T02:00:00+02:00}": "first_order_at < cast('2017-10-01 00:00:00' as timestamp)",
    "{trait: favourite_department, eq: Kids AND Toys}": "favourite_department = 'Kids AND Toys'",
    "{trait: favourite_department, starts_with: Kids}": "left(favourite_department, 4) = 'Kids'",
    "{trait: last_order_at, older_than: 30 days}": "(last_order_at + interval '30' day) <= as_of",
    "{not: {trait: order_count, eq: 0}}": "not coalesce(order_count = 0, false)",
    "{none: [{trait: order_count, eq: 0}, {trait: order_count, eq: 1}]}": (
        "not (coalesce(order_count = 0 or order_count = 1, false))"
    ),
    "{any: [{trait: order_count, eq: 1}, {all: [{trait: order_count, eq: 2}, {trait: kids_count, eq: '1'}]}]}": (
        "order_count = 1 or (order_count = 2 and kids_count = '1')"
    ),
    "{all: [{trait: order_count, eq: 1}, {any: [{trait: order_count, eq: 2}, {trait: kids_count, eq: '1'}]}]}": (
        "order_count = 1 and (order_count = 2 or kids_count = '1')"
    ),
}
# profile_id, order_count, lifecycle_stage, favourite_department, is_suppressed
PEOPLE = [
    ("p1", 7, "active", "PRODUCE", False),
    ("p2", 0, "prospect", None, False),
    ("p3", 5, "lapsing", "O'Brien's", True),
    ("p4", 5, "lapsed", "'; drop table attributes; --", None),
]


def catalogue_of(rule: dict[str, Any]) -> Catalogue:
    header = SegmentHeader(name="tested", description="Used by the tests of the compiler.", rule=rule, allow_all=True)
    return resolve({}, {"tested": header}, vocabulary.attributes())


def written(rule: str) -> exp.Expr:
    catalogue = catalogue_of(yaml.safe_load(rule))
    return Writer(catalogue).rule(catalogue.segments["tested"].rule, "UTC")


def flat(expression: exp.Expr) -> str:
    return " ".join(to_sql(expression, pretty=True).split()).replace("( ", "(").replace(" )", ")")


def without_casts(node: exp.Expr) -> exp.Expr:
    return node.this if isinstance(node, exp.Cast) else node


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    home: Path = tmp_path_factory.mktemp("segments")
    connection = connect(make_settings(home))
    columns = (
        "profile_id text, order_count bigint, lifecycle_stage text, favourite_department text, is_suppressed boolean,"
        " as_of timestamp"  # as the profiles of the warehouse have it
    )
    connection.execute(f"create table attributes ({columns})")
    connection.executemany("insert into attributes values (?, ?, ?, ?, ?, '2018-01-01')", PEOPLE)
    connection.execute("create table asked as select profile_id, timestamp '2018-01-02' as as_of from attributes")
    connection.execute(
        "create table eval_events (profile_id text, event_key text, name text, effective_at timestamp, "
        "received_at timestamp, receive_position bigint, properties text)"
    )
    yield connection
    connection.close()


def members(connection: Any, rule: dict[str, Any]) -> list[str]:
    rows = Evaluator(catalogue_of(rule)).evaluate(connection).to_pylist()
    return sorted(row["profile_id"] for row in rows if row[segment_column("tested")])


@pytest.mark.parametrize(("rule", "expected"), GOLDEN.items())
def test_golden(rule: str, expected: str) -> None:
    assert flat(written(rule)) == expected


@pytest.mark.parametrize("rule", GOLDEN)
def test_spark_reads_the_same_condition(rule: str) -> None:
    """The committed text is the same tree in both dialects: one file serves both dbt targets."""
    text = to_sql(written(rule))
    # A timestamp without zone is Spark's "with the session's zone", and every session here is set to UTC.
    trees = [sqlglot.parse_one(text, dialect=name).transform(without_casts) for name in ("spark", "duckdb")]
    assert trees[0] == trees[1]


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("{trait: order_count, gte: 5}", ["p1", "p3", "p4"]),
        ("{trait: lifecycle_stage, in: [lapsing, lapsed]}", ["p3", "p4"]),
        ("{trait: favourite_department, ne: PRODUCE}", ["p2", "p3", "p4"]),
        ("{not: {trait: favourite_department, eq: PRODUCE}}", ["p2", "p3", "p4"]),
        ("{not: {not: {trait: favourite_department, eq: PRODUCE}}}", ["p1"]),
        ("{trait: is_suppressed, is_true: false}", ["p1", "p2", "p4"]),
        ("{not: {any: [{trait: is_suppressed, is_true: true}, {trait: order_count, lt: 5}]}}", ["p1", "p4"]),
        ("{all: [{trait: order_count, gte: 5}, {not: {trait: is_suppressed, is_true: true}}]}", ["p1", "p4"]),
        ("{any: [{trait: order_count, eq: 0}, {trait: favourite_department, eq: PRODUCE}]}", ["p1", "p2"]),
        ("{trait: favourite_department, is_null: true}", ["p2"]),
        ("{all: [{trait: order_count, top_percent: 50}, {trait: is_suppressed, is_true: false}]}", ["p1", "p4"]),
    ],
)
def test_members(people: Any, rule: str, expected: list[str]) -> None:
    assert members(people, yaml.safe_load(rule)) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("O'Brien's", ["p3"]),
        ("'; drop table attributes; --", ["p4"]),
        ("x' or 'a' = 'a", []),
        ("'' or true --", []),
        ("/* */ union select", []),
        ('" or 1=1', []),
    ],
)
def test_injection_stays_a_literal(people: Any, value: str, expected: list[str]) -> None:
    rule = {"trait": "favourite_department", "eq": value}
    assert members(people, rule) == expected
    assert people.execute("select count(*) from attributes").fetchall() == [(len(PEOPLE),)]
    text = to_sql(Writer(catalogue_of(rule)).rule(catalogue_of(rule).segments["tested"].rule, "UTC"))
    [literal] = sqlglot.parse_one(text, dialect="duckdb").find_all(exp.Literal)
    assert literal.this == value


@pytest.mark.parametrize("value", ["{{ env_var('HOME') }}", "{% set x = 1 %}", "\\' or 1=1 --", "a\nb", "a\x00b"])
def test_text_that_dbt_or_spark_would_run_is_refused(value: str) -> None:
    with pytest.raises(DefinitionError, match=r"segments/tested.yml: rule.eq: text .* contains"):
        catalogue_of({"trait": "favourite_department", "eq": value})


def test_every_attribute_can_be_used() -> None:
    columns = vocabulary.of_contracts().columns
    values = {"boolean": "is_true: true", "string": "eq: {}", "timestamp": "gte: 2017-01-01"}
    for name in vocabulary.attributes():
        column = columns[name]
        operator = values.get(column.type, "gte: 1").format(column.allowed[0] if column.allowed else "text")
        assert name in flat(written(f"{{trait: {name}, {operator}}}"))


def test_a_percentile_of_an_attribute_reads_it() -> None:
    found = compiled(catalogue_of(yaml.safe_load("{trait: order_count, top_percent: 10}")))
    assert "order_count" in found.needs.attributes
