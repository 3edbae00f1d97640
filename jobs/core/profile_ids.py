"""The profile id that an identifier founds. Whoever must name the profile of an identifier before an identity run has seen it
computes the same: the dbt macro `founded_profile_id`, and SQL on DuckDB by `founded_sql`; tests hold the three together."""

from jobs.core.hashing import hash_parts


def founded_profile_id(identifier_type: str, value: str, attempt: int = 0) -> str:
    """ "p_" and 24 hex digits of the identifier's hash; with an attempt from 1 another one, for when the first is taken."""
    parts: list[object] = [identifier_type, value]
    return "p_" + hash_parts([*parts, attempt] if attempt else parts)[:24]


def founded_sql(attempt: int = 0) -> str:
    """The same as an expression of the columns identifier_type and identifier_value."""
    counted = f" || chr(31) || '{attempt:d}'" if attempt else ""
    return f"'p_' || substr(sha256(identifier_type || chr(31) || identifier_value{counted}), 1, 24)"
