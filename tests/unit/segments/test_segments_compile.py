"""Rules to SQL: golden cases, members on real rows, what is refused and with which hint."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlglot
import yaml
from pydantic import ValidationError
from settingskit import make_settings
from sqlglot import exp

from jobs.core.definitions import DefinitionError, SegmentHeader
from jobs.lake.duck import connect
from jobs.segments.compiler import condition, members, to_sql
from jobs.segments.traits import trait, traits

GOLDEN = {
    "{trait: order_count, gte: 5}": "order_count >= 5",
    "{trait: lifetime_value, lt: 12.5}": "lifetime_value < 12.5",
    "{trait: days_since_last_order, lte: 30}": "days_since_last_order <= 30",
    "{trait: order_count, gt: -1}": "order_count > -1",
    "{trait: lifecycle_stage, eq: new}": "lifecycle_stage = 'new'",
    "{trait: lifecycle_stage, ne: lapsed}": "lifecycle_stage is distinct from 'lapsed'",
    "{trait: email_engagement, in: [medium, high]}": "email_engagement in ('medium', 'high')",
    "{trait: email_token, is_null: true}": "email_token is null",
    "{trait: email_token, is_null: false}": "email_token is not null",
    "{trait: is_suppressed, is_true: true}": "coalesce(is_suppressed, false)",
    "{trait: is_suppressed, is_true: false}": "not coalesce(is_suppressed, false)",
    "{trait: first_order_at, gte: 2017-10-01}": "first_order_at >= cast('2017-10-01 00:00:00' as timestamp)",
    "{trait: first_order_at, lt: 2017-10-01T02:00:00+02:00}": "first_order_at < cast('2017-10-01 00:00:00' as timestamp)",
    "{trait: favourite_department, eq: Kids AND Toys}": "favourite_department = 'Kids AND Toys'",
    "{not: {trait: order_count, eq: 0}}": "not coalesce(order_count = 0, false)",
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
    ("p4", 5, "lapsed", "'; drop table dim_profiles; --", None),
]


def segment(rule: str) -> SegmentHeader:
    description = "Used by the tests of the compiler."
    return SegmentHeader.model_validate({"name": "tested", "description": description, "rule": yaml.safe_load(rule)})


def without_casts(node: exp.Expr) -> exp.Expr:
    return node.this if isinstance(node, exp.Cast) else node


def flat(header: SegmentHeader) -> str:
    return " ".join(to_sql(condition(header)).split()).replace("( ", "(").replace(" )", ")")


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    home: Path = tmp_path_factory.mktemp("segments")
    connection = connect(make_settings(home))
    columns = (
        "profile_id text, order_count bigint, lifecycle_stage text, favourite_department text, is_suppressed boolean"
    )
    fixed = "as_of timestamp default timestamp '2018-01-02', is_simulated boolean default false"
    connection.execute(f"create table dim_profiles ({columns}, {fixed})")
    names = "profile_id, order_count, lifecycle_stage, favourite_department, is_suppressed"
    connection.executemany(f"insert into dim_profiles ({names}) values (?, ?, ?, ?, ?)", PEOPLE)
    yield connection
    connection.close()


@pytest.mark.parametrize(("rule", "expected"), GOLDEN.items())
def test_golden(rule: str, expected: str) -> None:
    assert flat(segment(rule)) == expected


@pytest.mark.parametrize("rule", GOLDEN)
def test_spark_reads_the_same_condition(rule: str) -> None:
    """The committed text is the same tree in both dialects: one file serves both dbt targets."""
    text = to_sql(condition(segment(rule)))
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
    ],
)
def test_members(people: Any, rule: str, expected: list[str]) -> None:
    found = people.execute(members(segment(rule), "dim_profiles")).fetchall()
    assert sorted(row[0] for row in found) == expected
    assert {row[1] for row in found} <= {False}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("O'Brien's", ["p3"]),
        ("'; drop table dim_profiles; --", ["p4"]),
        ("x' or 'a' = 'a", []),
        ("'' or true --", []),
        ("/* */ union select", []),
        ('" or 1=1', []),
    ],
)
def test_injection_stays_a_literal(people: Any, value: str, expected: list[str]) -> None:
    header = SegmentHeader(
        name="tested",
        description="Used by the tests of the compiler.",
        rule={"trait": "favourite_department", "eq": value},
    )
    assert sorted(row[0] for row in people.execute(members(header, "dim_profiles")).fetchall()) == expected
    assert people.execute("select count(*) from dim_profiles").fetchall() == [(len(PEOPLE),)]
    [literal] = sqlglot.parse_one(to_sql(condition(header)), dialect="duckdb").find_all(exp.Literal)
    assert literal.this == value


@pytest.mark.parametrize("value", ["{{ env_var('HOME') }}", "{% set x = 1 %}", "\\' or 1=1 --", "a\nb", "a\x00b"])
def test_text_that_dbt_or_spark_would_run_is_refused(value: str) -> None:
    header = SegmentHeader(
        name="tested",
        description="Used by the tests of the compiler.",
        rule={"trait": "favourite_department", "eq": value},
    )
    with pytest.raises(DefinitionError, match=r"segments/tested.yml: text .* contains"):
        condition(header)


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ("{trait: order_cuont, gte: 5}", "unknown trait 'order_cuont'; did you mean 'order_count'?"),
        ("{trait: zzzz, gte: 5}", "unknown trait 'zzzz'; known: age_band, "),
        ("{trait: profile_id, eq: p1}", "unknown trait 'profile_id'"),
        ("{trait: order_count, gte: '5'}", "trait 'order_count' is long, found '5' (str)"),
        ("{trait: order_count, gte: 5.5}", "trait 'order_count' is long, found 5.5 (float)"),
        ("{trait: order_count, eq: true}", "trait 'order_count' is long, found True (bool)"),
        ("{trait: kids_count, in: [1, 2]}", "trait 'kids_count' is string, found 1 (int)"),
        ("{trait: favourite_department, gt: A}", "use eq, ne or in"),
        ("{trait: is_suppressed, eq: true}", "use is_true or is_null, not eq"),
        ("{trait: order_count, is_true: true}", "use a comparison with a value, not is_true"),
        ("{trait: lifecycle_stage, eq: lapsng}", "is never 'lapsng'; did you mean 'lapsing'?"),
        ("{trait: order_count, gte: 5, lt: 7}", "exactly one of eq, ne, gt, gte, lt, lte, in, is_null, is_true"),
        ("{trait: order_count}", "found none"),
        ("{trait: lifetime_value, gt: .nan}", "finite number"),
        ("{trait: order_count, atleast: 5}", "atleast: Extra inputs are not permitted"),
        ("{every: []}", "a rule is a mapping with one of: all, any, not, trait"),
        ("{all: []}", "at least 1 item"),
        ("{all: [{trait: order_count, gte: 5}], any: [{trait: order_count, gte: 5}]}", "any: Extra inputs"),
    ],
)
def test_what_is_wrong_is_named_with_a_hint(rule: str, message: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        condition(segment(rule))
    assert message in str(caught.value)
    assert "segments/tested.yml" in str(caught.value)


def test_every_trait_can_be_used() -> None:
    values = {"boolean": "is_true: true", "string": "eq: {}", "timestamp": "gte: 2017-01-01"}
    for name, column in traits().items():
        operator = values.get(column.type, "gte: 1").format(column.allowed[0] if column.allowed else "text")
        assert name in flat(segment(f"{{trait: {name}, {operator}}}"))
        assert trait(name) is column


def test_a_definition_with_an_unknown_key_is_refused() -> None:
    with pytest.raises(ValidationError, match="ruel"):
        SegmentHeader.model_validate(
            {"name": "tested", "description": "Used by the tests of the compiler.", "ruel": {}}
        )
