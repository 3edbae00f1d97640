-- The strongest identifier that is known decides: account, card, e-mail, phone, browser. Where the last identity run has
-- seen none of them, the strongest has a provisional profile.
{{ config(
    materialized=increments(),
    incremental_strategy='append',
    pre_hook="{{ forget('event_key', ref('int_changes__events'), \"change != 'new'\") }}"
) }}
{% set kinds = identifier_columns() %}

{% if in_part() %}
select
    event_key,
    profile_id
from {{ ref('int_changes__events') }}
where change != 'gone'
{% endif %}
{% if in_whole() %}
select
    events.event_key,
    {{ owner(kinds) }} as profile_id
from {{ ref('stg_lake__events') }} as events
{{ owner_joins(kinds, 'events', ref('int_identity__identifiers')) }}
{% endif %}
