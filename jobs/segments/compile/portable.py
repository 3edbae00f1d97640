"""The few functions that the engines write differently: named calls in the tree, filled in when it becomes text.

For DuckDB and Spark a call becomes the engine's own words; in a dbt model it becomes a call of the macro of the same name,
whose two bodies are made from the templates here (`macros()`), so that there is one place to change.
"""

from enum import StrEnum

from sqlglot import exp
from sqlglot.dialects.duckdb import DuckDB
from sqlglot.generators.duckdb import DuckDBGenerator
from sqlglot.tokenizer_core import TokenType

PREFIX = "segment_"
AS_WRITTEN = (TokenType.STRING, TokenType.IDENTIFIER)
NUMBER_TEXT = "^-?[0-9]{1,15}([.][0-9]{1,15})?([eE][+-]?[0-9]{1,2})?$"
# Through a double, as JSON numbers go on both engines, and then to whole millionths, which a double below 10^11 tells apart.
AS_NUMBER = (
    "case when abs(try_cast({scalar} as double)) < 1e11 then cast(cast(cast(round(try_cast({scalar} as double)"
    " * 1000000) as bigint) as decimal(18, 0)) * 0.000001 as decimal(18, 6)) end"
)
DUCKDB_KIND, DUCKDB_SCALAR = "json_type($document, $path)", "json_extract_string($document, $path)"
SPARK_VALUE = "try_variant_get(try_parse_json($document), $path, '{kind}')"
SPARK_KIND = f"schema_of_variant({SPARK_VALUE.format(kind='variant')})"
SPARK_SCALAR = SPARK_VALUE.format(kind="string")


class Engine(StrEnum):
    """What the SQL is for: one of the engines, or a dbt model, which runs on both."""

    DUCKDB = "duckdb"
    SPARK = "spark"
    DBT = "dbt"


def _text(kind: str, scalar: str, kinds: str, wholes: str) -> str:
    whole = f"{kind} in ({wholes}) and try_cast({scalar} as bigint) is not null"
    return f"case when {kind} in ({kinds}) or ({whole}) then {scalar} end"


def _number(kind: str, scalar: str, is_number: str, is_text: str) -> str:
    return f"case when {is_number} or ({is_text}) then {AS_NUMBER.format(scalar=scalar)} end"


def _unit_start(to_local: str, begins: str) -> str:
    """The midnight at which a unit begins by the calendar, and `begins`: the first instant whose date is that day's.

    The unit is that of the latest date that the zone's clocks have shown, which is not the date of `$at` where a clock was put
    back over midnight: `least` looks at the instant that was midnight by the offset of a day before, if it has come.
    """
    here, day_before = to_local.format(at="$at"), "$at - interval '1' day"
    coming = f"date_trunc('day', {here}) + interval '1' day"
    passed = f"least($at, {day_before} + ({coming} - {to_local.format(at=day_before)}))"
    today = f"greatest({here}, {to_local.format(at=passed)})"
    return begins.format(midnight=f"date_trunc($unit, {today}) + $shift")


DUCKDB_LOCAL = "timezone($zone, timezone('UTC', {at}))"
# DuckDB takes the last of two midnights: the first one is where the offset of a day before puts it, or else there is only one.
DAY_BEFORE = "midnight - interval '1' day"
BY_OFFSET = f"{DAY_BEFORE} + (midnight - {DUCKDB_LOCAL.format(at=DAY_BEFORE)})"
DUCKDB_BEGINS = (
    "list_transform([{midnight}], lambda midnight: least(timezone('UTC', timezone($zone, midnight)), "
    f"greatest({BY_OFFSET}, {BY_OFFSET} + (midnight - {DUCKDB_LOCAL.format(at=BY_OFFSET)}))))[1]"
)


