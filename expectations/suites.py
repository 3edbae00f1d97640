"""Great Expectations suites, made from the table contracts plus `extra/`.

A suite never loads a whole table. It states which small frames of the table it needs (`Frame`), and each check names
the frame it is judged on; whoever has the data hands the frames to `expectations.gate.judge`:

- `header`  one row per column of the table: `column_name`, `declared` ("name type"), `in_contract`
- `types`   the same, restricted to the columns of the contract
- `rows`    one row per row of the table: a 1/NULL mark per column whose presence matters, and `key_number`, the dense
            rank of the key (equal if and only if the keys are equal)
- `values`  one row per distinct value of one column, NULL left out: in column `value`
- `query`   what an `extra/` query returns; figures, never values
"""

from dataclasses import dataclass
from typing import Literal, TypeAlias

from great_expectations.expectations.core.expect_column_distinct_values_to_be_in_set import (
    ExpectColumnDistinctValuesToBeInSet,
)
from great_expectations.expectations.core.expect_column_distinct_values_to_equal_set import (
    ExpectColumnDistinctValuesToEqualSet,
)
from great_expectations.expectations.core.expect_column_max_to_be_between import ExpectColumnMaxToBeBetween
from great_expectations.expectations.core.expect_column_values_to_be_between import ExpectColumnValuesToBeBetween
from great_expectations.expectations.core.expect_column_values_to_be_in_set import ExpectColumnValuesToBeInSet
from great_expectations.expectations.core.expect_column_values_to_be_unique import ExpectColumnValuesToBeUnique
from great_expectations.expectations.core.expect_column_values_to_match_regex import ExpectColumnValuesToMatchRegex
from great_expectations.expectations.core.expect_column_values_to_not_be_null import ExpectColumnValuesToNotBeNull
from great_expectations.expectations.core.expect_column_values_to_not_match_regex import (
    ExpectColumnValuesToNotMatchRegex,
)
from great_expectations.expectations.core.expect_table_row_count_to_be_between import ExpectTableRowCountToBeBetween
from great_expectations.expectations.expectation import Expectation

from expectations.contracts import Column, TableContract
from expectations.extra import Extra, NullShare, PatternAbsent, QueryCheck

FrameKind: TypeAlias = Literal["header", "types", "rows", "values", "query"]
Severity: TypeAlias = Literal["critical", "warning"]
KEY_NUMBER = "key_number"
# A suite without these has been emptied, whatever else it holds.
MANDATORY = ("columns", "row_count", "key_unique")
# Derived tables: a narrower segment, a trait less, a consent withdrawn or a new model shrinks them for good reasons, and a
# gate that blocked would keep the smaller table from ever being published. The lake's gold_* tables are derived as well.
MAY_SHRINK = ("fct_segment_memberships", "fct_profile_traits", "fct_recommendations", "fct_profile_clusters")


@dataclass(frozen=True)
class Frame:
    """A frame to be fetched: its kind, and the column or the query where the kind needs one."""

    kind: FrameKind
    columns: tuple[str, ...] = ()
    query: str = ""


@dataclass(frozen=True)
class Check:
    """One named expectation, judged on one frame. `expected` is what the operator reads."""

    name: str
    frame: Frame
    expectation: Expectation
    expected: str
    column: str | None = None
    severity: Severity = "critical"


@dataclass(frozen=True)
class Suite:
    """All checks of one table."""

    table: str
    checks: tuple[Check, ...]


def build_suite(
    contract: TableContract, extra: tuple[Extra, ...] = (), *, min_rows: int = 0, volume_floor: int | None = None
) -> Suite:
    """The suite of a table: shape, size, key, columns, then what `extra/` adds.

    `min_rows` raises the contract's own minimum (a gate may refuse an empty table that a first build may not);
    `volume_floor` is the fewest rows that history makes plausible, None without history; fewer block, but only warn
    where a derived table may shrink.
    """
    shares = tuple(e for e in extra if isinstance(e, NullShare))
    rows = _rows_frame(contract, shares)
    checks = [*_shape(contract), *_size(contract, rows, min_rows, volume_floor), _key(contract, rows)]
    for column in contract.columns:
        if column.required or column.name in contract.key:
            checks.append(_not_null(column.name, rows))
        checks += _values(column)
    checks += [_null_share(e, rows) for e in shares]
    for item in extra:
        if isinstance(item, PatternAbsent):
            checks += [_pattern_absent(item, column) for column in item.columns]
        elif isinstance(item, QueryCheck):
            checks.append(_query(item))
    return Suite(contract.name, tuple(checks))


