-- Empty in a full build: identifiers that are another's now than in the published build, came or went.
{% if in_part() %}
select
    coalesce(now.identifier_type, before.identifier_type) as identifier_type,
    coalesce(now.identifier_value, before.identifier_value) as identifier_value,
    now.profile_id,
    before.profile_id as previous_profile_id
from {{ ref('int_identity__identifiers') }} as now
full outer join previous.int_identity__identifiers as before
    on
        now.identifier_type = before.identifier_type
        and now.identifier_value = before.identifier_value
-- A provisional profile that is adopted keeps its id, and counts for more than before.
where
    now.profile_id is distinct from before.profile_id
    or now.is_provisional is distinct from before.is_provisional
{% endif %}
{% if in_whole() %}
select
    identifier_type,
    identifier_value,
    profile_id,
    profile_id as previous_profile_id
from {{ ref('int_identity__identifiers') }}
where false
{% endif %}
