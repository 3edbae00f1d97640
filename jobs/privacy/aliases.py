"""Tokens of one value under two keys: table `ops_token_aliases`, filled for the window of a rotation, empty at other times."""

import re

import pyarrow as pa

from jobs.core.catalog import lake_table
from jobs.core.settings import Settings
from jobs.lake import delta
from jobs.lake.schema import arrow_schema

TABLE = "ops_token_aliases"
KINDS = ("email", "phone", "user_id")


def token_pattern(version: int) -> str:
    """Regular expression of a token of this key, anywhere in a text; the same for Python, DuckDB and Spark."""
    return rf"\b(?:{'|'.join(KINDS)})_v{version}_[0-9a-f]{{64}}\b"


def kind_of(token: str) -> str:
    """`email` of `email_v1_…`."""
    return re.split(r"_v\d+_", token, maxsplit=1)[0]


def read_aliases(settings: Settings) -> dict[str, str]:
    """Old token → new token; empty outside of a window."""
    table = delta.read(settings, TABLE)
    return dict(zip(table["old_token"].to_pylist(), table["new_token"].to_pylist(), strict=True))


def write_aliases(settings: Settings, aliases: dict[str, str]) -> None:
    """Replaces the table, sorted; with nothing, empties it."""
    pairs = sorted(aliases.items())
    columns = {"old_token": [old for old, _ in pairs], "new_token": [new for _, new in pairs]}
    delta.replace(settings, TABLE, pa.table(columns, schema=arrow_schema(lake_table(TABLE).contract)))