def _rows_frame(contract: TableContract, shares: tuple[NullShare, ...]) -> Frame:
    watched = {c.name for c in contract.columns if c.required} | set(contract.key) | {e.column for e in shares}
    return Frame("rows", tuple(c.name for c in contract.columns if c.name in watched))


def _shape(contract: TableContract) -> list[Check]:
    names = list(contract.column_names)
    declared = [f"{c.name} {c.type}" for c in contract.columns]
    return [
        Check(
            "columns",
            Frame("header"),
            ExpectColumnDistinctValuesToEqualSet(column="column_name", value_set=names),
            f"exactly the {len(names)} columns of the contract",
        ),
        Check(
            "types",
            Frame("types", contract.column_names),
            ExpectColumnDistinctValuesToBeInSet(column="declared", value_set=declared),
            "the column types of the contract",
        ),
    ]


def _size(contract: TableContract, rows: Frame, min_rows: int, volume_floor: int | None) -> list[Check]:
    least = max(contract.min_rows, min_rows)
    checks = [Check("row_count", rows, ExpectTableRowCountToBeBetween(min_value=least), f"at least {least} rows")]
    if volume_floor is not None:
        expectation = ExpectTableRowCountToBeBetween(min_value=volume_floor)
        expected = f"at least {volume_floor} rows, half the median of past runs"
        checks.append(Check("volume", rows, expectation, expected, severity=_volume_severity(contract.name)))
    return checks


def _volume_severity(table: str) -> Severity:
    return "warning" if table in MAY_SHRINK or table.startswith("gold_") else "critical"


def _key(contract: TableContract, rows: Frame) -> Check:
    expectation = ExpectColumnValuesToBeUnique(column=KEY_NUMBER)
    return Check("key_unique", rows, expectation, f"({', '.join(contract.key)}) unique")


def _not_null(column: str, rows: Frame) -> Check:
    return Check(f"not_null({column})", rows, ExpectColumnValuesToNotBeNull(column=column), "never NULL", column)


def _values(column: Column) -> list[Check]:
    frame = Frame("values", (column.name,))
    checks = []
    if column.allowed:
        in_set = ExpectColumnValuesToBeInSet(column="value", value_set=list(column.allowed))
        expected = f"one of {', '.join(column.allowed)}"
        checks.append(Check(f"allowed({column.name})", frame, in_set, expected, column.name))
    if column.min is not None or column.max is not None:
        between = ExpectColumnValuesToBeBetween(column="value", min_value=column.min, max_value=column.max)
        expected = f"between {_bound(column.min)} and {_bound(column.max)}"
        checks.append(Check(f"range({column.name})", frame, between, expected, column.name))
    if column.pattern is not None:
        matches = ExpectColumnValuesToMatchRegex(column="value", regex=column.pattern)
        expected = f"matching {column.pattern}"
        checks.append(Check(f"pattern({column.name})", frame, matches, expected, column.name))
    return checks


def _bound(value: float | None) -> str:
    return "any" if value is None else f"{value:g}"


def _null_share(extra: NullShare, rows: Frame) -> Check:
    expectation = ExpectColumnValuesToNotBeNull(column=extra.column, mostly=1 - extra.max_share)
    expected = f"at most {extra.max_share:.0%} NULL"
    return Check(f"null_share({extra.column})", rows, expectation, expected, extra.column, extra.severity)


def _pattern_absent(extra: PatternAbsent, column: str) -> Check:
    expectation = ExpectColumnValuesToNotMatchRegex(column="value", regex=extra.pattern)
    frame = Frame("values", (column,))
    return Check(f"{extra.name}({column})", frame, expectation, extra.expected, column, extra.severity)


def _query(extra: QueryCheck) -> Check:
    # The answer is one row, so its maximum is the figure itself, and the result can name it.
    expectation = ExpectColumnMaxToBeBetween(column=extra.column, min_value=extra.min, max_value=extra.max)
    return Check(
        extra.name, Frame("query", (extra.column,), extra.query), expectation, extra.expected, None, extra.severity
    )
