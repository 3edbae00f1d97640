"""How many profiles a segment holds, counted on the published warehouse."""

from contextlib import closing

from jobs.core.definitions import SegmentHeader
from jobs.core.settings import Settings
from jobs.segments.compiler import members
from jobs.warehouse.reader import open_published

QUERY = """
with members as ({members})

select
    count(*),
    count(*) filter (where m.profile_id is not null),
    count(*) filter (where m.profile_id is not null and not p.is_simulated),
    count(*) filter (where m.profile_id is not null and p.has_marketing_consent and not p.is_suppressed)
from marts.dim_profiles as p
left join members as m on p.profile_id = m.profile_id
"""


def count_members(settings: Settings, header: SegmentHeader) -> str:
    """One line: members, their share of all profiles, how many are real, how many may be contacted for marketing."""
    query = QUERY.format(members=members(header, "marts.dim_profiles"))
    with closing(open_published(settings)) as connection:
        profiles, found, real, reachable = connection.execute(query).fetchall()[0]
    share = found / profiles if profiles else 0.0
    return f"{header.name}: {found:,} of {profiles:,} profiles ({share:.1%}); {real:,} real, {reachable:,} may be contacted"
