"""Table `ops_blocked_identifiers`: what points at nobody, so that nobody else takes it for an identifier that is merely new."""

from collections.abc import Sequence

import pyarrow as pa

from jobs.core.catalog import lake_table
from jobs.identity.edges import Connection
from jobs.identity.rules import TOKENISED, Rules
from jobs.lake.schema import arrow_schema

TABLE = "ops_blocked_identifiers"
KEY = ("identifier_type", "rule", "blocked")
FOUND = """
select distinct identifier_type || '|' || identifier_value from silver_identifiers
where list_contains($tokenised, identifier_type) and list_contains($blocked, identifier_type || '|' || identifier_value)
"""


def found_tokens(connection: Connection, blocked_of_type: Sequence[str]) -> list[str]:
    """Of `type|token` those that silver holds: only they are in the vault and can be told under another key."""
    tokens = connection.execute(FOUND, {"tokenised": list(TOKENISED), "blocked": list(blocked_of_type)}).fetchall()
    return [str(token) for (token,) in tokens]


def rows(rules: Rules, blocked_of_type: Sequence[str], tokens: Sequence[str]) -> pa.Table:
    """One row per type and value or pattern, sorted by the key; of e-mails and phones the tokens that were found."""
    plain = [entry for entry in blocked_of_type if entry.partition("|")[0] not in TOKENISED]
    values = {tuple(entry.split("|", 1)) for entry in (*plain, *tokens)}
    values |= {(kind, value.strip().lower()) for kind in rules.type_names for value in rules.blocked_values}
    found = [(kind, "value", value) for kind, value in values]
    found += [(kind, "pattern", rules.blocked_pattern) for kind in rules.type_names]
    schema = arrow_schema(lake_table(TABLE).contract)
    return pa.Table.from_pylist([dict(zip(KEY, entry, strict=True)) for entry in sorted(found)], schema=schema)
