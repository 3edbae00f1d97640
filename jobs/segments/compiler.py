"""From a rule to one SQL condition, by way of sqlglot expressions: values become literals of the tree, never text."""

from datetime import UTC, date, datetime
from decimal import Decimal

from sqlglot import exp
from sqlglot.dialects.duckdb import DuckDB
from sqlglot.tokenizer_core import TokenType

from expectations.contracts import Column
from jobs.core.definitions import DefinitionError, SegmentHeader
from jobs.segments.rules import AllOf, AnyOf, Comparison, Not, Operator, Value, parse_rule
from jobs.segments.traits import TraitError, check

BINARY: dict[Operator, type[exp.Binary]] = {
    Operator.EQ: exp.EQ,
    Operator.NE: exp.NullSafeNEQ,  # a profile without the trait is "not equal" too
    Operator.GT: exp.GT,
    Operator.GTE: exp.GTE,
    Operator.LT: exp.LT,
    Operator.LTE: exp.LTE,
}
AS_WRITTEN = (TokenType.STRING, TokenType.IDENTIFIER)


def condition(header: SegmentHeader) -> exp.Expr:
    """The segment's condition over the columns of `dim_profiles`. Raises DefinitionError naming the segment."""
    try:
        return _build(parse_rule(header))
    except TraitError as error:
        raise DefinitionError(f"segments/{header.name}.yml: {error}") from error


def members(header: SegmentHeader, relation: str) -> str:
    """A query for profile_id, is_simulated and as_of of the members, over `schema.table` or a table handed in."""
    query = exp.select("profile_id", "is_simulated", "as_of").from_(exp.to_table(relation))
    return to_sql(query.where(condition(header)))


def to_sql(expression: exp.Expr) -> str:
    """SQL that DuckDB and Spark both read, keywords in lower case."""
    text = expression.sql(dialect=DuckDB, pretty=True, pad=4, indent=4, normalize_functions="lower")
    parts, place = [], 0
    for token in DuckDB().tokenize(text):
        parts += [text[place : token.start], _cased(text[token.start : token.end + 1], token.token_type)]
        place = token.end + 1
    return "".join([*parts, text[place:]])


def _cased(text: str, kind: TokenType) -> str:
    return text if kind in AS_WRITTEN else text.lower()


def _build(rule: AllOf | AnyOf | Not | Comparison) -> exp.Expr:
    if isinstance(rule, AllOf):
        return exp.and_(*(_build(part) for part in rule.all_of))
    if isinstance(rule, AnyOf):
        return exp.or_(*(_build(part) for part in rule.any_of))
    if isinstance(rule, Not):
        known = exp.Coalesce(this=_build(rule.negated), expressions=[exp.false()])  # unknown is no, and not-no is yes
        return exp.Not(this=known)
    return _compare(rule, check(rule))


def _compare(rule: Comparison, column: Column) -> exp.Expr:
    trait = exp.column(column.name)
    operator = rule.operator
    if operator is Operator.IS_NULL:
        wanted = exp.null() if rule.is_null else exp.Not(this=exp.null())
        return exp.Is(this=trait, expression=wanted)
    if operator is Operator.IS_TRUE:
        known = exp.Coalesce(this=trait, expressions=[exp.false()])
        return known if rule.is_true else exp.Not(this=known)
    literals = [_literal(value) for value in rule.values]
    if operator is Operator.IN:
        return exp.In(this=trait, expressions=literals)
    return BINARY[operator](this=trait, expression=literals[0])


def _literal(value: Value) -> exp.Expr:
    if isinstance(value, datetime):
        utc = value.astimezone(UTC) if value.tzinfo else value
        return exp.cast(exp.Literal.string(utc.strftime("%Y-%m-%d %H:%M:%S")), "timestamp")
    if isinstance(value, date):
        return exp.cast(exp.Literal.string(f"{value.isoformat()} 00:00:00"), "timestamp")
    if isinstance(value, str):
        return exp.Literal.string(value)
    return exp.Literal.number(format(Decimal(str(value)), "f"))
