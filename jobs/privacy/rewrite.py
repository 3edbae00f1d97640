"""Puts new tokens in the place of old ones in the tables that hold any, part by part, each part in one commit.

A part that holds no old token any more is not touched: a run that is repeated after a crash does what is left.
"""

import logging
import re
from collections.abc import Callable
from dataclasses import dataclass

import pyarrow as pa

from jobs.core.catalog import lake_table
from jobs.core.errors import PermanentError
from jobs.core.settings import Settings
from jobs.lake import delta
from jobs.lake.duck import lake_connection
from jobs.privacy.aliases import TABLE as ALIASES
from jobs.privacy.aliases import token_pattern

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Place:
    """A table that holds tokens. `part` is the column by which it is rewritten piece by piece (None: at once); of rows that
    become one under the table's key, the least and the greatest value of these columns is kept."""

    table: str
    columns: tuple[str, ...]
    part: str | None = None
    least: tuple[str, ...] = ()
    greatest: tuple[str, ...] = ()
    unknown_is_null: bool = False


# Who reads between two steps finds every join: profile_identifiers, which knows both tokens, comes last.
PLACES = (
    Place("silver_events", ("user_id", "email_token", "phone_token", "properties"), part="event_date"),
    Place("silver_records", ("properties",), part="object"),
    Place("silver_identifiers", ("identifier_value",), part="event_date"),
    Place("consents", ("identifier_value",), part="source"),
    Place("suppressions", ("identifier_value",), least=("effective_at",)),
    Place("identity_edges", ("stronger_value", "weaker_value")),
    Place("identity_ledger", ("identifier_value", "evidence")),
    Place("identity_assignments", ("identifier_value",)),
    Place("ops_blocked_identifiers", ("blocked",)),
    Place("identity_separations", ("identifier_value",)),
    Place("identity_matches", ("identifier_value_a", "identifier_value_b")),
    # Rejected messages are not in the vault; their tokens are made again when they are replayed.
    Place("quarantine_messages", ("user_id", "email_token", "phone_token"), part="quarantined_date", unknown_is_null=True),
    Place(
        "profile_identifiers",
        ("identifier_value",),
        least=("valid_from", "is_simulated"),
        greatest=("last_seen_at", "event_count"),
    ),
)  # fmt: skip


def unknown_tokens(settings: Settings, version: int) -> dict[str, list[str]]:
    """Tokens of this key that have no alias, by table; without those of the quarantine."""
    found: dict[str, list[str]] = {}
    connection = lake_connection(settings)
    try:
        for place in PLACES:
            if place.unknown_is_null:
                continue
            query = f"""
                select distinct token from (
                    select unnest(regexp_extract_all({_text(place)}, $pattern)) as token
                    from {place.table} where regexp_matches({_text(place)}, $pattern)
                ) where token not in (select old_token from {ALIASES}) order by token
            """
            rows = connection.execute(query, {"pattern": token_pattern(version)}).fetchall()
            found |= {place.table: [str(row[0]) for row in rows]} if rows else {}
    finally:
        connection.close()
    return found


def old_tokens(settings: Settings, version: int) -> dict[str, int]:
    """Rows that still hold a token of this key, by table."""
    connection = lake_connection(settings)
    found = {}
    try:
        for place in PLACES:
            query = f"select count(*) from {place.table} where regexp_matches({_text(place)}, ?)"
            if count := connection.execute(query, [token_pattern(version)]).fetchall()[0][0]:
                found[place.table] = int(count)
    finally:
        connection.close()
    return found


def rewrite(
    settings: Settings, version: int, aliases: dict[str, str], after_part: Callable[[], None]
) -> dict[str, int]:
    """Rewrites all places; returns how many rows of each table were in a part that changed. Calls `after_part` after each
    commit. Raises PermanentError instead of losing a row."""
    pattern = re.compile(token_pattern(version))
    changed: dict[str, int] = {}
    for place, parts in _parts(settings, version).items():
        for part in parts:
            filters = [(place.part, "=", part)] if place.part else None
            table = delta.ensure_table(settings, place.table).to_pyarrow_table(filters=filters)
            fresh = _renamed(table, place, pattern, aliases)
            if fresh.num_rows != table.num_rows and not place.least:
                raise PermanentError(
                    f"{place.table}: {table.num_rows} rows became {fresh.num_rows}; nothing was written"
                )
            delta.replace(settings, place.table, fresh, predicate=_predicate(place, part))
            changed[place.table] = changed.get(place.table, 0) + table.num_rows
            after_part()
        if place.table in changed:
            log.info("%s: %d rows rewritten", place.table, changed[place.table])
    return changed


def _text(place: Place) -> str:
    return f"concat_ws(' ', {', '.join(place.columns)})"


def _parts(settings: Settings, version: int) -> dict[Place, list[object]]:
    """The parts that hold an old token, in the order of PLACES."""
    connection = lake_connection(settings)
    found: dict[Place, list[object]] = {}
    try:
        for place in PLACES:
            select = f"select distinct {place.part or 'true'} as part from {place.table}"
            where = f"where regexp_matches({_text(place)}, ?) order by part"
            found[place] = [
                row[0] for row in connection.execute(f"{select} {where}", [token_pattern(version)]).fetchall()
            ]
    finally:
        connection.close()
    return found


def _predicate(place: Place, part: object) -> str | None:
    if place.part is None:
        return None
    kind = next(column.type for column in lake_table(place.table).contract.columns if column.name == place.part)
    text = str(part).replace("'", "''")
    return f"{place.part} = cast('{text}' as date)" if kind == "date" else f"{place.part} = '{text}'"


def _renamed(table: pa.Table, place: Place, pattern: re.Pattern[str], aliases: dict[str, str]) -> pa.Table:
    """The rows with new tokens; rows that have become one are merged."""

    def instead(found: re.Match[str]) -> str:
        return "" if place.unknown_is_null and found.group() not in aliases else aliases[found.group()]

    for name in place.columns:
        values = table.column(name).to_pylist()
        fresh = [pattern.sub(instead, value) or None if value and "_v" in value else value for value in values]
        column = table.column_names.index(name)
        table = table.set_column(column, table.field(name), pa.array(fresh, table.field(name).type))
    return _merged(table, place) if place.least else table


def _merged(table: pa.Table, place: Place) -> pa.Table:
    key = list(lake_table(place.table).contract.key)
    rest = [name for name in table.column_names if name not in (*key, *place.least, *place.greatest)]
    named = (("min", place.least), ("max", (*place.greatest, *rest)))
    grouped = table.group_by(key).aggregate([(name, how) for how, names in named for name in names])
    columns = {f"{name}_{how}": name for how, names in named for name in names}
    return grouped.rename_columns([columns.get(name, name) for name in grouped.column_names]).select(table.column_names)
