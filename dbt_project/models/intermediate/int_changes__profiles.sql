-- Empty in a full build: profiles of which identifiers came or went, or were seen in what came and what went.
{% if in_part() %}
with seen as (
    select
        identifier_type,
        identifier_value
    from {{ ref('stg_lake__seen_identifiers') }}
)

select profile_id
from {{ ref('int_changes__identifiers') }}
where profile_id is not null
union
select previous_profile_id as profile_id
from {{ ref('int_changes__identifiers') }}
where previous_profile_id is not null
union
select owners.profile_id
from {{ ref('int_identity__identifiers') }} as owners
inner join seen
    on owners.identifier_type = seen.identifier_type and owners.identifier_value = seen.identifier_value
{% endif %}
{% if in_whole() %}
select profile_id
from {{ ref('int_changes__identifiers') }}
where false
{% endif %}
