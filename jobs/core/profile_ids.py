"""The profile id that an identifier founds. Whoever must name the profile of an identifier before an identity run has seen it
computes the same: the dbt macro `founded_profile_id`, and SQL on DuckDB by `FOUNDED_SQL`; tests hold the three together."""

from jobs.core.hashing import hash_parts

# Of the columns identifier_type and identifier_value.
FOUNDED_SQL = "'p_' || substr(sha256(identifier_type || chr(31) || identifier_value), 1, 24)"


def founded_profile_id(identifier_type: str, value: str, attempt: int = 0) -> str:
    """ "p_" and 24 hex digits of the identifier's hash; with an attempt from 1 another one, for when the first is taken."""
    parts: list[object] = [identifier_type, value]
    return "p_" + hash_parts([*parts, attempt] if attempt else parts)[:24]
