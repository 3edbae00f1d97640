"""Expressions as dbt models that a person can review: a step per CTE, a column per paragraph, its definition named above it."""

import textwrap
from collections.abc import Mapping

from sqlglot import exp

from jobs.segments.compile.portable import Engine, to_sql

INDENT = "    "
STAR = f"\n{INDENT}*\n"
Cte = tuple[str, str]


def as_model(ctes: list[Cte], last: str) -> str:
    """A model's text: its CTEs and its last select."""
    made = ",\n\n".join(f"{name} as (\n{textwrap.indent(body, INDENT)}\n)" for name, body in ctes)
    return f"with {made}\n\n{last}\n"


def as_select(select: exp.Select, notes: Mapping[str, str] | None = None) -> str:
    """The select in lower case, a column a line; `notes`: column → what stands above it as a comment."""
    notes = notes or {}
    shell = select.copy()
    shell.set("expressions", [exp.Star()])
    head, tail = (to_sql(shell, Engine.DBT, pretty=True) + "\n").split(STAR, 1)
    columns = ",\n".join(_column(item, notes.get(item.alias_or_name)) for item in select.expressions)
    return f"{head}\n{columns}\n{tail.rstrip()}"


def _column(item: exp.Expr, note: str | None) -> str:
    text = textwrap.indent(to_sql(item, Engine.DBT, pretty=True), INDENT)
    return f"\n{comment(note, INDENT)}\n{text}" if note else text


def comment(text: str, indent: str = "") -> str:
    """The text as comment lines, at most 120 characters wide; its own line breaks are kept."""
    lines = [line for part in text.split("\n") for line in textwrap.wrap(part, 112, subsequent_indent="  ")]
    return "\n".join(f"{indent}-- {line}" for line in lines)
