"""Who may be sent at this moment. Checked when the sync runs, not when the warehouse was built; whatever is unknown means no."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from jobs.core.errors import PermanentError
from jobs.core.profile_ids import founded_sql
from jobs.core.settings import Settings
from jobs.lake import delta
from jobs.lake.duck import lake_connection

_COLUMNS = {
    "marketing": "has_marketing_consent",
    "profiling": "has_profiling_consent",
    "sharing": "has_sharing_consent",
}
_LAKE = ("profile_identifiers", "profile_redirects", "consents", "suppressions", "ops_token_aliases")
# Since the build somebody may have said no, or merged into a profile that did. Only refusals count here: a grant that the
# warehouse has not seen yet waits for the next build. What was said under the old and the new token of one value, while the
# window of a rotated key is open, is said by one person: the latest of it counts, and a refusal is of both. The build may
# have been before the rotation, and before the identity run that has seen an identifier.
_REFUSED = f"""
with spoken as (
    select c.* replace (coalesce(a.new_token, c.identifier_value) as identifier_value)
    from consents as c left join ops_token_aliases as a on a.old_token = c.identifier_value
),
latest as (
    select identifier_type, identifier_value, purpose, arg_max(status, (effective_at, receive_position)) as status
    from spoken where list_contains($purposes, purpose) and effective_at <= $now group by all
),
twins as (
    select old_token as token, new_token as other from ops_token_aliases
    union all select new_token, old_token from ops_token_aliases
),
said as (
    select identifier_type, identifier_value from latest where status is distinct from 'granted'
    union
    select identifier_type, identifier_value from suppressions where effective_at <= $now
),
named as (
    select identifier_type, identifier_value from said
    union
    select s.identifier_type, t.other from said as s join twins as t on t.token = s.identifier_value
),
refused as (
    select i.profile_id from profile_identifiers as i join named using (identifier_type, identifier_value)
),
beside as (
    select i.identifier_type, i.identifier_value from profile_identifiers as i join refused using (profile_id)
),
theirs as (
    select identifier_type, identifier_value from named
    union
    select identifier_type, identifier_value from beside
    union
    select b.identifier_type, t.other from beside as b join twins as t on t.token = b.identifier_value
)
select profile_id from refused
union
select r.from_profile_id from profile_redirects as r join refused on refused.profile_id = r.to_profile_id
union
select {founded_sql()} from theirs
union  -- where the first was taken
select {founded_sql(1)} from theirs
"""


def purposes_of(purpose: str, *, is_third_party: bool) -> tuple[str, ...]:
    """The consents that a sync needs: its own purpose, and sharing where rows leave to somebody else."""
    return tuple(dict.fromkeys((purpose, "sharing") if is_third_party else (purpose,)))


def permitted(connection: Any, purposes: Iterable[str]) -> set[str]:
    """Profiles of the published warehouse with all these consents and no suppression. Raises PermanentError."""
    unknown = [purpose for purpose in purposes if purpose not in _COLUMNS]
    if unknown:
        raise PermanentError(
            f"no profile states consent to {', '.join(unknown)}; a sync's purpose is one of {', '.join(_COLUMNS)}"
        )
    terms = " and ".join(f"{_COLUMNS[purpose]} is true" for purpose in purposes)
    rows = connection.execute(f"select profile_id from marts.dim_profiles where {terms} and is_suppressed is false")
    return {str(row[0]) for row in rows.fetchall()}


def refused_since(settings: Settings, purposes: Iterable[str], *, now: datetime) -> set[str]:
    """Profiles that the lake knows, as of `now`, to have denied one of these purposes or to be suppressed."""
    for name in _LAKE:
        delta.ensure_table(settings, name)
    connection = lake_connection(settings, _LAKE)
    try:
        rows = connection.execute(_REFUSED, {"purposes": list(purposes), "now": now})
        return {str(row[0]) for row in rows.fetchall()}
    finally:
        connection.close()
