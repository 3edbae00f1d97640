-- The strongest identifier that is known decides: account, card, e-mail, phone, browser. Where the last identity run has
-- seen none of them, the strongest has a provisional profile.
{{ config(
    materialized=increments(),
    incremental_strategy='append',
    pre_hook="{{ forget('event_key', ref('int_changes__events')) }}"
) }}
{% set kinds = identifier_columns() %}

select
    events.event_key,
    coalesce(
        {%- for kind, _ in kinds %}
        case when not by_{{ kind }}.is_provisional then by_{{ kind }}.profile_id end,
        {%- endfor %}
        {%- for kind, _ in kinds %}
        by_{{ kind }}.profile_id{{ ',' if not loop.last }}
        {%- endfor %}
    ) as profile_id
from {{ events_or_changed(ref('stg_lake__events'), ref('int_changes__events')) }} as events
{% for kind, column in kinds %}
left join {{ ref('int_identity__identifiers') }} as by_{{ kind }}
    on by_{{ kind }}.identifier_type = '{{ kind }}' and events.{{ column }} = by_{{ kind }}.identifier_value
{% endfor %}
