-- Empty in a full build. Events never change once they are in silver; they come, they go (retention, erasure), they are
-- replaced (gone and new), and an old one is another's when identity has moved one of its identifiers. With all that the
-- readers need of them, so that they need not look for them in the lake; and with whose they were in the published build.
{% set kinds = identifier_columns() %}
{% set lake = source('lake', 'silver_events') %}

{% if in_part() %}
with arrivals as (
    select * from {{ ref('stg_lake__arrivals') }}
),

-- A query per kind of identifier: each reads of all events one column, and the rest only of those that it finds.
holding_moved as (
    {%- for kind, column in kinds %}
    select *
    from ({{ envelopes(lake) }}) as by_{{ kind }}
    where {{ column }} in (
        select identifier_value from {{ ref('int_changes__identifiers') }} where identifier_type = '{{ kind }}'
    )
    {{ 'union' if not loop.last }}
    {%- endfor %}
),

changed as (
    select * from arrivals
    union all
    select
        *,
        'moved' as change
    from holding_moved
    where event_key not in (select event_key from arrivals where change = 'new')
),

owned as (
    select
        changed.*,
        case when changed.change != 'gone' then {{ owner(kinds) }} end as profile_id
    from changed
    {{ owner_joins(kinds, 'changed', ref('int_identity__identifiers')) }}
)

select
    owned.*,
    case when owned.change != 'new' then {{ owner(kinds) }} end as previous_profile_id
from owned
{{ owner_joins(kinds, 'owned', 'previous.int_identity__identifiers') }}
{% endif %}
{% if in_whole() %}
select
    *,
    event_key as profile_id,
    event_key as previous_profile_id
from {{ ref('stg_lake__arrivals') }}
where false
{% endif %}
