"""Whose an event is, by the map of the last identity run; provisional where the run has not seen the identifier.

The same answer as the dbt models int_identity__identifiers, int_identity__provisional, int_identity__redirects and
int_identity__event_profiles; a test holds the two together.
"""

from typing import Any

from jobs.core.profile_ids import founded_sql
from jobs.core.settings import Settings
from jobs.lake import delta

TABLES = ("profile_identifiers", "profile_redirects", "ops_blocked_identifiers", "ops_token_aliases")
# From the strongest to the weakest, with the column of an event that holds each.
KINDS = {
    "user_id": "user_id",
    "loyalty_id": "loyalty_id",
    "email": "email_token",
    "phone": "phone_token",
    "anonymous_id": "anonymous_id",
}
MAP = (
    "create or replace table owners as select identifier_type, identifier_value,"
    " coalesce(to_profile_id, profile_id) as profile_id from profile_identifiers"
    " left join profile_redirects on profile_id = from_profile_id",
    "create or replace table taken as select profile_id from profile_identifiers"
    " union select from_profile_id from profile_redirects",
    f"""create or replace table led_on as
    with founded as (
        select profile_id, {founded_sql()} as first_id, {founded_sql(1)} as second_id from owners
    ),
    provisional as (
        select distinct case when taken.profile_id is null then first_id else second_id end as from_profile_id,
            founded.profile_id as to_profile_id
        from founded left join taken on first_id = taken.profile_id where first_id <> founded.profile_id
    )
    select from_profile_id, to_profile_id from profile_redirects
    union all select * from provisional where from_profile_id not in (select profile_id from taken)""",
    "create or replace table nobody as select identifier_type, rule, blocked from ops_blocked_identifiers",
    "create or replace table aliases as select old_token, new_token from ops_token_aliases",
)
# `led_on`: where an id leads that was merged away, or was provisional. `sighted`: identifier_type, identifier_value and, of a
# relation of events, when first and whether only simulated. Where it leads: `sighted_owners`.
SIGHTED = f"""
create or replace temp table sighted_owners as
with unseen as (
    select identifier_type, identifier_value as sighted_value, coalesce(new_token, identifier_value) as identifier_value
    from sighted anti join owners using (identifier_type, identifier_value)
    left join aliases on sighted.identifier_value = old_token
    where identifier_type <> 'previous_id'
),
people as (
    select identifier_type, sighted_value, {founded_sql()} as first_id, {founded_sql(1)} as second_id from unseen
    where not exists (
        select 1 from nobody where nobody.identifier_type = unseen.identifier_type and (
            (rule = 'value' and blocked = lower(trim(identifier_value)))
            or (rule = 'pattern' and regexp_full_match(trim(identifier_value), blocked))
        )
    )
)
select identifier_type, identifier_value, profile_id, false as is_provisional
from owners semi join sighted using (identifier_type, identifier_value)
union all
select identifier_type, sighted_value, case when taken.profile_id is null then first_id else second_id end, true
from people left join taken on first_id = taken.profile_id
"""


def identity_versions(settings: Settings) -> tuple[int, ...]:
    """Changes whenever an identity run, a rotation or an undone merge has changed whose an identifier is."""
    return tuple(delta.version(settings, name) for name in TABLES)


def read_map(connection: Any) -> None:
    """Reads the map as it is now into tables of the connection, in which the lake's tables stand by name."""
    for statement in MAP:
        connection.execute(statement)


def sight(connection: Any, events: str) -> None:
    """Fills `sighted_owners` for the identifiers of a relation of events."""
    parts = [
        f"select '{kind}' as identifier_type, {column} as identifier_value, effective_at, received_at, is_simulated"
        f" from {events} where {column} is not null"
        for kind, column in KINDS.items()
    ]
    connection.execute(
        "create or replace temp table sighted as select identifier_type, identifier_value, min(effective_at) as effective_at,"
        f" min(received_at) as received_at, bool_and(is_simulated) as is_simulated from ({' union all '.join(parts)})"
        " group by identifier_type, identifier_value"
    )
    connection.execute(SIGHTED)


def owned(events: str) -> str:
    """A query for the events with profile_id: the strongest identifier that is known decides, else the strongest; NULL when
    all of them point at nobody. `sighted_owners` is filled."""
    joins = [
        f"left join sighted_owners as by_{kind} on by_{kind}.identifier_type = '{kind}'"
        f" and by_{kind}.identifier_value = events.{column}"
        for kind, column in KINDS.items()
    ]
    known = [f"case when not by_{kind}.is_provisional then by_{kind}.profile_id end" for kind in KINDS]
    either = [f"by_{kind}.profile_id" for kind in KINDS]
    owner = f"coalesce({', '.join([*known, *either])}) as profile_id"
    return f"select events.*, {owner} from {events} as events {' '.join(joins)}"
