-- Empty in a full build. Events never change once they are in silver; they come, they go (retention, erasure), and the
-- profile of an old one is another when identity has moved one of its identifiers.
{% set kinds = identifier_columns() %}

{% if var('increment') %}
with moved_identifiers as (
    select
        coalesce(now.identifier_type, before.identifier_type) as identifier_type,
        coalesce(now.identifier_value, before.identifier_value) as identifier_value
    from {{ ref('int_identity__identifiers') }} as now
    full outer join previous.int_identity__identifiers as before
        on
            now.identifier_type = before.identifier_type
            and now.identifier_value = before.identifier_value
    -- A provisional profile that is adopted keeps its id, and counts for more than before.
    where
        now.profile_id is distinct from before.profile_id
        or now.is_provisional is distinct from before.is_provisional
),

present as (
    select
        *,
        {%- for kind, column in kinds %}
        coalesce({{ column }} in (
            select identifier_value from moved_identifiers where identifier_type = '{{ kind }}'
        ), false){{ ' or' if not loop.last }}
        {%- endfor %} as is_moved
    from {{ ref('stg_lake__events') }}
)

-- With all that its readers need of it, so that they need not look for it in the lake.
select
    present.* exclude (event_key),
    coalesce(present.event_key, known.event_key) as event_key,
    case
        when known.event_key is null then 'new'
        when present.event_key is null then 'gone'
        else 'moved'
    end as change
from present
full outer join marts.fct_events as known on present.event_key = known.event_key
where known.event_key is null or present.event_key is null or present.is_moved
{% else %}
select
    *,
    false as is_moved,
    'new' as change
from {{ ref('stg_lake__events') }}
where false
{% endif %}
