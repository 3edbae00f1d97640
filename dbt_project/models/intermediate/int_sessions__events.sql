-- Whoever is known is one visitor over all browsers; a browser of nobody is one by itself.
{{ config(
    materialized=increments(),
    incremental_strategy='append',
    pre_hook="{{ forget('visitor', ref('int_changes__visitors')) }}"
) }}
{% if in_part() %}
select * from {{ ref('int_changes__visits') }}
{% endif %}
{% if in_whole() %}
with visits as (
    select
        interactions.*,
        profiles.profile_id,
        coalesce(profiles.profile_id, 'anonymous:' || interactions.anonymous_id) as visitor
    from {{ ref('int_sessions__interactions') }} as interactions
    inner join {{ ref('int_identity__event_profiles') }} as profiles on interactions.event_key = profiles.event_key
),

{{ placed_into_sessions('visits') }}
{% endif %}