# name → (arguments, DuckDB, Spark); $name stands for an argument.
TEMPLATES: dict[str, tuple[tuple[str, ...], str, str]] = {
    "micros": (("at",), "epoch_us($at)", "unix_micros($at)"),
    "last_by": (
        ("value", "at", "position", "event_key"),
        "arg_max($value, row($at, $position, $event_key))",
        "max_by($value, struct($at, $position, $event_key))",
    ),
    "first_by": (
        ("value", "at", "position", "event_key"),
        "arg_min($value, row($at, $position, $event_key))",
        "min_by($value, struct($at, $position, $event_key))",
    ),
    # A day begins at the first instant that has its date: of two midnights the first, and after the gap where one is skipped.
    "unit_start": (
        ("unit", "at", "shift", "zone"),
        _unit_start(DUCKDB_LOCAL, DUCKDB_BEGINS),
        _unit_start("from_utc_timestamp({at}, $zone)", "to_utc_timestamp({midnight}, $zone)"),
    ),
    "property_given": (
        ("document", "path"),
        f"coalesce({DUCKDB_KIND} in ('VARCHAR', 'BOOLEAN', 'BIGINT', 'UBIGINT', 'HUGEINT', 'DOUBLE'), false)",
        f"{SPARK_SCALAR} is not null",
    ),
    "property_text": (
        ("document", "path"),
        _text(DUCKDB_KIND, DUCKDB_SCALAR, "'VARCHAR', 'BOOLEAN'", "'BIGINT', 'UBIGINT'"),
        _text(SPARK_KIND, SPARK_SCALAR, "'STRING', 'BOOLEAN'", "'BIGINT'"),
    ),
    "property_number": (
        ("document", "path"),
        _number(
            DUCKDB_KIND,
            DUCKDB_SCALAR,
            f"{DUCKDB_KIND} in ('BIGINT', 'UBIGINT', 'DOUBLE')",
            f"{DUCKDB_KIND} = 'VARCHAR' and regexp_full_match({DUCKDB_SCALAR}, '{NUMBER_TEXT}')",
        ),
        _number(
            SPARK_KIND,
            SPARK_SCALAR,
            f"{SPARK_KIND} in ('BIGINT', 'DOUBLE') or {SPARK_KIND} like 'DECIMAL%'",
            f"{SPARK_KIND} = 'STRING' and {SPARK_SCALAR} rlike '{NUMBER_TEXT}'",
        ),
    ),
    "whole_quotient": (
        ("dividend", "divisor"),
        "cast(cast($dividend as hugeint) // cast($divisor as hugeint) as bigint)",
        "(cast($dividend as decimal(38, 0)) div cast($divisor as decimal(38, 0)))",
    ),
}


def call(name: str, **arguments: exp.Expr) -> exp.Expr:
    """A call of one of the functions above; KeyError when there is none, or an argument is missing."""
    return exp.Anonymous(this=PREFIX + name, expressions=[arguments[argument] for argument in TEMPLATES[name][0]])


def filled(template: str, arguments: dict[str, str]) -> str:
    """The template with its arguments in place, whose own text is never looked at again.

    Longest names first, so that none is taken for another's beginning.
    """
    parts = template.split("$")
    names = sorted(arguments, key=len, reverse=True)
    made = [parts[0]]
    for part in parts[1:]:
        name = next((name for name in names if part.startswith(name)), None)
        made.append(arguments[name] + part[len(name) :] if name else "$" + part)
    return "".join(made)


class _Generator(DuckDBGenerator):
    engine = Engine.DUCKDB

    def anonymous_sql(self, expression: exp.Anonymous) -> str:
        name = str(expression.this)
        if not name.startswith(PREFIX):
            return str(super().anonymous_sql(expression))
        names, duckdb, spark = TEMPLATES[name.removeprefix(PREFIX)]
        given = [" ".join(self.sql(argument).split()) for argument in expression.expressions]
        if self.engine is Engine.DBT:
            quoted = ", ".join(f'"{argument}"' for argument in given)
            return f"{{{{ {name}({quoted}) }}}}"
        return filled(spark if self.engine is Engine.SPARK else duckdb, dict(zip(names, given, strict=True)))

    def filter_sql(self, expression: exp.Filter) -> str:
        return f"{self.sql(expression, 'this')} FILTER (WHERE {self.sql(expression.expression, 'this')})"

    def neq_sql(self, expression: exp.NEQ) -> str:
        return self.binary(expression, "!=")


class _SparkGenerator(_Generator):
    engine = Engine.SPARK


class _DbtGenerator(_Generator):
    engine = Engine.DBT


GENERATORS = {Engine.DUCKDB: _Generator, Engine.SPARK: _SparkGenerator, Engine.DBT: _DbtGenerator}


def to_sql(expression: exp.Expr, engine: Engine = Engine.DUCKDB, *, pretty: bool = False) -> str:
    """The expression as text of one engine: DuckDB's grammar as far as Spark reads it, and the functions above."""
    generator = GENERATORS[engine](dialect="duckdb", pretty=pretty, pad=4, indent=4, normalize_functions="lower")
    made = str(generator.generate(expression, copy=False))
    return lower_keywords(made) if pretty else made


def lower_keywords(text: str) -> str:
    """Keywords in lower case; texts and quoted names as they are."""
    parts, place = [], 0
    for token in DuckDB().tokenize(text):
        word = text[token.start : token.end + 1]
        parts += [text[place : token.start], word if token.token_type in AS_WRITTEN else word.lower()]
        place = token.end + 1
    return "".join([*parts, text[place:]])
