{#- In an increment what has come is added to what is known of the same; of what has gone, all that is left is read anew. -#}
{{ config(
    materialized=increments(),
    incremental_strategy='delete+insert',
    unique_key=['identifier_type', 'identifier_value', 'source', 'is_simulated'],
    pre_hook="{{ forget_gone_sightings() }}"
) }}
{% set lake = source('lake', 'silver_identifiers') %}
{% set key = '(identifier_type, identifier_value, source, is_simulated)' %}
{% set same = 'select identifier_type, identifier_value, source, is_simulated from previous.silver_identifiers_' %}
{% set both = "cast(effective_at as timestamp) as first_seen_at, cast(effective_at as timestamp) as last_seen_at" %}
{% set columns = 'identifier_type, identifier_value, source, is_simulated' %}

with seen as (
    {% if var('increment') %}
    select {{ columns }}, {{ both }}
    from previous.silver_identifiers_came
    where {{ key }} not in ({{ same }}gone)
    union all
    select {{ columns }}, first_seen_at, last_seen_at
    from {{ this }}
    where {{ key }} in ({{ same }}came)
    union all
    select {{ columns }}, {{ both }}
    from {{ lake }}
    where {{ received() }} and {{ key }} in ({{ same }}gone)
    {% else %}
    select {{ columns }}, {{ both }}
    from {{ lake }}
    where {{ received() }}
    {% endif %}
)

select
    identifier_type,
    identifier_value,
    source,
    is_simulated,
    min(first_seen_at) as first_seen_at,
    max(last_seen_at) as last_seen_at
from seen
group by identifier_type, identifier_value, source, is_simulated
